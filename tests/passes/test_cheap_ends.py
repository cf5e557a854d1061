"""Inputs, small values and outputs of large networks end earlier; weights that hardly matter go."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from qcompiler.backends import LOIHI
from qcompiler.ir import Builder, Constant, Graph, PipelineError, Tensor
from qcompiler.ir.ann import Clip, Dense
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.integer_network import fan_in, layers
from qcompiler.ir.view import Reshape, Take
from qcompiler.passes import Pipeline
from qcompiler.passes.fitting.pruning import kept
from qcompiler.passes.quantization.levels import spiking_values
from qcompiler.passes.slicing.quiet_outputs import is_quiet
from qcompiler.passes.tensor import refine_outputs
from qcompiler.passes.tensor.refine_outputs import RefineOutputs
from qcompiler.passes.tensor.split_inputs import SplitInputs
from qcompiler.passes.tensor.split_ranges import SplitRanges
from qcompiler.search.latency import LatencyModel
from tests.passes.test_split_windows import equal, windows
from tests.support.random_networks import compiled
from tests.support.spiking import Net


def dense_layers(*sizes: int, views: bool = False) -> Graph:
    """Dense layers of these sizes, the input first, with ReLUs between them.

    With ``views`` the input is reversed and reshaped first.
    """
    rng, build = np.random.default_rng(0), Builder("net")
    value = build.input("x", Tensor((sizes[0],)))
    if views:
        value = build.add(Take(0, tuple(reversed(range(sizes[0])))), value, name="reversed")
        value = build.add(Reshape((sizes[0],)), value, name="reshaped")
    for at, (inputs, outputs) in enumerate(pairwise(sizes), 1):
        weight = (rng.standard_normal((outputs, inputs)) / np.sqrt(inputs)).astype(np.float32)
        constants = Constant(f"w{at}", weight), Constant(f"b{at}", np.zeros(outputs, np.float32))
        value = build.add(Dense(), value, *constants, name=f"y{at}")
        if at < len(sizes) - 1:
            value = build.add(Clip(0.0), value, name=f"relu{at}")
    return build.build([value])


def samples(count: int, size: int) -> Array:
    return np.random.default_rng(1).random((count, size)).astype(np.float32)


@pytest.mark.parametrize(("hidden", "pieces"), [(20, 2), (3000, 9)])
def test_outputs_of_large_networks_have_shorter_slices(hidden: int, pieces: int) -> None:
    net = Net(1, largest=40)
    wide = net.dense(net.input((30,), 16), hidden, 16)
    graph = net.graph(net.dense(net.dense(wide, 4, 16), 2, 64))
    found = equal(graph)
    assert windows(found)[2:] == [8] * pieces


@pytest.mark.parametrize(("t_max", "slices"), [(16, [8] * 9), (12, [6] * 12 + [4])])
def test_quantize_leaves_room_for_shorter_slices(t_max: int, slices: list[int]) -> None:
    graph, data = dense_layers(8, 6000, 1000, 2), samples(60, 8)
    options = {"t_max": t_max, "effort": 0, "output_t_max": 64}
    found = compiled(graph, LOIHI.pipeline, calibration=(data,), **options)
    assert windows(found)[3:] == slices  # behind a layer of 6,000 and its partial sum


@pytest.mark.parametrize(
    ("hidden", "quiet", "options", "expected"),
    [
        (3000, True, {}, 256),
        (3000, True, {"t_max": 15}, None),
        (3000, True, {"effort": 0}, None),
        (3000, False, {}, None),
        (600, True, {}, None),
    ],
)
def test_outputs_that_are_next_to_nothing_have_more_levels(
    hidden: int,
    quiet: bool,
    options: dict[str, int],
    expected: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ten of 2,560 neurons or more, from 16 levels on, if their rounding counts."""
    monkeypatch.setattr(refine_outputs, "is_quiet", lambda *_: quiet)
    given = {"t_max": 16, "effort": 1, **options}
    data = samples(200, 1) * np.ones(8, np.float32)  # of which scores have no ties
    (value,) = RefineOutputs(calibration=(data,), **given)(dense_layers(8, hidden, 10)).outputs
    assert isinstance(value.type, Tensor) and value.type.t_max == expected


