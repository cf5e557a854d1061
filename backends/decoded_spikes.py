"""From the spikes that a simulator records to the outcome of an engine."""

from __future__ import annotations

from collections.abc import Mapping

from qcompiler.ir import Graph, ProgramError
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.coding import level_of
from qcompiler.ir.spiking.integer_network import spikes_of, spiking_nodes
from qcompiler.ir.spiking.senders import start

from .counting import output_steps
from .host import Counters, Outcome, decode_outputs, output_nodes


def recorded_names(graph: Graph, record: bool) -> list[str]:
    """The inputs and populations whose spikes an outcome needs: all, or those of the outputs."""
    nodes = spiking_nodes(graph) if record else output_nodes(graph)
    return [node.result.name for node in nodes]


def outcome_of_spikes(
    graph: Graph, spikes: Mapping[str, Array], frames: int, record: bool, simulator: str
) -> Outcome:
    """The outcome of a run, from the steps of the spikes of all `recorded_names`.

    ``spikes`` are ``frames x shape``, counted from each frame's start; -1 stands for no spike, and
    a burst has the step of its first. Membranes are not observed, so nothing is counted but the
    output steps. ProgramError if a neuron does not spike in its window.
    """
    nodes = {node.result.name: node for node in spiking_nodes(graph)}
    levels = {}
    for name in recorded_names(graph, record):
        value = nodes[name].result
        code, begin = spikes_of(value), start(graph, value)
        assert begin is not None
        levels[name] = level_of(code, begin, spikes[name])
        if (levels[name] < 0).any() or (levels[name] > code.top).any():
            raise ProgramError(f"neurons of %{name} spike outside their window on {simulator}")
    counters = Counters(frames)
    counters.first, counters.last = output_steps(graph, levels)
    return Outcome(decode_outputs(graph, levels), levels if record else {}, counters)
