"""Outputs in pieces: the same levels as in one, on every engine, and what stays whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import qcompiler
from qcompiler.backends import LOIHI as TARGET
from qcompiler.backends.program.program import Program
from qcompiler.backends.reference.fast.fast_engine import FastEngine
from qcompiler.backends.reference.steps_engine import StepsEngine
from qcompiler.ir import (
    Builder,
    Constant,
    Graph,
    InvalidGraph,
    PipelineError,
    Tensor,
    UnsupportedModel,
    Value,
    parse,
    show,
    verify,
)
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Connect, Decode, Encode, First, Neuron, Population
from qcompiler.ir.spiking.frames import frame_interval
from qcompiler.ir.spiking.integer_network import spiking_nodes
from qcompiler.ir.view import Reshape, Take, Transpose
from qcompiler.passes import Pipeline
from qcompiler.passes.quantization.output_pieces import Piece, digits, slices
from qcompiler.passes.spiking.split_windows import SplitWindows
from tests.support.onnx_models import ints, model
from tests.support.random_networks import (
    CALIBRATED,
    LOIHI,
    PHASES,
    REFERENCE,
    compiled,
    random_batch,
    random_network,
)
from tests.support.spiking import READOUT, Net, equal_neurons, same_spikes

HOW = ("auto", "slices", "digits")
FRAMES = 12
seeds = st.integers(0, 2**32 - 1)


def with_split(pipeline: str, how: str) -> str:
    """The pipeline with the pass, which then has room for the pieces."""
    limits = " potential=131071 input=32512" if "input=32512" in pipeline else ""
    text = pipeline.replace("input=32512", "input=32512 pieces=true")
    return text.replace("assign-windows", f"split-windows{{how={how}{limits}}},assign-windows")


def without_split(text: str) -> str:
    """The same pipeline without the pass; its integers are the same."""
    return ",".join(part for part in text.split(",") if not part.startswith("split-windows"))


def places(graph: Graph) -> tuple[int, ...]:
    """The places of the first output's pieces; empty if it is whole."""
    return next(node.op.places for node in graph.nodes if isinstance(node.op, Decode))


def windows(graph: Graph) -> list[int]:
    """Levels of all populations that are no inputs."""
    found = (node.op for node in spiking_nodes(graph))
    return [op.t_max for op in found if isinstance(op, Neuron | Population)]


def same(split: Graph, whole: Graph, batch: Array) -> None:
    """Hold both engines to the outputs and the saturation of the whole, frame by frame."""
    expected, steps = FastEngine(whole)(batch), StepsEngine(split)(batch, record=True)
    fast = FastEngine(split)(batch, record=True)
    if steps.counters.exceeded:  # beyond the calibrated bounds nothing is promised
        return
    equal_neurons(steps.levels, fast.levels)
    bare = FastEngine(split)(batch, count=False)
    for found in (steps, fast, bare):
        for one, other in zip(expected.outputs, found.outputs, strict=True):
            np.testing.assert_array_equal(one, other)
    assert steps.counters.saturated == fast.counters.saturated
    assert expected.counters.coded == steps.counters.coded == fast.counters.coded
    if not any(node.op.t_max for node in split.nodes if isinstance(node.op, Decode)):
        assert expected.counters.saturated == steps.counters.saturated


@pytest.mark.parametrize(
    "pipeline",
    [REFERENCE, *(pytest.param(text, marks=pytest.mark.long) for text in (LOIHI, CALIBRATED))],
)
@given(
    seed=seeds,
    t_max=st.integers(2, 20),
    output_t_max=st.integers(3, 300),
    how=st.sampled_from(HOW),
)
@settings(max_examples=25, phases=PHASES)
def test_levels_are_those_of_the_whole(
    pipeline: str, seed: int, t_max: int, output_t_max: int, how: str
) -> None:
    graph = random_network(seed, branches=bool(seed % 2))
    batch = random_batch(graph, seed)
    text = with_split(pipeline, how)
    options: dict[str, Any] = {"t_max": t_max, "output_t_max": output_t_max}
    options["calibration"] = (batch[:4],)
    try:
        split, whole = (compiled(graph, one, **options) for one in (text, without_split(text)))
    except UnsupportedModel:
        assume(False)
    if pipeline is not REFERENCE:
        verify(split, *TARGET.requires)
    same(split, whole, batch if pipeline is CALIBRATED else 3 * batch)
    assert frame_interval(split) <= frame_interval(whole)


