"""Digits of an output are one population for the host that reads them, if they are digits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qcompiler.backends.reference.fast.fast_engine import FastEngine
from qcompiler.backends.reference.fast.whole_digits import with_whole_digits
from qcompiler.ir import Constant, Graph
from qcompiler.ir.snn import Decode, Fanout, Relay
from qcompiler.ir.spiking.integer_network import spikes_of, spiking_nodes
from qcompiler.passes import Pipeline
from tests.support.spiking import READOUT, Net


@pytest.fixture(scope="module")
def graph() -> Graph:
    net = Net(2, largest=40)
    value = net.dense(net.dense(net.input((6,), 8), 8, 8), 3, 64)
    found = Pipeline.parse(f"split-windows{{how=digits}},{READOUT}").run(net.graph(value))
    assert _decoded(found).places == (8, 1)
    return found


def _names(graph: Graph) -> list[str]:
    return [node.result.name for node in spiking_nodes(graph)]


def _decoded(graph: Graph) -> Decode:
    (found,) = (node.op for node in graph.nodes if isinstance(node.op, Decode))
    return found


def _changed(graph: Graph, kind: type[Relay | Fanout], role: str = "") -> Graph:
    """The graph with the first weight of one of its last such synapses changed by one."""
    nodes = [
        node
        for node in graph.nodes
        if isinstance(node.op, kind) and (not role or getattr(node.op, "role", "") == role)
    ]
    weights = nodes[-1].operands[1]
    assert isinstance(weights, Constant)
    other = weights.data.copy()
    other.flat[0] += 1
    changed = replace(
        nodes[-1], operands=(nodes[-1].operands[0], Constant(weights.name + ":other", other))
    )
    return replace(graph, nodes=tuple(changed if n is nodes[-1] else n for n in graph.nodes))


def test_one_population_stands_for_all_digits(graph: Graph) -> None:
    whole = with_whole_digits(graph)
    assert _decoded(whole) == Decode()
    assert len(spiking_nodes(whole)) == len(spiking_nodes(graph)) - 1
    assert spikes_of(spiking_nodes(whole)[-1].result).t_max == 64


@pytest.mark.parametrize(("kind", "role"), [(Relay, ""), (Fanout, "bias"), (Fanout, "readout")])
def test_populations_that_are_no_digits_stay(
    graph: Graph, kind: type[Relay | Fanout], role: str
) -> None:
    other = _changed(graph, kind, role)
    assert _names(with_whole_digits(other)) == _names(other)
    images = np.random.default_rng(1).integers(0, 8, (20, 6)).astype(np.float32)
    engine = FastEngine(other)
    (counted,), (bare,) = engine(images).outputs, engine(images, count=False).outputs
    np.testing.assert_array_equal(counted, bare)
