"""Pairs of an output and an input that are one state: as options say them, or by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from math import isfinite

from qcompiler.backends.program.states import State
from qcompiler.ir import Graph, PipelineError, Value
from qcompiler.ir.ann import OnHost, Rescale
from qcompiler.ir.types import size
from qcompiler.ir.view import View

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_ENDS = {
    *("in", "out", "input", "output", "prev", "previous", "next", "new", "old", "last"),
    *("n", "initial", "init", "final", "updated", "past", "present", "before", "after"),
}
_LARGEST = 1e30  # magnitude of what calibration data may hold
_SHORT = re.compile(r"([hc])n")  # as in hn and cn, the names of PyTorch's documentation


def parse_state(text: str) -> State:
    """``OUT:IN`` or ``OUT:IN=INITIAL``; ValueError for anything else."""
    if not isinstance(text, str):
        raise ValueError(f"expected text such as 'h_out:h_in', not {text!r}")
    names, _, number = text.partition("=")
    output, colon, into = names.rpartition(":")
    try:
        initial = float(number or 0)
    except ValueError:
        initial = float("nan")
    if not colon or not output or not into or not isfinite(initial):
        raise ValueError(f"expected OUT:IN or OUT:IN=INITIAL, such as h_out:h_in, not {text!r}")
    return State(output.strip(), into.strip(), initial)


def states_of(graph: Graph, given: str | Sequence[str]) -> tuple[State, ...]:
    """The states that are asked for, checked; ``auto`` takes those that the names propose.

    Raises PipelineError for names that the model does not have, shapes that differ, or values that
    are no spikes.
    """
    texts = [given] if isinstance(given, str) or not isinstance(given, Iterable) else list(given)
    if texts == ["auto"]:
        if not (found := tuple(proposed(graph))):
            raise PipelineError(
                "no names of inputs and outputs look like a state: name them, --state OUT:IN"
            )
    else:
        try:
            found = tuple(map(parse_state, texts))
        except ValueError as error:
            raise PipelineError(f"state: {error}") from error
    for ends in ([s.output for s in found], [s.input for s in found]):
        if twice := sorted({name for name in ends if ends.count(name) > 1}):
            raise PipelineError(f"{twice[0]} is an end of two states")
    for state in found:
        _check(graph, state)
    return found


def proposed(graph: Graph) -> Iterator[State]:
    """Pairs of one shape whose names differ only in words such as ``in`` and ``out``.

    At least one input is left that is no state.
    """
    inputs = {_stem(value.name): value for value in graph.inputs}
    found = []
    for name, value in zip(graph.output_names, graph.outputs, strict=True):
        known = inputs.get(_stem(name))
        if known and _stem(name) and known.name != name and _same_shape(known, value):
            found.append(State(name, known.name))
    if len({state.input for state in found}) == len(found) < len(graph.inputs):
        yield from found


def _stem(name: str) -> tuple[str, ...]:
    """The words of a name without those that tell the ends of a state apart."""
    words = [word.lower() for word in _WORDS.findall(name)]
    words = [short[1] if (short := _SHORT.fullmatch(word)) else word for word in words]
    if len(words) == 2 and len(words[0]) == 1 and words[1] == "0":  # h0
        words.pop()
    return tuple(word for word in words if word not in _ENDS)


def _check(graph: Graph, state: State) -> None:
    inputs = {value.name: value for value in graph.inputs}
    outputs = dict(zip(graph.output_names, graph.outputs, strict=True))
    for name, known, kind in ((state.output, outputs, "output"), (state.input, inputs, "input")):
        if name not in known:
            has = ", ".join(known)
            raise PipelineError(f"state {state}: the model has no {kind} {name}; it has {has}")
    if abs(state.initial) > _LARGEST:
        raise PipelineError(
            f"state {state}: the initial value is too large: at most {_LARGEST:g} is supported"
        )
    value, read = outputs[state.output], inputs[state.input]
    if not _same_shape(read, value):
        shapes = f"{state.output} has shape {value.type.shape}, {state.input} {read.type.shape}"
        raise PipelineError(f"state {state}: {shapes}: both ends must have one shape")
    if any(isinstance(user.op, Rescale) for user in graph.users(read)) or _on_host(graph, value):
        raise PipelineError(
            f"state {state}: the host computes {state.output}, as it does the last softmax of a "
            "model: move that operator to the beginning of the model, behind the input"
        )


def _same_shape(one: Value, other: Value) -> bool:
    a, b = (tuple(n for n in value.type.shape if n != 1) for value in (one, other))
    return a == b and size(one.type) == size(other.type)


def _on_host(graph: Graph, value: Value) -> bool:
    node = graph.producer(value)
    while node is not None and isinstance(node.op, View):
        first = node.operands[0]
        node = graph.producer(first)
    return node is not None and isinstance(node.op, OnHost | Rescale)
