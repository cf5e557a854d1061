"""States: outputs of one frame that are inputs of the next, carried as levels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isclose
from typing import Any

import numpy as np

from qcompiler.ir import DataError, Diagnostic, Graph, Node, ProgramError, Spikes, Value, size
from qcompiler.ir.ann import Concat
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Decode, Encode
from qcompiler.ir.spiking.coding import Rescaling, code_of_output, decode, encode
from qcompiler.ir.view import View

from .given_arrays import are_batches

_DAMAGED = "the manifest's states are damaged: compile the model again"
_TIED = "passes other than the default ones must keep the range and the levels of both ends"
_LARGEST = 2.0**127  # of what single precision holds; nothing is less than NaN
_SAME = 1e-9  # relative difference of scales that counts as none


@dataclass(frozen=True)
class State:
    """An output that is an input of the next frame, by their names; ``initial`` in real units."""

    output: str
    input: str
    initial: float = 0.0

    def __str__(self) -> str:
        initial = f"={self.initial:g}" if self.initial else ""
        return f"{self.output}:{self.input}{initial}"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"output": self.output, "input": self.input, "initial": self.initial}


@dataclass(frozen=True)
class CarriedState:
    """A state of a compiled network: what is decoded at its output are levels of its input."""

    state: State
    code: Spikes

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest value that the input can hold."""
        code = self.code
        return -code.zero * code.scale, (code.top - code.zero) * code.scale

    @property
    def initial(self) -> int:
        """The level of the input at the first frame."""
        return int(encode(self.code, np.array(self.state.initial)))

    def levels(self, output: Array) -> Array:
        """Decoded outputs to levels of the input."""
        return encode(self.code, output).reshape(len(output), *self.code.shape)

    def real(self, levels: Array) -> Array:
        """Levels of the input to real numbers, which are encoded to the same levels."""
        return decode(self.code, levels)


def states_from(known: Any) -> tuple[State, ...]:
    """The states that a manifest holds; ProgramError if they are damaged."""
    if not isinstance(known, list) or not all(isinstance(one, Mapping) for one in known):
        raise ProgramError(_DAMAGED)
    found = []
    for one in known:
        names, initial = (one.get("output"), one.get("input")), one.get("initial")
        right = type(initial) in (int, float) and abs(initial) < _LARGEST
        if not right or not all(isinstance(name, str) for name in names):
            raise ProgramError(_DAMAGED)
        found.append(State(str(names[0]), str(names[1]), float(initial)))
    return tuple(found)


def check_given_states(given: Sequence[Any], inputs: int, states: Sequence[State]) -> None:
    """DataError for data of all inputs but the states, whose remedy is a stream.

    ``inputs`` is how many the program has, states included.
    """
    if not states or (len(given) == 1 and are_batches(given[0])):
        return
    names = [state.input for state in states]
    named = len(given) == 1 and isinstance(given[0], Mapping)
    if not any(name in given[0] for name in names) if named else len(given) == inputs - len(names):
        text = f"the data hold no states, {', '.join(names)}, which are inputs of the program, too"
        help_ = "program.stream() carries them from frame to frame; else give arrays for them"
        raise DataError(Diagnostic(text, help=help_))


def carried_states(graph: Graph, states: Sequence[State]) -> tuple[CarriedState, ...]:
    """The states with their codes; ProgramError if both ends of one have not the same levels."""
    return tuple(_carried(graph, state) for state in states)


def _carried(graph: Graph, state: State) -> CarriedState:
    inputs = {value.name: value for value in graph.inputs}
    outputs = dict(zip(graph.output_names, graph.outputs, strict=True))
    if state.input not in inputs or state.output not in outputs:
        raise ProgramError(_DAMAGED)
    code = next(_codes_of(graph, inputs[state.input]), None)
    decoders = list(_decoders(graph, outputs[state.output]))
    if code is None or not decoders:
        raise ProgramError(f"the state {state} does not come from, or go to, spikes")
    if size(outputs[state.output].type) != size(code) or not all(
        _within(code_of_output(decoder), code) for decoder in decoders
    ):
        text = f"the two ends of the state {state} differ in their levels"
        raise ProgramError(Diagnostic(text, help=_TIED))
    found = CarriedState(state, code)
    low, high = found.bounds
    if not low - code.scale <= state.initial <= high + code.scale:
        raise ProgramError(f"the state {state} begins beyond its values, {low:g} to {high:g}")
    return found


def _within(output: Spikes, read: Spikes) -> bool:
    """Whether all levels of an output are levels of the input that reads it."""
    offset = read.zero - output.zero
    same = isclose(output.scale, read.scale, rel_tol=_SAME)
    return same and offset >= 0 and output.top + offset <= read.top


def _codes_of(graph: Graph, value: Value) -> Iterator[Spikes]:
    for node in graph.users(value):
        if isinstance(node.op, Encode) and Rescaling.of(node) is None:
            code = node.op.code
            yield Spikes(value.type.shape, code.t_max, code.scale, code.zero)


def _decoders(graph: Graph, value: Value) -> Iterator[Node]:
    """What decodes a value, or its parts; an empty result if another operation computes it."""
    node = graph.producer(value)
    if node is not None and isinstance(node.op, Decode):
        yield node
    elif node is not None and isinstance(node.op, View | Concat):
        parts = (part for part in node.operands if isinstance(part, Value))
        found = [list(_decoders(graph, part)) for part in parts]
        yield from (one for part in found for one in part) if all(found) else ()
