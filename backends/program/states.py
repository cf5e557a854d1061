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
    """A state of a compiled network: what is decoded at its output are levels of its input.

    ``rescaling`` is what the host does to the state in front of the input, if elements have ranges
    of their own.
    """

    state: State
    code: Spikes
    rescaling: Rescaling | None = None

    @property
    def factor(self) -> Array:
        """What the elements are multiplied by, in double precision; it spreads over them."""
        found = np.ones(()) if self.rescaling is None else self.rescaling.factor
        return found.astype(np.float64)

    @property
    def coded(self) -> tuple[float, float]:
        """The lowest and the highest number that levels stand for, in units of the code."""
        return -self.code.zero * self.code.scale, (self.code.top - self.code.zero) * self.code.scale

    @property
    def bounds(self) -> tuple[Array, Array]:
        """The lowest and the highest value that each element of the input can hold."""
        low, high = self.coded
        one = np.broadcast_to(1 / self.factor, self.code.shape)
        return low * one, high * one

    @property
    def initial(self) -> Array:
        """The level of every element of the input at the first frame."""
        whole = np.full(self.code.shape, self.state.initial)
        return encode(self.code, whole, self.rescaling)

    def levels(self, output: Array) -> Array:
        """Decoded outputs to levels of the input."""
        return encode(self.code, output.reshape(len(output), *self.code.shape), self.rescaling)

    def real(self, levels: Array) -> Array:
        """Levels of the input to real numbers, which are encoded to the same levels."""
        if self.rescaling is None:
            return decode(self.code, levels)
        real = (levels.astype(np.float64) - self.code.zero) * self.code.scale / self.factor
        found: Array = real.astype(np.float32)
        return found


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
    encoder = next(_encoders(graph, inputs[state.input]), None)
    decoders = list(_decoders(graph, outputs[state.output]))
    if encoder is None or not decoders:
        raise ProgramError(f"the state {state} does not come from, or go to, spikes")
    assert isinstance(encoder.op, Encode)
    code, shape = encoder.op.code, inputs[state.input].type.shape
    found = CarriedState(
        state, Spikes(shape, code.t_max, code.scale, code.zero), Rescaling.of(encoder)
    )
    if size(outputs[state.output].type) != size(found.code) or not all(
        _within(code_of_output(decoder), found.code) and _divides(decoder, found)
        for decoder in decoders
    ):
        text = f"the two ends of the state {state} differ in their levels"
        raise ProgramError(Diagnostic(text, help=_TIED))
    low, high = found.bounds
    step = code.scale / found.factor
    if not np.all((low - step <= state.initial) & (state.initial <= high + step)):
        ends = f"{low.min():g} to {high.max():g}"
        raise ProgramError(f"the state {state} begins beyond its values, {ends}")
    return found


def _divides(decoder: Node, found: CarriedState) -> bool:
    """Whether a decoder divides by what the elements are multiplied by in front of the input."""
    rescaling = Rescaling.of(decoder)
    if rescaling is None:
        return found.rescaling is None
    one = np.ravel(np.broadcast_to(rescaling.factor, decoder.result.type.shape))
    other = np.ravel(np.broadcast_to(found.factor, found.code.shape))
    return not rescaling.offset.any() and one.shape == other.shape and np.allclose(one * other, 1)


def _within(output: Spikes, read: Spikes) -> bool:
    """Whether all levels of an output are levels of the input that reads it."""
    offset = read.zero - output.zero
    same = isclose(output.scale, read.scale, rel_tol=_SAME)
    return same and offset >= 0 and output.top + offset <= read.top


def _encoders(graph: Graph, value: Value) -> Iterator[Node]:
    """What encodes a value, without an offset."""
    for node in graph.users(value):
        if isinstance(node.op, Encode):
            rescaling = Rescaling.of(node)
            if rescaling is None or not rescaling.offset.any():
                yield node


def _decoders(graph: Graph, value: Value) -> Iterator[Node]:
    """What decodes a value, or its parts; an empty result if another operation computes it."""
    node = graph.producer(value)
    if node is not None and isinstance(node.op, Decode):
        yield node
    elif node is not None and isinstance(node.op, View | Concat):
        parts = (part for part in node.operands if isinstance(part, Value))
        found = [list(_decoders(graph, part)) for part in parts]
        yield from (one for part in found for one in part) if all(found) else ()
