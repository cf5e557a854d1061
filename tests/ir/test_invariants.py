"""A network that breaks an invariant is refused; what the compiler proves is what steps shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qcompiler.backends import LOIHI, REFERENCE
from qcompiler.backends.reference.steps_engine import StepsEngine
from qcompiler.ir import Constant, Graph, InvalidGraph, Node, ProgramError, verify
from qcompiler.ir.snn import Fanout, Population, Window
from qcompiler.ir.spiking.dynamics import Dynamics
from qcompiler.ir.spiking.integer_network import control_lines, layers
from qcompiler.ir.spiking.invariants import READ_OUT, SCHEDULED, SPIKING
from tests.support import random_networks as networks


@pytest.fixture(scope="module")
def spiking() -> Graph:
    graph = networks.random_network(1, depth=3)
    batch = networks.random_batch(graph, 1)
    return networks.compiled(graph, networks.LOIHI, calibration=(batch,), t_max=8)


def changed(graph: Graph, role: str, factor: float = 1, more: float = 0) -> Graph:
    """Spoil the weights of one role in the last population."""
    nodes = list(graph.nodes)
    index = max(i for i, n in enumerate(nodes) if isinstance(n.op, Fanout) and n.op.role == role)
    tick, weight = nodes[index].operands
    assert isinstance(weight, Constant)
    spoilt = Constant(weight.name, (weight.data * factor + more).astype(np.int32))
    nodes[index] = replace(nodes[index], operands=(tick, spoilt))
    return replace(graph, nodes=tuple(nodes))


def test_the_compiled_network_holds_them_all(spiking: Graph) -> None:
    verify(spiking, *LOIHI.requires)
    verify(spiking, *REFERENCE.requires)


@pytest.mark.parametrize(
    ("role", "factor", "more", "message"),
    [
        ("counterweight", 1, 2, "does not cancel its weights"),
        ("readout", 1, 2, "do not span its window"),
        ("align", 1, 2, "do not span its window"),
        ("hold", 1, 2, "does not undo its hold"),
        ("force", 0, -2, "misses membrane potentials"),
        ("bias", 1, 1 << 20, "could fire before its read step"),
    ],
)
def test_spoilt_weights_are_refused(
    spiking: Graph, role: str, factor: float, more: float, message: str
) -> None:
    with pytest.raises(InvalidGraph, match=message):
        verify(changed(spiking, role, factor, more), READ_OUT)


def test_a_weaker_hold_is_refused_and_would_be_wrong(spiking: Graph) -> None:
    weak = spiking
    for role in ("hold", "release"):
        weak = changed(weak, role, 0)
    with pytest.raises(InvalidGraph, match="could fire before"):
        verify(weak, READ_OUT)


def test_no_force_is_counted_never_silently_wrong(spiking: Graph) -> None:
    batch = networks.random_batch(networks.random_network(1, depth=3), 1)
    with pytest.raises(ProgramError, match="outside their window"):
        StepsEngine(changed(spiking, "force", 0))(np.concatenate([-9 * batch, 9 * batch]))


def replaced(graph: Graph, change: object) -> Graph:
    nodes: list[Node] = []
    for node in graph.nodes:
        op = change(node.op) if isinstance(node.op, Population) else node.op  # type: ignore[operator]
        nodes.append(replace(node, op=op))
    return replace(graph, nodes=tuple(nodes))


def test_windows_that_do_not_meet_are_refused(spiking: Graph) -> None:
    def later(op: Population) -> Population:
        opens, read, close = op.window
        return replace(op, window=(opens, read + 1, close + 1))

    with pytest.raises(InvalidGraph, match="do not arrive in the window"):
        verify(replaced(spiking, later), SCHEDULED)


def test_a_missing_synapse_is_refused(spiking: Graph) -> None:
    nodes = list(spiking.nodes)
    index = max(i for i, n in enumerate(nodes) if isinstance(n.op, Population))
    nodes[index] = replace(nodes[index], operands=nodes[index].operands[:-1])
    with pytest.raises(InvalidGraph, match="has no force synapse"):
        verify(replace(spiking, nodes=tuple(nodes)), SPIKING, READ_OUT)


def test_potentials_beyond_the_target_are_refused(spiking: Graph) -> None:
    from qcompiler.ir.spiking.invariants import within

    with pytest.raises(InvalidGraph, match="the limit is 100"):
        verify(spiking, within(100, "small"))


def test_the_most_negative_bias_does_not_wrap_into_a_small_one(spiking: Graph) -> None:
    lowest = int(np.iinfo(np.int32).min)
    wrapped = changed(spiking, "bias", 0, lowest)
    with pytest.raises(InvalidGraph, match="allow"):
        verify(wrapped, LOIHI.requires[-1])


@pytest.mark.parametrize("pipeline", [networks.LOIHI, networks.CALIBRATED])
def test_what_has_spiked_bears_the_forced_pulse(pipeline: str) -> None:
    """However hard a population is pushed, its slope is all that a spike has to inhibit."""
    pushed = 0
    for seed in range(6):
        graph = networks.random_network(seed, depth=3)
        batch = networks.random_batch(graph, seed)
        found = networks.compiled(graph, pipeline, calibration=(batch,), t_max=4)
        for layer in layers(found):
            op = layer.node.op
            assert isinstance(op, Population)
            lines = control_lines(found, layer.node)
            worst = Dynamics(layer.drive, lines, Window(*op.window), op.threshold)
            assert np.all(worst.silence() <= layer.slope)
            pushed += op.threshold >= layer.slope.max() * op.t_max
    assert pushed
