"""The text form reads back what was written, and says where it cannot."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qcompiler.ir import (
    Builder,
    Constant,
    Graph,
    InvalidGraph,
    Tensor,
    UnsupportedModel,
    ann,
    parse,
    show,
    snn,
    to_networkx,
)
from tests.support.random_networks import PHASES, compiled, random_batch, random_network


def arrays(graph: Graph) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    return {constant.name: constant.data for constant in graph.constants}


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=50, phases=PHASES)
def test_both_levels_read_back(seed: int) -> None:
    graph = random_network(seed)
    assert parse(show(graph), arrays(graph)) == graph
    try:
        spiking = compiled(graph, calibration=(random_batch(graph, seed),), t_max=5)
    except UnsupportedModel:
        return
    assert parse(show(spiking), arrays(spiking)) == spiking


def test_numbers_of_numpy_are_written_as_numbers() -> None:
    """As numpy 2 writes them as ``np.float64(0.5)``, which nothing reads back."""
    half, four = np.float64(0.5), np.int64(4)
    encode = snn.Encode(scale=half, t_max=four)  # type: ignore[arg-type]
    assert {type(value) for value in encode.attributes().values()} == {float, int}
    build = Builder("numbers")
    spikes = build.add(encode, build.input("x", Tensor((2,))), name="spikes")
    ranged = build.input("y", Tensor((2,), range=(-half, half)))  # type: ignore[arg-type]
    graph = build.build((build.add(snn.Decode(), spikes, name="z"), ranged))
    assert "np." not in show(graph) and parse(show(graph), {}) == graph


@given(st.text(min_size=1), st.text())
def test_any_name_reads_back(name: str, origin: str) -> None:
    build = Builder(name)
    value = build.input(name, Tensor((2,)))
    value = build.add(ann.Clip(0.0), value, name=name, origin=(origin,))
    graph = build.build([value], [name])
    assert parse(show(graph), {}) == graph


CLIPPED = "graph @g(%x: f32[2]) {\n  %y: f32[2] = ann.clip(%x) {low=0.0}\n"
GOOD = """graph @g(%x: f32[2x2]) {
  const #w: f32[3x4] = 0123456789abcdef
  %y: f32[3] = ann.dense(%x, #w, #b) from "Gemm_0"
  return %y
}
"""


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "text:0: the text ends inside the graph"),
        ("hello", "text:1: expected graph"),
        ("graph @g() {\n  return \n", "text:2"),
        ("graph @g(%x: f32[2]) {\n  %y: f32[2] = ann.clip(%z)\n", "text:2: %z is not defined"),
        ("graph @g(%x: f32[2]) {\n  %y: f32[3] = ann.clip(%x)\n", "text:2: %y is f32[2]"),
        ("graph @g(%x: f32[2]) {\n  %y: f32[2] = ann.jump(%x)\n", "text:2: no operation is named"),
        ("graph @g(%x: f32[2]) {\n  %y: f32[2] = ann.clip(%x) {up=1}\n", "has no attribute up"),
        ("graph @g(%x: f32[2]) {\n  %y: f32[2] = ann.clip(%x) {low=x}\n", "not a literal"),
        ("graph @g(%x: f32[2]) {\n  %x: f32[2] = ann.clip(%x)\n", "%x is defined twice"),
        ("graph @g(%x: g32[2 2]) {", "text:1"),
        ("graph @g(%x: spikes[2 t=1 scale=1.0]) {", "t_max must be between 2 and"),
        ("graph @g(%x: spikes[2 t=4 scale=-1.0]) {", "scale must be positive"),
        (GOOD, "text:2: the array of #w is missing"),
        ("graph @g(%x: f32[2], %x: f32[3]) {\n", "text:1: two inputs are named %x"),
        (f"{CLIPPED}  return %y\n  return %x\n}}\n", "text:4: expected }"),
        (f"{CLIPPED}  return %y\n  %z: f32[2] = ann.clip(%y)\n}}\n", "text:4: expected }"),
        (f"{CLIPPED}  return %y\n}}\nreturn %x\n", "text:5: unexpected text after the end"),
        (f"{CLIPPED}}}\n", "text:3: expected %name"),
        (CLIPPED.replace("{low=0.0}", "{low=0.0 low=1.0}"), "text:2: ann.clip: low is given twice"),
        ("graph @g(%x: f32[2x3x3]) {\n  %y: f32[1] = ann.maxpool(%x) {kernel='a'}\n", "text:2"),
    ],
)
def test_faults_are_located(text: str, where: str) -> None:
    with pytest.raises(InvalidGraph) as caught:
        parse(text, {})
    assert where in str(caught.value)


def test_a_changed_array_is_noticed() -> None:
    build = Builder("g")
    value = build.input("x", Tensor((4,)))
    weight = Constant("w", np.ones((3, 4), np.float32))
    value = build.add(ann.Dense(), value, weight, Constant("b", np.zeros(3, np.float32)), name="y")
    graph = build.build([value])
    held = arrays(graph)
    assert parse(show(graph), held) == graph
    held["w"] = held["w"] * 2
    with pytest.raises(InvalidGraph, match="not the one that was written"):
        parse(show(graph), held)


def test_networkx_view_has_values_and_edges() -> None:
    graph = random_network(5)
    found = to_networkx(graph)
    assert set(found) == {v.name for v in graph.inputs} | {n.result.name for n in graph.nodes}
    assert found.nodes[graph.nodes[0].result.name]["op"] == graph.nodes[0].op.mnemonic
    assert all("operand" in data for _, _, data in found.edges(data=True))
