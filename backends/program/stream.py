"""A program frame by frame: its states go from each frame to the next, as levels."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from qcompiler.backends.host import Counters, Measured
from qcompiler.ir import CompileWarning, DataError, Diagnostic, Graph, ProgramError, Value
from qcompiler.ir.kernels import Array
from qcompiler.ir.prologue import run_on_sequences

from .given_arrays import arrays_of
from .input_batches import check_lengths, holds_frames, input_batches
from .outgrown import OutgrownStates
from .states import CarriedState, State, carried_states


class Runs(Protocol):
    """What a stream needs of a `Program`."""

    @property
    def graph(self) -> Graph:
        """The network."""

    @property
    def inputs(self) -> tuple[Value, ...]:
        """What the data are for: those of the network, or of what the host computes in front."""

    @property
    def states(self) -> tuple[State, ...]:
        """The outputs that are inputs of the next frame."""

    @property
    def unread_inputs(self) -> tuple[str, ...]:
        """Inputs of the model that nothing reads."""

    @property
    def returned(self) -> tuple[str, ...]:
        """The outputs that a step returns."""

    @property
    def prologue(self) -> Graph | None:
        """What the host computes in front of the network."""

    def measure(self, *inputs: Array, engine: str, count: bool) -> Measured:
        """Run a batch of frames."""


class Stream:
    """One or several sequences that advance together, frame by frame.

    The host carries the states between frames: levels of the outputs become those of the inputs,
    unchanged. ``counters`` add up over frames and sequences. ``tell`` hears of a state that
    outgrows its range, once; by default it issues a `CompileWarning`.
    """

    def __init__(
        self,
        program: Runs,
        engine: str = "fast",
        count: bool = False,
        tell: Callable[[Diagnostic], None] | None = None,
    ) -> None:
        """Begin at the initial levels; ProgramError if the program has no states."""
        self.program, self._engine, self._count = program, engine, count
        self._tell, self._outgrown = tell or _warn, OutgrownStates()
        self._states = carried_states(program.graph, program.states)
        if not self._states:
            raise ProgramError('the program has no states: compile the model with states="OUT:IN"')
        carried = {one.state.input for one in self._states}
        self._inputs = [value for value in program.inputs if value.name not in carried]
        self._returned = program.returned
        self.counters = Counters()
        self._levels: dict[str, Array] = {}

    @property
    def reads(self) -> tuple[str, ...]:
        """The inputs that are no states, of which each step takes a frame."""
        return tuple(value.name for value in self._inputs)

    @property
    def levels(self) -> Mapping[str, Array]:
        """The level of every element of the states, by input: ``sequences x shape``.

        These are copies. Empty before the first frame.
        """
        return {name: levels.copy() for name, levels in self._levels.items()}

    def reset(self) -> None:
        """Begin new sequences, at the initial levels."""
        self._levels.clear()
        self._outgrown.reset()

    def begin(self, states: Mapping[str, Array]) -> None:
        """Begin new sequences from real states, by input: ``sequences x shape``.

        Raises DataError for other names, shapes or lengths, and for what is not finite.
        """
        carried = {one.state.input: one for one in self._states}
        values = tuple(value for value in self.program.graph.inputs if value.name in carried)
        (given,) = input_batches((states,), values, lambda sequences: sequences)
        self.reset()
        for array, value in zip(given.arrays, values, strict=True):
            self._levels[value.name] = carried[value.name].levels(array)

    def step(self, *frames: Any) -> Array | tuple[Array, ...]:
        """The outputs of the next frame in real units; a tuple if there are several.

        Each array holds one frame of an input that is no state: of one sequence, ``shape``, or of
        several, ``sequences x shape``. One mapping by input name will do, too. States are returned
        only if there are no other outputs. Raises DataError for frames that do not fit.
        """
        given = self._given(frames)
        single = self._are_single(given)
        measured = self.measure(*given)
        found = tuple(measured.outputs[name] for name in self._returned)
        found = tuple(array[0] for array in found) if single else found
        return found[0] if len(found) == 1 else found

    def measure(self, *frames: Any) -> Measured:
        """All outputs of the next frame of every sequence, and its counters.

        ``frames`` are as for `step`; the outputs are ``sequences x shape``.
        """
        given = self._given(frames)
        if self._are_single(given):
            given = tuple(frame[None] for frame in given)
        for array, value in zip(given, self._inputs, strict=True):
            _check_shape(array, value)
        if given:
            check_lengths(given, self._inputs)
        sequences = len(given[0]) if given else 1
        known = {v.name: array for v, array in zip(self._inputs, given, strict=True)}
        known |= {one.state.input: self._before(one, sequences) for one in self._states}
        arrays = (known[value.name] for value in self.program.inputs)
        measured = self.program.measure(*arrays, engine=self._engine, count=self._count)
        for one in self._states:
            now = one.levels(measured.outputs[one.state.output])
            self._levels[one.state.input] = now
            if finding := self._outgrown.seen(one, now):
                self._tell(finding)
        self.counters.add(measured.counters)
        return measured

    def _given(self, frames: tuple[Any, ...]) -> tuple[Array, ...]:
        return arrays_of(frames, self.reads, self.program.unread_inputs)

    def _are_single(self, given: tuple[Array, ...]) -> bool:
        """Whether there is one frame of one sequence for each input."""
        pairs = zip(given, self._inputs, strict=True)
        return bool(given) and all(frame.shape == value.type.shape for frame, value in pairs)

    def _before(self, one: CarriedState, sequences: int) -> Array:
        """The state before a frame, in real units, which are encoded to its levels."""
        levels = self._levels.get(one.state.input)
        if levels is None:
            levels = np.full((sequences, *one.code.shape), one.initial)
        if len(levels) != sequences:
            before = f"the frames before were of {len(levels)} sequences, these are of {sequences}"
            raise DataError(f"{before}: reset the stream first")
        return one.real(levels)


def _warn(finding: Diagnostic) -> None:
    warnings.warn(finding.text, CompileWarning, stacklevel=4)


def _check_shape(array: Array, value: Value) -> None:
    if not holds_frames(array, shape := value.type.shape):
        takes = f'input "{value.name}" takes a frame of shape {shape}, or sequences x {shape}'
        raise DataError(f"{takes}, not {array.shape}")


def run_stream(
    program: Runs,
    sequences: tuple[Array, ...],
    engine: str = "fast",
    progress: Callable[[int], None] | None = None,
    count: bool = True,
    tell: Callable[[Diagnostic], None] | None = None,
    begin: Mapping[str, Array] | None = None,
) -> Measured:
    """Run whole sequences: ``sequences x frames x shape`` for each input that is no state.

    With ``count`` the spikes are counted; ``tell`` is that of `Stream`. ``begin`` holds the states
    of the first frames, by default the initial ones, as `Stream.begin` takes them. The outputs are
    ``(sequences * frames) x shape``, sequence by sequence.
    """
    stream = Stream(program, engine, count, tell)
    if program.prologue is not None:
        for _ in run_on_sequences(program.prologue, stream.reads, sequences):
            pass  # the data are indices, or an error tells which are none before any frame runs
    if begin is not None:
        stream.begin(begin)
    total, frames = sequences[0].shape[:2]
    parts = []
    for at in range(frames):
        parts.append(stream.measure(*(array[:, at] for array in sequences)).outputs)
        if progress:
            progress(total * (at + 1))
    outputs = {
        name: np.stack([part[name] for part in parts], axis=1).reshape(
            total * frames, *parts[0][name].shape[1:]
        )
        for name in program.graph.output_names
    }
    return Measured(outputs, stream.counters)
