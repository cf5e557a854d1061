"""Values that no ReLU ends have slices and digits, too: from the low end of their range on."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

import qcompiler
from qcompiler.frontend.import_model import import_model
from qcompiler.ir.ann import Clip
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.integer_network import layers
from qcompiler.passes.activations.inlining import inlined
from qcompiler.passes.activations.lowered_sums import with_lowered_sums
from qcompiler.passes.calibration.histogram import Histogram
from qcompiler.passes.quantization.fusion_groups import fusion_groups
from qcompiler.passes.quantization.group_index import group_named
from qcompiler.passes.slicing.slice_ranges import covered
from qcompiler.passes.slicing.sliceable import can_slice, ready
from qcompiler.passes.slicing.slices import split_range, unsliced_name
from tests.support.onnx_models import model, run_onnx
from tests.support.random_networks import compiled
from tests.support.rewrites import FOLDED, keeps_the_numbers

IMAGES = np.random.default_rng(1).standard_normal((120, 3, 6, 6)).astype(np.float32)
DEPTHWISE = (
    "a = Conv(x, A) r = Relu(a) d = Conv<group=24, pads=[1,1,1,1]>(r, D) b = Conv(d, B)"
    " s = Relu(b) f = Flatten(s) y = Gemm(f, W)"
)
RESIDUAL = (
    "a = Conv(x, A) r = Relu(a) p = Conv(r, P) t = Relu(p) q = Conv(r, Q) v = Relu(q) s = Add(t, v)"
    " b = Conv(s, B) c = Conv(s, B) g = Relu(b) h = Tanh(c) u = Add(g, h) f = Flatten(u)"
    " y = Gemm(f, W)"
)
LINEAR = (
    "a = Conv(x, A) r = Relu(a) d = Conv(r, D) e = Conv<pads=[1,1,1,1]>(d, E) s = Relu(e)"
    " f = Flatten(s) y = Gemm(f, W)"
)
LEAKY = (
    "a = Conv(x, A) r = LeakyRelu(a) b = Conv(r, B) s = LeakyRelu(b) c = Conv(s, C)"
    " u = LeakyRelu(c) f = Flatten(u) y = Gemm(f, W)"
)
SHAPES: dict[str, Any] = {"A": (24, 3, 1, 1), "W": (16 * 36, 4)}


def network(body: str, **shapes: Any) -> onnx.ModelProto:
    rng = np.random.default_rng(4)
    arrays = {
        name: (rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
        for name, shape in (SHAPES | shapes).items()
    }
    return model("float[N,3,6,6] x", body, **arrays)


def depthwise() -> onnx.ModelProto:
    return network(DEPTHWISE, D=(24, 1, 3, 3), B=(16, 24, 1, 1))


def errors(proto: onnx.ModelProto, **options: Any) -> tuple[float, set[str]]:
    """The error of scores, as a share of their variance, and what is more than one population."""
    program = qcompiler.compile(proto, calibration=IMAGES, t_max=8, **options)
    (real,) = run_onnx(proto, {"x": IMAGES})
    error = float(np.square(program.run(IMAGES) - real).mean() / real.var(axis=0).mean())
    names = [row.name for row in program.report().populations if row.kind == "integrate"]
    return error, {unsliced_name(name) for name in names if unsliced_name(name) != name}


@pytest.mark.long
@pytest.mark.parametrize("target", ["reference", "loihi"])
def test_depthwise_results_are_split_where_that_pays(target: str) -> None:
    proto = depthwise()
    whole, none = errors(proto, slices=1, target=target)
    split, found = errors(proto, slices=8, target=target)
    assert "d:centred" not in none and "d:centred" in found
    assert split < 0.6 * whole


@pytest.mark.long
def test_sums_of_values_are_split() -> None:
    """They have no layer that a shift could go into until one operand is scaled by 1."""
    proto = network(RESIDUAL, P=(2, 24, 1, 1), Q=(2, 24, 1, 1), B=(16, 2, 1, 1))
    assert "s" in errors(proto, slices=8, target="reference")[1]
    graph = compiled(import_model(proto).graph, FOLDED)
    assert can_slice(graph, group_named(graph, "s"))
    made = group_named(ready(graph, "s"), "s")
    assert made.clip and made.clip.op == Clip()
    assert [branch.linear is not None for branch in made.branches] == [True, False]


@pytest.mark.parametrize("target", ["reference", "loihi"])
def test_slices_are_whole_levels_apart(target: str) -> None:
    """One zero point, that of the lowest, and biases as of one population of all levels."""
    proto = network(LINEAR, D=(2, 24, 1, 1), E=(16, 2, 3, 3))
    options: dict[str, Any] = {"t_max": 16, "slices": 3, "target": target}
    program = qcompiler.compile(proto, calibration=IMAGES, **options)
    family = [one for one in layers(program.graph) if ":slice" in one.node.result.name]
    slices = [one for one in family if unsliced_name(one.node.result.name) == "d"]
    assert len(slices) > 1 and slices[0].spikes.zero > 0
    for index, layer in enumerate(slices):
        below = index * layer.spikes.top * slices[0].slope
        np.testing.assert_array_equal(layer.bias, slices[0].bias - below)
        assert index == 0 or layer.spikes.zero == 0


def histogram(values: Array) -> Histogram:
    found = Histogram()
    found.add(values.astype(np.float32))
    return found


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (-0.1, 7.0), (-9.0, 0.01), (0.5, 3.0)])
@pytest.mark.parametrize("steps", [2, 3, 16, 45])
def test_zero_lies_a_whole_number_of_steps_above_the_low_end(
    low: float, high: float, steps: int
) -> None:
    graph = compiled(import_model(depthwise()).graph, FOLDED)
    seen = histogram(np.linspace(low, high, 5000))
    bottom, top = seen.least_squares(steps + 1)
    start, width = covered(seen, group_named(graph, "d"), steps + 1, steps)
    step = width / steps
    assert -start / step == round(-start / step) >= 0
    assert start - step / 2 <= bottom + 0.01 and start + width + step / 2 >= top - 0.01
    assert width < 1.5 * (top - bottom) + step
    assert covered(seen, group_named(graph, "r"), steps + 1, steps)[0] == 0


def test_constant_values_have_no_slices() -> None:
    graph = compiled(import_model(depthwise()).graph, FOLDED)
    assert covered(histogram(np.zeros(9)), group_named(graph, "d"), 16, 15) == (0.0, 0.0)


def test_sums_that_lowering_inlines_are_left_alone() -> None:
    """What is no population has no levels: here the readers of a product take it over."""
    body = (
        "a = Conv(x, A) r = Relu(a) g = GlobalAveragePool(r) e = Conv(g, E) h = HardSigmoid(e)"
        " m = Mul(r, h) l = Conv(m, L) k = Conv(l, K) s = HardSwish(k)"
        " f = Flatten(s) y = Gemm(f, W)"
    )
    shapes: dict[str, Any] = {"A": (64, 3, 1, 1), "E": (64, 64, 1, 1), "L": (24, 64, 1, 1)}
    proto = network(body, K=(16, 24, 1, 1), **shapes)
    graph = compiled(import_model(proto, allow_products=True).graph, FOLDED)
    names = {g.result.name for g in fusion_groups(graph) if can_slice(graph, g)}
    assert "l" in names & inlined(graph, 16)
    assert not inlined(graph, 64)
    assert "l" not in errors(proto, slices=8, target="reference", allow_products=True)[1]


def test_leaky_relus_are_split_as_relus_are() -> None:
    """Both clips have the layer to themselves, and the next one reads them: no sum is rounded."""
    proto = network(LEAKY, B=(2, 24, 1, 1), C=(16, 2, 1, 1))
    assert "s.above" in errors(proto, slices=8, target="reference")[1]
    graph = compiled(import_model(proto).graph, FOLDED)
    lowered = with_lowered_sums(graph)
    names = {group.result.name for group in fusion_groups(lowered)}
    assert {"r", "a", "b"} & names == set()
    assert all(can_slice(lowered, group_named(lowered, f"s.{side}")) for side in ("above", "below"))
    keeps_the_numbers(graph, lowered, 0)


def test_layers_that_others_read_as_well_are_not_copied() -> None:
    proto = network(
        "a = Conv(x, A) r = LeakyRelu(a) b = Conv(r, B) s = Relu(b) t = Conv(b, C) v = Relu(t)"
        " u = Add(s, v) f = Flatten(u) y = Gemm(f, W)",
        B=(16, 24, 1, 1),
        C=(16, 16, 1, 1),
    )
    graph = compiled(import_model(proto).graph, FOLDED)
    assert "b" in {group.result.name for group in fusion_groups(with_lowered_sums(graph))}


def test_scales_between_a_layer_and_its_clips_are_part_of_each_copy() -> None:
    """As in dense blocks, where each batch norm has its own ReLU behind what all of them read."""
    proto = network(
        "a = Conv(x, A) r = Relu(a) b = Conv(r, B) g = Mul(b, p) s = Relu(g) h = Mul(b, q)"
        " t = Relu(h) u = Concat<axis=1>(s, t) c = Conv(u, C) v = Relu(c) f = Flatten(v)"
        " y = Gemm(f, W)",
        B=(6, 24, 1, 1),
        C=(16, 12, 1, 1),
        p=(6, 1, 1),
        q=(6, 1, 1),
    )
    graph = compiled(import_model(proto).graph, FOLDED)
    lowered = with_lowered_sums(graph)
    groups = {group.result.name: group for group in fusion_groups(lowered)}
    assert "b" in {g.result.name for g in fusion_groups(graph)} - groups.keys()
    assert not any(group.gain for group in groups.values())
    keeps_the_numbers(graph, lowered, 0)


def test_scales_behind_pools_of_slices_are_gains() -> None:
    """Moved in front of the sum, they would make a population of the pool of each slice."""
    proto = network(
        "a = Conv(x, A) r = Relu(a) d = Conv(r, D) p = AveragePool<kernel_shape=[2,2]>(d)"
        " g = Mul(p, k) e = Add(g, m) s = Relu(e) f = Flatten(s) y = Gemm(f, V)",
        D=(4, 24, 1, 1),
        V=(100, 4),
    )
    proto.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.full((4, 1, 1), value, np.float32), name)
        for name, value in (("k", 2.5), ("m", 0.5))
    )
    graph = compiled(import_model(proto).graph, FOLDED)
    names = {group.result.name for group in fusion_groups(graph)}
    split = ready(graph, "d")
    split = split_range(split, group_named(split, "d"), 1.0, 3, -1.5)
    more = {group.result.name for group in fusion_groups(split)} - names
    assert {unsliced_name(name) for name in more} == {"d"}
    keeps_the_numbers(graph, split, 0)
