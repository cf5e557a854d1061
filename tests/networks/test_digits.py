"""Inputs coded by digits: the same levels, more of them in a shorter window, on every engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import qcompiler
from qcompiler.backends.loihi.netlist import spike_io
from qcompiler.backends.loihi.netlist.build_netlist import build_netlist as netlist_of
from qcompiler.backends.program.program import Program
from qcompiler.ir import (
    Builder,
    Constant,
    Graph,
    InvalidGraph,
    Tensor,
    UnsupportedModel,
    parse,
    show,
)
from qcompiler.ir.ann import Clip, Conv, Dense, MaxPool
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Encode
from qcompiler.ir.spiking.coding import count_saturated, decode, digit_of, encode
from qcompiler.ir.spiking.integer_network import spikes_of
from qcompiler.ir.view import Reshape
from qcompiler.passes.tensor.split_inputs import SplitInputs
from tests.support.random_networks import (
    LOIHI,
    PHASES,
    REFERENCE,
    compiled,
    random_batch,
    random_network,
)
from tests.support.spiking import same_spikes

seeds = st.integers(0, 2**32 - 1)


def encoders(graph: Graph) -> list[tuple[Encode, Any]]:
    """All encoders with the codes of their spikes."""
    return [(n.op, spikes_of(n.result)) for n in graph.nodes if isinstance(n.op, Encode)]


@pytest.mark.parametrize("zero", [0, 37, -100, 100_000])
@pytest.mark.parametrize(("t_max", "digits"), [(2, 1), (2, 16), (3, 4), (8, 2), (40, 3)])
def test_digits_add_up_to_the_level(t_max: int, digits: int, zero: int) -> None:
    ops = [Encode(t_max, 0.25, zero, digits, digit) for digit in range(digits)]
    code = ops[0].code
    assert code.t_max == t_max**digits
    levels = np.linspace(0, code.top, 1000).astype(np.int64)
    sent = [digit_of(op, levels) for op in ops]
    assert all(part.min() >= 0 and part.max() < t_max for part in sent)
    np.testing.assert_array_equal(
        sum(op.place * d for op, d in zip(ops, sent, strict=True)), levels
    )
    spikes = [op.infer(Tensor((1000,))) for op in ops]
    total = sum(one.scale * (d - one.zero) for one, d in zip(spikes, sent, strict=True))
    np.testing.assert_array_equal(total, 0.25 * (levels - zero))


@pytest.mark.parametrize("text", [REFERENCE, LOIHI])
@given(seed=seeds, digits=st.integers(1, 4), levels=st.integers(2, 600))
@settings(max_examples=25, phases=PHASES)
def test_engines_agree(text: str, seed: int, digits: int, levels: int) -> None:
    graph = random_network(seed, 4, branches=bool(seed % 2))
    batch = random_batch(graph, seed)
    options = {"t_max": 6, "digits": digits, "levels": levels, "calibration": (batch,)}
    try:
        spiking = compiled(graph, text, **options)
    except UnsupportedModel:
        assume(False)
    program = Program(spiking, qcompiler.backends.LOIHI, {})
    same_spikes(program, "fast", 2 * batch)
    (first, _), *_ = encoders(spiking)
    found = program.measure(2 * batch)
    steps = program.measure(2 * batch, engine="steps")
    assert found.counters == steps.counters
    assert found.counters.saturated >= count_saturated(first.code, 2 * batch)
    for source in netlist_of(spiking).sources:  # as the module that is taken along has it
        op = next(op for op, _ in encoders(spiking) if op.digit == source.digit)
        expected = digit_of(op, encode(op.code, batch))
        np.testing.assert_array_equal(spike_io.encode_levels(source, batch), expected)


def network(*ops: Any, shape: tuple[int, ...] = (2, 4, 4)) -> Graph:
    """A dense layer of whole numbers behind what is given, and a ReLU."""
    build = Builder("net")
    value = build.input("x", Tensor(shape))
    for op in ops:
        value = build.add(op, value, name=op.mnemonic)
    size = int(np.prod(value.type.shape))
    data = np.random.default_rng(0).integers(-3, 4, (5, size)).astype(np.float32)
    constants = Constant("w", data), Constant("b", np.zeros(5, np.float32))
    value = build.add(Dense(), value, *constants, name="y")
    return build.build([build.add(Clip(0.0), value, name="relu")])


def test_levels_are_those_of_one_spike_where_weights_are_exact() -> None:
    graph, x = network(), np.random.default_rng(1).integers(0, 64, (40, 2, 4, 4)).astype("f4")
    found = []
    for digits in (1, 2, 3):
        passes = f"split-inputs{{digits={digits}}},normalize,quantize,assign-windows,insert-readout"
        program = qcompiler.compile(
            graph, calibration=x, passes=passes, target="reference", weight_bits=16, effort=0
        )
        levels = program.engine("fast")(x, record=True).levels
        assert sum("x:" in name for name in levels) == digits
        found.append(levels["relu"])
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def split(graph: Graph, data: Array | None = None, **options: Any) -> tuple[int | None, int]:
    """Spike times and digits of the first input."""
    given = None if data is None else (data,)
    type_ = SplitInputs(calibration=given, **options)(graph).inputs[0].type
    assert isinstance(type_, Tensor)
    return type_.t_max, type_.digits


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, (8, 2)),
        ({"t_max": 63}, (8, 2)),
        ({"t_max": 64}, (7, 3)),
        ({"t_max": 100}, (8, 3)),
        ({"t_max": 100, "digits": 2}, (10, 2)),
        ({"t_max": 1024}, (16, 3)),
        ({"levels": 256}, (16, 2)),
        ({"levels": 65}, (9, 2)),
        ({"levels": 2}, (2, 1)),
        ({"levels": 3}, (3, 1)),
        ({"levels": 4}, (2, 2)),
        ({"digits": 1}, (64, 1)),
        ({"digits": 3}, (4, 3)),
        ({"digits": 6}, (2, 6)),
    ],
)
def test_as_many_levels_as_asked_for_in_the_shortest_window(
    options: dict[str, Any], expected: tuple[int, int]
) -> None:
    assert split(network(), **options) == expected


def test_whole_numbers_have_a_level_each() -> None:
    data = np.arange(7 * 32, dtype=np.float32).reshape(7, 2, 4, 4) % 17 + 3
    assert split(network(), data) == (5, 2)
    assert split(network(), data + 0.5) == (8, 2)
    assert split(network(), 0 * data) == (8, 2)
    ranged = compiled(network(), "split-inputs,normalize", calibration=(data,))
    assert isinstance(type_ := ranged.inputs[0].type, Tensor)
    assert type_.range == (3.0, 27.0)  # 25 levels, one step from each to the next
    spiking = compiled(network(), calibration=(data,))
    (op, _), _ = encoders(spiking)
    np.testing.assert_array_equal(decode(op.code, encode(op.code, data)), data)


def test_only_what_sums_read_has_digits() -> None:
    pool = MaxPool((2, 2), (0, 0, 0, 0), (1, 1), (2, 2))
    assert split(network(Reshape((32,)))) == (8, 2)
    assert split(network(pool)) == (64, 1)
    assert split(network(Reshape((8, 2, 2)), pool)) == (64, 1)
    build = Builder("net")
    x = build.input("x", Tensor((2, 4, 4)))
    one = Constant("w", np.ones((1, 2, 1, 1), np.float32)), Constant("b", np.zeros((1, 1, 1), "f4"))
    y = build.add(Conv((1, 1), (0, 0, 0, 0), (1, 1)), x, *one, name="y")
    assert split(build.build([y, x])) == (64, 1)  # the host cannot add digits up


def test_a_t_max_that_is_there_stays() -> None:
    graph = compiled(network(), "assign-levels{levels=5:0},split-inputs")
    assert str(graph.inputs[0].type) == "f32[2x4x4 t=5 digits=2]"
    assert parse(show(graph), {c.name: c.data for c in graph.constants}) == graph


def test_a_maximum_of_digits_is_refused() -> None:
    """A pass of one's own may mark an input that is read by a pool."""
    pool = MaxPool((2, 2), (0, 0, 0, 0), (1, 1), (2, 2))
    graph = network(pool)
    marked = split(network())
    text = show(graph).replace("f32[2x4x4]", f"f32[2x4x4 in 0.0:1.0 t={marked[0]} digits=2]", 1)
    given = parse(text, {c.name: c.data for c in graph.constants})
    with pytest.raises(UnsupportedModel, match=r"only sums can read the digits of %x"):
        compiled(given, "normalize,quantize")


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ("digits=0", "digits must be between 1 and 16, not 0"),
        ("digits=99999999999", "digits must be between 1 and 16"),
        ("digits=2 digit=2", "digit must be from 0 to 1, not 2"),
        ("digits=2 digit=-1", "digit must be from 0 to 1, not -1"),
        ("t_max=99999999999 digits=16", "t_max must be between 2 and"),
        ("t_max=0 digits=2", "t_max must be between 2 and"),
        ("t_max=-4 digits=2 digit=1", "t_max must be between 2 and"),
        ("t_max=300 digits=2", "between 2 and 65536"),
    ],
)
def test_digits_that_cannot_be_are_refused(attributes: str, message: str) -> None:
    node = f"%y: f32[2] = snn.encode(%x) {{{attributes}}}"
    with pytest.raises(InvalidGraph, match=message):
        parse(f"graph @g(%x: f32[2]) {{\n  {node}\n  return %y\n}}\n", {})


def test_the_text_of_a_type_bounds_digits() -> None:
    for type_ in ("f32[2 t=8 digits=0]", "f32[2 t=8 digits=17]", "f32[2 t=300 digits=2]"):
        with pytest.raises(InvalidGraph, match=r"between 1 and 16|between 2 and 65536"):
            parse(f"graph @g(%x: {type_}) {{\n  return %x\n}}\n", {})
