"""Sentences about the limits that rest on calibration data instead of a proof."""

from __future__ import annotations

from collections.abc import Iterator

from qcompiler.backends.host import Counters
from qcompiler.ir import Diagnostic, Graph, Node
from qcompiler.ir.snn import Population
from qcompiler.ir.spiking.integer_network import spiking_nodes

_SHOWN = 8


def describe_calibrated_limits(
    graph: Graph, counters: Counters | None = None, engine: str = ""
) -> tuple[str, ...]:
    """One sentence per population with calibrated bounds; with counters, how often they failed."""
    return tuple(
        _limit_sentence(node, node.op) + _exceeded_clause(counters, engine, node.result.name)
        for node in _calibrated_populations(graph)
        if isinstance(node.op, Population)
    )


def summarize_calibrated_limits(
    graph: Graph, counters: Counters | None = None, engine: str = ""
) -> str:
    """The same as `describe_calibrated_limits` in one line; empty if all limits are proven."""
    nodes = list(_calibrated_populations(graph))
    if not nodes:
        return ""
    ops = [node.op for node in nodes if isinstance(node.op, Population)]
    what = (
        "the limits of 1 population" if len(ops) == 1 else f"the limits of {len(ops)} populations"
    )
    seen = f"seen on {max(op.images for op in ops)} calibration images"
    margin = f"with a margin of {min(op.margin for op in ops):g}"
    return f"{what}, {seen} {margin}{_exceeded_clause(counters, engine, None)}"


def exceeded_limits(counters: Counters) -> Diagnostic | None:
    """The warning on frames that exceed the calibrated limits of populations, if there are any."""
    if not counters.exceeded:
        return None
    found = counters.exceeded_by_population or {}
    names = [f"%{name}" for name, count in found.items() if count]
    more = ", .." if len(names) > _SHOWN else ""
    return Diagnostic(
        f"{counters.exceeded:,} of {counters.frames:,} frames exceed the calibrated limits of "
        f"{', '.join(names[:_SHOWN])}{more}: other engines may give other results for them",
        help="calibrate on more frames, or compile with proved=True",
    )


def _calibrated_populations(graph: Graph) -> Iterator[Node]:
    for node in spiking_nodes(graph):
        if isinstance(node.op, Population) and node.op.images:
            yield node


def _limit_sentence(node: Node, op: Population) -> str:
    return (
        f"membranes and inputs of %{node.result.name} stay within their limits, as seen on "
        f"{op.images} calibration images with a margin of {op.margin:g}"
    )


def _exceeded_clause(counters: Counters | None, engine: str, name: str | None) -> str:
    if counters is None:
        return ""
    if counters.exceeded_by_population is None:
        return f": not counted by the {engine} engine"
    found = counters.exceeded if name is None else counters.exceeded_by_population.get(name, 0)
    return f": {found:,} of {counters.frames:,} frames exceeded them"
