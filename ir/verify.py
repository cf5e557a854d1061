"""Invariants: predicates that the pipeline runs between passes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from .ann import Clip
from .builder import infer
from .diagnostics import Diagnostic, InvalidGraph, blamed, raise_if_any
from .formats.graph_parts import ill_made
from .given import check_graph
from .graph import Constant, Graph, Value
from .types import size


@dataclass(frozen=True)
class Invariant:
    """A named predicate on graphs; ``check`` yields what breaks it."""

    name: str
    check: Callable[[Graph], Iterator[Diagnostic]]


def verify(graph: Graph, *invariants: Invariant) -> None:
    """Check that a graph is well formed and has these invariants.

    InvalidGraph lists all faults of the first that does not hold. PipelineError for the check of a
    user that fails.
    """
    check_graph(graph)
    raise_if_any(well_formed(graph), InvalidGraph)
    verify_invariants(graph, *invariants)


def verify_invariants(graph: Graph, *invariants: Invariant) -> None:
    """Check that a well-formed graph has these invariants; raises as `verify` does."""
    for invariant in invariants:
        with blamed(invariant.check, f"the check of {invariant.name}"):
            found = tuple(invariant.check(graph))
        raise_if_any(found, InvalidGraph)


def well_formed(graph: Graph) -> Iterator[Diagnostic]:
    """Every operand is defined before it is read, names and types hold, constants are finite."""
    faults = tuple(ill_made(graph))
    yield from faults or _wired(graph)


def _wired(graph: Graph) -> Iterator[Diagnostic]:
    """What is wrong between the parts of a graph that is made of the right ones."""
    yield from _twice((value.name for value in graph.inputs), "inputs are named %")
    yield from _twice(graph.output_names, "outputs are named ")
    made = ((node.result, node.origin) for node in graph.nodes)
    for value, origin in (*((value, ()) for value in graph.inputs), *made):
        if not size(value.type):
            yield Diagnostic(f"%{value.name} has no elements", origin)
    known: dict[str, Value] = {value.name: value for value in graph.inputs}
    constants: dict[str, Constant] = {}
    for node in graph.nodes:
        for operand in node.operands:
            name = operand.name
            if isinstance(operand, Value) and known.get(name) != operand:
                yield Diagnostic(f"%{name} is read before it is defined", node.origin)
            if isinstance(operand, Constant) and constants.setdefault(name, operand) != operand:
                yield Diagnostic(f"two constants are named #{name}", node.origin)
        if isinstance(node.op, Clip) and len(node.operands) > 1:
            times = node.operands[1]
            if not (isinstance(times, Constant) and np.all(times.data >= 1)):
                message = f"%{times.name} is no constant of multiples, 1 or more, of bounds"
                yield Diagnostic(message, node.origin)
        if node.result.name in known:
            yield Diagnostic(f"%{node.result.name} is defined twice", node.origin)
        known[node.result.name] = node.result
        try:
            inferred = infer(node.op, node.operands, node.origin)
        except InvalidGraph as error:
            yield from error.diagnostics
        else:
            if inferred != node.result.type.layout:
                yield Diagnostic(
                    f"%{node.result.name} is {inferred}, not {node.result.type}", node.origin
                )
    if not graph.outputs:
        yield Diagnostic("the graph has no outputs")
    for value in graph.outputs:
        if known.get(value.name) != value:
            yield Diagnostic(f"the output %{value.name} is not defined")
    if len(graph.output_names) != len(graph.outputs):
        yield Diagnostic("outputs and their names differ in number")


def _twice(names: Iterable[str], what: str) -> Iterator[Diagnostic]:
    for name, count in Counter(names).items():
        if count > 1:
            yield Diagnostic(f"{count} {what}{name}")
