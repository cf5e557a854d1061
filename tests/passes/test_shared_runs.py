"""Runs on calibration data that passes share or cut short give what whole runs give."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qcompiler.ir import Builder, Constant, DataError, Graph, Spikes, Tensor, Value
from qcompiler.ir.ann import Add, Clip, Conv, Function, MaxPool
from qcompiler.ir.execution.evaluate import evaluate
from qcompiler.ir.kernels import Array
from qcompiler.passes.calibration.data import RealNetwork, images_at_once, run
from qcompiler.passes.calibration.histogram import Histogram
from qcompiler.passes.calibration.rounded_values import rounded_to_levels
from qcompiler.passes.slicing import rounded_outputs
from qcompiler.passes.slicing.rounded_outputs import RealValues
from qcompiler.passes.tensor import measured_values
from qcompiler.passes.tensor.measured_values import measured_with
from qcompiler.passes.tensor.normalize import Normalize
from qcompiler.passes.tensor.refine_outputs import RefineOutputs

RNG = np.random.default_rng(8)
_KEPT = ("x", "first", "inner", "last", "scores")
IMAGES = RNG.normal(size=(40, 2, 6, 6)).astype(np.float32)


def residual(channels: int = 3) -> Graph:
    """Two layers beside a branch that skips them, and scores of classes."""
    builder = Builder("net")
    x = builder.input("x", Tensor((2, 6, 6)))
    first = _layer(builder, x, channels, "first")
    inner = _layer(builder, first, channels, "inner")
    outer = builder.add(_conv(3), inner, *_weights(channels, channels, 3, "outer"), name="outer")
    total = builder.add(Add(), outer, first, name="sum")
    last = builder.add(Clip(0.0, None), total, name="last")
    pool = builder.add(MaxPool((3, 3), (0,) * 4, (1, 1), (3, 3)), last, name="pool")
    scores = builder.add(_conv(2, pad=0), pool, *_weights(4, channels, 2, "scores"), name="scores")
    return builder.build([scores])


def _conv(kernel: int, pad: int = 1) -> Conv:
    return Conv((1, 1), (pad,) * 4, (1, 1), 1)


def _weights(rows: int, channels: int, kernel: int, name: str) -> tuple[Constant, Constant]:
    weight = RNG.normal(size=(rows, channels, kernel, kernel)) / channels / kernel
    return (
        Constant(f"{name}.W", weight.astype(np.float32)),
        Constant(f"{name}.B", np.full((rows, 1, 1), 0.1, np.float32)),
    )


def _layer(builder: Builder, x: Value, channels: int, name: str) -> Value:
    depth = x.type.shape[0]
    made = builder.add(_conv(3), x, *_weights(channels, depth, 3, name), name=f"{name}:sum")
    return builder.add(Clip(0.0, None), made, name=name)


@pytest.mark.parametrize("name", _KEPT)
def test_outputs_with_a_rounded_value_are_those_of_the_whole_network(name: str) -> None:
    graph = residual()
    values = [v for v in (*graph.inputs, *(n.result for n in graph.nodes)) if v.name in _KEPT]
    value = next(v for v in values if v.name == name)
    code = Spikes(value.type.shape, 4, 0.5)
    (found,) = RealValues(graph, (IMAGES,), values).outputs_if_rounded(value, (code,))
    assert np.allclose(found, _with_rounded(graph, value, code), atol=1e-5)


def _with_rounded(graph: Graph, value: Value, code: Spikes) -> Array:
    front = replace(graph, outputs=(value,), output_names=())
    (real,) = evaluate(front, IMAGES)
    behind = tuple(node for node in graph.nodes if node.result.name != value.name)
    inputs = (*(one for one in graph.inputs if one != value), value)
    given = [IMAGES] if value not in graph.inputs else []
    cut = replace(graph, inputs=inputs, nodes=behind)
    return evaluate(cut, *given, rounded_to_levels(code, real))[0]


def test_what_lies_beside_a_rounded_value_is_not_computed_again() -> None:
    graph = residual()
    inner = next(node.result for node in graph.nodes if node.result.name == "inner")
    rest = rounded_outputs._behind(graph, inner, _KEPT)
    assert {value.name for value in rest.inputs} == {"inner", "first"}
    assert [n.result.name for n in rest.nodes] == ["outer", "sum", "last", "pool", "scores"]


def test_an_output_does_not_depend_on_rounding_an_input_that_it_does_not_read() -> None:
    other = Value("other", Tensor((3,)))
    graph = residual()
    graph = replace(graph, inputs=(*graph.inputs, other))
    data = IMAGES, RNG.normal(size=(40, 3)).astype(np.float32)
    real = RealValues(graph, data, [*graph.inputs, graph.nodes[1].result])
    (found,) = real.outputs_if_rounded(other, (Spikes((3,), 4, 0.5),))
    assert np.allclose(found, real.output, atol=1e-5)


def test_noise_of_which_the_output_becomes_infinite_is_all_of_it() -> None:
    builder = Builder("net")
    x = builder.input("x", Tensor((2,)))
    norm = builder.add(Clip(0.1, 9.0), x, name="norm")
    graph = builder.build([builder.add(Function("1 x /"), norm, name="y")])
    data = np.abs(RNG.normal(size=(40, 2))).astype(np.float32)
    value = graph.nodes[0].result
    real = RealValues(graph, (data,), [value])
    (found,) = real.outputs_if_rounded(value, (Spikes((2,), 3, 2.0),))  # to 0, 2, 4
    assert np.array_equal(found, np.broadcast_to(real.output.mean(axis=0), (40, 2)))


@pytest.mark.parametrize("name", ["x", "inner", "scores"])
def test_values_written_into_one_array_are_those_of_the_batches(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = residual()
    expected = np.concatenate([part[name] for part in run(graph, (IMAGES,), [name])])
    monkeypatch.setattr("qcompiler.passes.calibration.data._SMALL_BATCH_BYTES", 10_000)
    assert images_at_once(graph, 10_000) < len(IMAGES)
    found = RealNetwork(graph, [name], len(IMAGES)).whole((IMAGES,))
    assert np.array_equal(found, expected)


def test_batches_come_in_order_and_tell_of_infinities(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qcompiler.passes.calibration.data.images_at_once", lambda *given: 7)
    told: list[float] = []
    parts = list(run(residual(), (IMAGES,), ["x", "scores"], told.append))
    assert np.array_equal(np.concatenate([part["x"] for part in parts]), IMAGES)
    assert len(told) == len(parts) == 6
    assert told == sorted(told)
    assert told[-1] == 1.0
    large = np.where(np.arange(40)[:, None, None, None] == 30, np.float32(np.inf), IMAGES)
    with pytest.raises(DataError, match="infinite for some calibration samples"):
        list(run(residual(), (large,), ["first:sum"]))


def test_refined_outputs_leave_ranges_as_they_are_without_another_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graph, data = residual(), (IMAGES,)
    refined = RefineOutputs(calibration=data)(graph)
    expected = Normalize(calibration=(IMAGES.copy(),))(refined)  # other data, so another run
    monkeypatch.setattr(measured_values, "run", _never)
    assert Normalize(calibration=data)(refined) == expected
    with pytest.raises(AssertionError, match="ran"):
        Normalize(calibration=(2 * IMAGES,))(refined)


def _never(*given: object) -> None:
    raise AssertionError("ran")


def test_values_without_a_range_of_their_own_are_measured_alone() -> None:
    arrays, measured = measured_with(residual(), (IMAGES,), ["last"], 10)
    assert arrays["last"].shape == (10, 3, 6, 6)
    assert not measured.histograms  # the range is that of the pool
    arrays, measured = measured_with(residual(), (IMAGES,), ["scores"], 10)
    assert len(arrays["scores"]) == 10
    whole = Histogram()
    whole.add(next(run(residual(), (IMAGES,), ["scores"]))["scores"])
    assert measured.histograms["scores"].counts.sum() == whole.counts.sum() == 160