@given(levels=st.integers(3, 700), longest=st.integers(2, 64), steep=st.integers(1, 9))
@settings(max_examples=200, phases=PHASES)
def test_pieces_add_up(levels: int, longest: int, steep: int) -> None:
    """For every potential from far below to far above the levels."""
    assume(levels > longest)
    v = np.arange(-3 * steep, (levels + 4) * steep)
    bias, slope = np.array([5.0]), np.array([float(steep)])
    expected = np.clip(v // steep, 0, levels - 1)

    def total(pieces: list[Piece]) -> Array:
        found: list[Array] = []
        for piece in pieces:
            assert 2 <= piece.t_max <= longest
            inner = (
                v - bias + piece.bias - sum(i.weight * found[i.piece] for i in piece.inhibitions)
            )
            found.append(np.clip(inner // piece.slope, 0, piece.t_max - 1))
        parts: Array = np.sum([p.place * q for p, q in zip(pieces, found, strict=True)], axis=0)
        return parts

    np.testing.assert_array_equal(total(slices(bias, slope, levels, longest)), expected)
    whole = total(digits(bias, slope, levels, longest))
    np.testing.assert_array_equal(np.minimum(whole, levels - 1), expected)


def dense_net(seed: int, outputs: int, levels: int, t_max: int = 8) -> tuple[Net, Value]:
    """A hidden layer, and one of outputs with more levels."""
    net = Net(seed, largest=40)
    hidden = net.dense(net.input((6,), t_max), 8, t_max)
    return net, net.dense(hidden, outputs, levels)


def split(graph: Graph, how: str = "auto", **options: int) -> Graph:
    text = " ".join([f"how={how}", *(f"{name}={value}" for name, value in options.items())])
    return Pipeline.parse(f"split-windows{{{text}}},{READOUT}").run(graph)


def equal(graph: Graph, how: str = "auto", **options: int) -> Graph:
    """The network in pieces, whose outputs are those of the whole."""
    found, whole = split(graph, how, **options), Pipeline.parse(READOUT).run(graph)
    shape, rng = graph.inputs[0].type.shape, np.random.default_rng(1)
    batch = rng.integers(0, 8, (FRAMES, *shape)).astype(np.float32)
    same(found, whole, batch)
    return found


@pytest.mark.parametrize("how", ["slices", "digits"])
def test_text_and_arrays_give_the_network_again(how: str) -> None:
    net, value = dense_net(0, 5, 100)
    found = split(net.graph(value), how)
    arrays = {constant.name: constant.data for constant in found.constants}
    again = parse(show(found), arrays, "network.qir")
    assert show(again) == show(found)
    batch = net.rng.integers(0, 8, (FRAMES, 6)).astype(np.float32)
    same(again, found, batch)


def test_few_slices_that_end_earlier_else_digits() -> None:
    for levels, expected in ((30, (1,) * 5), (64, (8, 1))):
        net = Net(1, largest=40)
        hidden = net.dense(net.input((60,), 8), 20, 8)
        graph = net.graph(net.dense(hidden, 2, levels))
        assert places(equal(graph, how="auto")) == expected


def test_as_many_digits_as_end_within_a_window() -> None:
    """Two if these do, too, or if no four do; more only where outputs are next to nothing."""
    for levels, t_max, expected in (
        (256, 16, (64, 16, 4, 1)),
        (256, 20, (49, 7, 1)),
        (256, 32, (16, 1)),
        (64, 8, (8, 1)),
    ):
        pieces = digits(np.zeros(1), np.ones(1), levels, t_max, 4)
        assert tuple(piece.place for piece in pieces) == expected
    for hidden, expected in ((20, (16, 1)), (2000, (64, 16, 4, 1))):
        net = Net(1, largest=40)
        wide = net.dense(net.input((8,), 16), hidden, 16)
        graph = net.graph(net.dense(net.dense(wide, 6, 16), 2, 256))
        assert places(equal(graph)) == expected


def test_the_host_clips_what_digits_have_beyond_the_levels() -> None:
    net, value = dense_net(3, 3, 61)
    found = equal(net.graph(value), how="digits")
    (decode,) = (node.op for node in found.nodes if isinstance(node.op, Decode))
    assert decode == Decode((8, 1), 61)


def test_windows_as_long_as_others_stay() -> None:
    net, value = dense_net(4, 3, 8)
    assert windows(split(net.graph(value))) == [8, 8]


def test_a_network_of_outputs_alone_is_as_long_as_its_input() -> None:
    net = Net(5, largest=40)
    value = net.dense(net.input((6,), 16), 4, 64)
    found = equal(net.graph(value), how="slices")
    assert windows(found) == [16, 16, 16, 16, 4]
    assert frame_interval(found) == 32


def test_the_option_longest() -> None:
    net, value = dense_net(6, 3, 8)
    assert windows(equal(net.graph(value), "slices", longest=4)) == [8, 4, 4, 2]
    for text, message in (("longest=1", "at least 2 levels"), ("how=bits", "auto, slices, digits")):
        with pytest.raises(PipelineError, match=message):
            Pipeline.parse(f"split-windows{{{text}}}")


def test_outputs_that_others_read_stay_whole() -> None:
    net = Net(7, largest=40)
    first = net.dense(net.input((6,), 8), 5, 64)
    second = net.dense(first, 3, 64)
    found = split(net.graph(first, second))
    assert windows(found) == [64, 64]


@pytest.mark.parametrize("how", HOW)
def test_views_and_several_decoders(how: str) -> None:
    net = Net(8, largest=40)
    value = net.conv(net.conv(net.input((2, 5, 5), 8), 3, (3, 3), t_max=8), 4, (2, 2), t_max=64)
    turned = net.view(Reshape((2, 8)), net.view(Transpose((1, 2, 0)), value))
    found = equal(net.graph(turned, net.view(Take(0, (2, 0)), value), value), how)
    assert len(places(found)) > 1


def test_gates_pass_the_maximum_of_slices_not_of_digits() -> None:
    net = Net(9, largest=40)
    value = net.conv(net.conv(net.input((2, 6, 6), 8), 3, (3, 3), t_max=8), 4, (1, 1), t_max=64)
    found = equal(net.graph(net.pool(value, 2, 2)), how="digits")
    assert places(found) == (1,) * 9
    assert sum(isinstance(node.op, First) for node in found.nodes) == 9


def test_rescaled_outputs() -> None:
    net, value = dense_net(10, 3, 64)
    offset = Constant("offset", np.array([1.0, -2.0, 0.5], np.float32))
    factor = Constant("factor", np.array([3.0, 0.1, 1.0], np.float32))
    decoded = net.builder.add(Decode(), value, offset, factor, name="out")
    assert places(equal(net.builder.build([decoded]), how="digits")) == (8, 1)


def test_zero_points_stay() -> None:
    """Levels that stand for numbers below zero, and a coarse scale."""
    for how in ("slices", "digits"):
        net, value = dense_net(11, 3, 64)
        node = net.builder.nodes[-1]
        op = Neuron(64, 0.1, 21)
        net.builder.nodes.pop()
        value = net.builder.add(op, *node.operands, name="scores")
        equal(net.graph(value), how)


@pytest.mark.parametrize(("t_max", "longest"), [(16, 32), (64, 80)])
@pytest.mark.parametrize("seed", range(3))
def test_most_of_a_network_leaves_room_for_digits(t_max: int, longest: int, seed: int) -> None:
    """Slices would be most of its neurons, and the whole 270 steps long."""
    rng = np.random.default_rng(seed)
    weights = {"w": 0.3 * rng.standard_normal((20, 64)), "v": 0.2 * rng.standard_normal((64, 50))}
    arrays: dict[str, Any] = {name: array.astype(np.float32) for name, array in weights.items()}
    proto = model("float[N,20] x", "a = MatMul(x, w) r = Relu(a) y = MatMul(r, v)", **arrays)
    images = rng.standard_normal((300, 20)).astype(np.float32)
    program = qcompiler.compile(proto, calibration=images, t_max=t_max)
    assert frame_interval(program.graph) <= longest


def test_what_does_not_fit_becomes_the_other_or_stays_whole() -> None:
    net, value = dense_net(12, 3, 64)
    graph = net.graph(value)
    assert places(split(graph, "slices", input=1 << 20)) == (1,) * 9
    assert places(split(graph, "digits", potential=1 << 17, input=500)) == ()
    assert places(split(graph, "digits", delay=7)) == (1,) * 9
    assert places(split(graph, "digits", fan_in=8)) == (1,) * 9
    assert places(split(graph, "digits", delay=8, fan_in=9)) == (8, 1)


def test_pieces_that_are_too_short_get_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    def fit(_: SplitWindows, __: Graph, ___: object, pieces: Sequence[Piece]) -> bool:
        return max(piece.t_max for piece in pieces) > 8

    net, value = dense_net(12, 3, 64)
    monkeypatch.setattr(SplitWindows, "_fit", fit)
    found = split(net.graph(value), "auto")
    assert max(windows(found)) == 16 and windows(found)[0] == 8


def test_an_input_that_is_decoded_stays_whole() -> None:
    build = Builder("through")
    value = build.add(Encode(64), build.input("x", Tensor((3,))), name="encoded")
    graph = build.build([build.add(Decode(), value, name="out")])
    assert Pipeline.parse("split-windows").run(graph) is graph


@pytest.mark.parametrize(
    ("scales", "op", "message"),
    [
        ((2.0, 1.0), Decode((2,)), "an? (offset|factor)|takes"),
        ((2.0, 1.0), Decode((2, 2)), "one of which is 1"),
        ((1.0, 1.0), Decode((2, 1)), "scales are those of places"),
        ((2.0, 1.0), Decode((2, 0)), "one of which is 1"),
    ],
)
def test_pieces_that_do_not_fit_are_refused(
    scales: tuple[float, float], op: Decode, message: str
) -> None:
    build = Builder("pieces")
    values = []
    for index, scale in enumerate(scales):
        raw = build.input(f"x{index}", Tensor((3,)))
        values.append(build.add(Encode(4, scale), raw, name=f"piece{index}"))
    with pytest.raises(InvalidGraph, match=message):
        build.add(op, *values, name="out")


@pytest.mark.lava
@pytest.mark.parametrize("how", ["slices", "digits"])
def test_lava_shows_the_same_spikes(how: str) -> None:
    graph = random_network(5)
    batch = random_batch(graph, 5)
    text = with_split(LOIHI, how)
    options: dict[str, Any] = {"t_max": 5, "output_t_max": 25, "calibration": (batch[:4],)}
    found = compiled(graph, text, **options)
    assert len(places(found)) > 1
    same_spikes(Program(found, TARGET, {}), "lava-single", batch[:4])


@pytest.mark.lava
def test_large_inhibition_takes_several_synapses_on_lava() -> None:
    """Weights of a digit beyond 8 bits."""
    net = Net(13, largest=40, drive=1.0)
    value = net.neurons(net.synapse(Connect(), net.input((6,), 8), (4, 6)), t_max=64)
    op = net.builder.nodes[-1]
    slope = Constant("steep", np.full((4,), 100, np.int32))
    net.builder.nodes.pop()
    value = net.builder.add(op.op, *op.operands[:-1], slope, name="steep_neurons")
    found = equal(net.graph(value), "digits")
    weights = [c.data for c in found.constants if ":W." in c.name]
    assert np.abs(weights[0]).max() == 800
    batch = net.rng.integers(0, 8, (4, 6)).astype(np.float32)
    same_spikes(Program(found, TARGET, {}), "lava-single", batch)


def test_digits_keep_the_proved_bounds_of_the_whole() -> None:
    """Calibrated ones are shared by all pixels; at borders the proved ones are much narrower."""
    resized = (
        'Resize<axes=[2,3], coordinate_transformation_mode="align_corners", mode="cubic",'
        " cubic_coeff_a=-0.5>(x, , , sizes)"
    )
    rows = (
        [0.2754, 0.6239, 0.1704],
        [-1.6669, 0.1232, -0.8501],
        [0.1737, -0.636, 0.0166],
        [-0.6047, -0.346, -0.6433],
    )
    proto = model(
        "float[N,1,2,7] x",
        f"r = {resized} c = Conv<pads=[0,1,0,1]>(r, w, b) y = Relu(c)",
        18,
        sizes=ints(4, 14),
        w=np.array(rows, np.float32).reshape(4, 1, 1, 3),
        b=np.array([-1.69, -0.8008, 0, 0], np.float32),
    )
    x = np.random.default_rng(5).standard_normal((60, 1, 2, 7)).astype(np.float32)
    qcompiler.compile(proto, t_max=64, effort=0, calibration=x)
