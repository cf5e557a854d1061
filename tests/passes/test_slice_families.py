"""Slices of one value: one fit, the same weights and slopes, and biases whole levels apart."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.backends.reference.fast.closed_form import ClosedForm
from qcompiler.ir import Graph
from qcompiler.ir.spiking.integer_network import Layer, layers, weight_of
from qcompiler.passes.slicing.slices import unsliced_name
from tests.support.onnx_models import model


def sliced(target: str, effort: int) -> Graph:
    """Three layers at 4 levels, of which the middle ones need more."""
    rng = np.random.default_rng(3)
    body = (
        "a = Conv<pads=[1,1,1,1]>(x, U) r = Relu(a) b = Conv<pads=[1,1,1,1]>(r, V) s = Relu(b)"
        " f = Flatten(s) y = Gemm(f, W)"
    )
    shapes = {"U": (8, 2, 3, 3), "V": (8, 8, 3, 3), "W": (8 * 36, 3)}
    arrays: dict[str, Any] = {
        name: (rng.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
        for name, shape in shapes.items()
    }
    x = rng.random((120, 2, 6, 6), np.float32)
    options: dict[str, Any] = {"t_max": 4, "slices": 3, "effort": effort, "target": target}
    proto = model("float[N,2,6,6] x", body, **arrays)
    return qcompiler.compile(proto, calibration=x, **options).graph


def by_value(graph: Graph) -> dict[str, list[Layer]]:
    found: dict[str, list[Layer]] = defaultdict(list)
    for layer in layers(graph):
        name = layer.node.result.name
        if ":slice" in name and not name.startswith("y"):
            found[unsliced_name(name)].append(layer)
    return {name: some for name, some in found.items() if len(some) > 1}


@pytest.mark.parametrize("target", ["reference", "loihi"])
def test_slices_share_weights_and_slopes(target: str) -> None:
    families = by_value(sliced(target, 1))
    assert families
    for family in families.values():
        lowest = family[0]
        for index, layer in enumerate(family):
            below = index * layer.spikes.top * lowest.slope
            np.testing.assert_array_equal(layer.bias, lowest.bias - below)
            for one, other in zip(layer.synapses, lowest.synapses, strict=True):
                assert one.operands[1] == other.operands[1]  # one constant, by its name


def test_readers_have_the_same_weights_for_all_slices() -> None:
    graph = sliced("reference", 1)
    slices = {layer.node.result.name for some in by_value(graph).values() for layer in some}
    seen = 0
    for layer in layers(graph):
        weights: dict[str, list[Any]] = defaultdict(list)
        for synapse in layer.synapses:
            if synapse.operands[0].name in slices:
                name = unsliced_name(synapse.operands[0].name)
                weights[name].append(weight_of(synapse))
        for first, *others in weights.values():
            seen += len(others)
            assert all(np.array_equal(first, other) for other in others)
    assert seen


def test_the_fast_engine_computes_their_sums_once() -> None:
    graph = sliced("reference", 1)
    kernels = [n for n in ClosedForm(graph, False, False).writer.nodes if "Conv" in n.op_type]
    populations = sum(len(layer.synapses) > 0 for layer in layers(graph))
    families = by_value(graph)
    extra = sum(len(some) - 1 for some in families.values())
    assert len(kernels) <= populations - extra
