"""Populations that a target's limits leave few weight bits."""

from __future__ import annotations

from qcompiler.backends.population_report import weight_bits
from qcompiler.backends.program.program import Program
from qcompiler.ir import Diagnostic
from qcompiler.ir.spiking.integer_network import spikes_of, spiking_nodes

_ENOUGH = 6  # bits below which rounded weights are known to cost accuracy


def few_weight_bits(program: Program, enough: int = _ENOUGH) -> list[str]:
    """Populations with so few weight bits that accuracy suffers, each with its bits."""
    graph = program.graph
    nodes = (n for n in spiking_nodes(graph) if spikes_of(n.result).t_max > 2)  # others are exact
    found = ((node.result.name, weight_bits(graph, node)) for node in nodes)
    return [f"{name} ({bits})" for name, bits in found if bits is not None and bits < enough]


def weight_bits_warning(program: Program, asked: int | None) -> Diagnostic | None:
    """A warning of a program that was not compared with its model, for weights of ``asked`` bits.

    None if the target's limits are no reason why bits are few.
    """
    few = few_weight_bits(program, min(_ENOUGH, asked or _ENOUGH))
    if not few:
        return None
    return Diagnostic(
        f"the target's limits leave few weight bits in {', '.join(few)}: accuracy may "
        "suffer; a smaller --t-max leaves more bits"
    )