def test_outputs_have_more_levels_where_noise_is_low() -> None:
    """With 24 levels two kinds of frames have a noise of 1/900 of the variance, others of 1/80."""
    kinds = np.repeat(np.eye(2, dtype=np.float32), 4, axis=1)
    data, given = samples(200, 1) * kinds[np.arange(200) % 2], {"t_max": 24, "effort": 1}
    network = dense_layers(8, 3000, 10)
    text = "split-inputs,equalize,split-ranges,refine-outputs"
    for passes in (text, text.replace("split-ranges,", "")):  # which leaves what it has measured
        (value,) = compiled(network, passes, calibration=(data,), **given).outputs
        assert isinstance(value.type, Tensor) and value.type.t_max == 256
    assert not is_quiet(network, (samples(200, 8),), 24)


def test_quantize_leaves_room_for_digits_where_slices_are_many() -> None:
    """17 slices of an output would be 170 neurons; four digits are 40, and end as early."""
    graph, data = dense_layers(8, 3000, 10), samples(60, 8)
    options = {"t_max": 16, "effort": 0, "output_t_max": 256}
    found = compiled(graph, LOIHI.pipeline, calibration=(data,), **options)
    assert windows(found)[-4:] == [4] * 4
    found = compiled(
        graph, LOIHI.pipeline, calibration=(data,), **options, code="burst", bursts=True
    )
    assert windows(found)[-17:] == [16] * 17  # more spikes would inhibit digits at once
    options |= {"bursts": False}
    wide = dense_layers(8, 100_000, 4, 10)  # of which 370 neurons are next to nothing
    found = compiled(wide, LOIHI.pipeline, calibration=(data,), **options)
    assert windows(found)[-37:] == [8] * 36 + [4]


def test_the_model_of_latency_knows_how_many_digits_outputs_have() -> None:
    few, many = (LatencyModel(dense_layers(8, hidden, 4), pieces=True) for hidden in (600, 3000))
    assert few.latency([16, 16, 256]) == many.latency([16, 16, 256]) + 16
    assert few.latency([16, 16, 64]) == many.latency([16, 16, 64])


def test_small_values_of_large_networks_have_more_and_shorter_slices() -> None:
    data = samples(60, 8)
    for hidden, levels in ((16, None), (8000, 8)):
        graph = dense_layers(8, hidden, 3, 4)
        found = SplitRanges(effort=1, slices=4, calibration=(data,))(graph)
        small = [v for v in spiking_values(found) if v.name.startswith("relu2")]
        assert {v.type.t_max for v in small if isinstance(v.type, Tensor)} == {levels}
        assert len(small) > 4 or levels is None


def test_inputs_whose_synapses_are_few_have_a_digit_more() -> None:
    def code(graph: Graph, price: str = "neurons", t_max: int = 16) -> tuple[int | None, int]:
        type_ = SplitInputs(t_max, price=price)(graph).inputs[0].type
        assert isinstance(type_, Tensor)
        return type_.t_max, type_.digits

    assert code(dense_layers(4, 4, 100, 256)) == (7, 3)
    assert code(dense_layers(40, 100, 256)) == (16, 2)
    assert code(dense_layers(4, 4, 100, 256, views=True)) == (7, 3)
    assert code(dense_layers(40, 100, 256, views=True)) == (16, 2)  # the views' readers count
    assert code(dense_layers(4, 4, 100, 256), "energy") == (16, 2)
    assert code(dense_layers(4, 4, 100, 256), "energy", 8) == (7, 3)  # frames come faster
    with pytest.raises(ValueError, match="price must be one of neurons, energy, not time"):
        SplitInputs(price="time")


def test_the_least_weights_go() -> None:
    weights = np.array([[[3.0, -1, 2], [0.1, 0.1, 0.2]]])
    found = kept(weights, np.ones((1, 3)), most=1.1)
    assert found.tolist() == [[[True, False, True], [False, False, True]]]
    assert kept(weights, np.ones((1, 3)), most=0.0).all()


def test_pruning_saves_synapses() -> None:
    graph, data = dense_layers(12, 40, 5), samples(200, 12)

    def made(prune: float) -> Graph:
        text = f"fold-linear,normalize,quantize{{effort=1 prune={prune}}}"
        return compiled(graph, text, calibration=(data,), t_max=16)

    graphs = [made(prune) for prune in (0.0, 0.003, 0.02)]
    counts = [sum(int(fan_in(g, layer.node).sum()) for layer in layers(g)) for g in graphs]
    assert counts[0] > 1.05 * counts[1] > 1.05 * counts[2]
    with pytest.raises(PipelineError, match="prune must be at least 0 and below 1, not 1"):
        Pipeline.parse("quantize{prune=1.0}")
