"""Invariants: predicates that the pipeline runs between passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np

from .ann import Clip
from .builder import infer
from .diagnostics import Diagnostic, InvalidGraph, blamed, raise_if_any
from .graph import Constant, Graph, Value

_LONGEST_NAME = 10_000  # letters; archives hold names of 65,535 bytes


@dataclass(frozen=True)
class Invariant:
    """A named predicate on graphs; ``check`` yields what breaks it."""

    name: str
    check: Callable[[Graph], Iterator[Diagnostic]]


def verify(graph: Graph, *invariants: Invariant) -> None:
    """Check that a graph is well formed and has these invariants; InvalidGraph lists all faults."""
    raise_if_any(well_formed(graph), InvalidGraph)
    verify_invariants(graph, *invariants)


def verify_invariants(graph: Graph, *invariants: Invariant) -> None:
    """Check that a well-formed graph has these invariants; InvalidGraph lists all faults.

    PipelineError for the check of a user that fails.
    """
    for invariant in invariants:
        with blamed(invariant.check, f"the check of {invariant.name}"):
            found = tuple(invariant.check(graph))
        raise_if_any(found, InvalidGraph)


def well_formed(graph: Graph) -> Iterator[Diagnostic]:
    """Every operand is defined before it is read, names and types hold, constants are finite."""
    for name in ("inputs", "nodes", "outputs", "output_names"):
        if not isinstance(found := getattr(graph, name), tuple):
            yield Diagnostic(f"the {name} of the graph are a {type(found).__name__}, not a tuple")
    yield from _unsavable_names(graph)
    known: dict[str, Value] = {value.name: value for value in graph.inputs}
    constants: dict[str, Constant] = {}
    for node in graph.nodes:
        for operand in node.operands:
            if isinstance(operand, Value) and known.get(operand.name) != operand:
                yield Diagnostic(f"%{operand.name} is read before it is defined", node.origin)
            if isinstance(operand, Constant):
                if constants.setdefault(operand.name, operand) != operand:
                    yield Diagnostic(f"two constants are named #{operand.name}", node.origin)
                elif not np.isfinite(operand.data).all():
                    yield Diagnostic(
                        f"#{operand.name} holds NaN or infinite numbers",
                        node.origin,
                        "repair the weights in the model, then compile again",
                    )
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


def _unsavable_names(graph: Graph) -> Iterator[Diagnostic]:
    """Whether archives of arrays could not hold a name: one finding for all of a kind."""
    found: dict[str, tuple[str, ...]] = {}
    for node in graph.nodes:
        for one in (*node.operands, node.result):
            found.setdefault(one.name, node.origin)
    for name in graph.output_names:
        found.setdefault(name, ())
    cut = [name for name in found if "\0" in name]
    long = [name for name in found if len(name) > _LONGEST_NAME]
    for names, what in ((cut, "has a NUL character"), (long, f"has over {_LONGEST_NAME} letters")):
        if names:
            count = f" ({len(names)} names)" if len(names) > 1 else ""
            nodes = tuple(dict.fromkeys(chain.from_iterable(map(found.__getitem__, names))))
            shown = f"{names[0]!r:.80}"
            message = f"the name {shown} {what}{count}"
            yield Diagnostic(message, nodes, "rename it in the model, then compile again")
