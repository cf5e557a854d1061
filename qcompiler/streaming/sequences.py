"""Data of sequences: ``frames x shape`` is one, ``sequences x frames x shape`` are several."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qcompiler import data
from qcompiler.backends.program.states import State
from qcompiler.data import Data
from qcompiler.ir import DataError, Graph
from qcompiler.ir.kernels import Array
from qcompiler.ir.prologue import run_on_sequences


@dataclass(frozen=True)
class Sequences:
    """One array for each input that is no state, ``sequences x frames x shape``.

    Labels are one for each frame, ``sequences * frames``, if there are any.
    """

    arrays: tuple[Array, ...]
    labels: Array | None
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.arrays[0])

    @property
    def frames(self) -> int:
        """Frames of a sequence."""
        return int(self.arrays[0].shape[1])

    def head(self, count: int | None) -> Sequences:
        """The first frames of every sequence."""
        arrays = tuple(array[:, :count] for array in self.arrays)
        labels = self.labels
        if labels is not None:
            labels = labels.reshape(len(self), self.frames)[:, :count].reshape(-1)
        return Sequences(arrays, labels, self.names)

    def with_states(self, graph: Graph, states: Sequence[State]) -> Data:
        """The same for all inputs of a graph, in their order, states at their initial values."""
        known = dict(zip(self.names, self.arrays, strict=True))
        initial = {state.input: state.initial for state in states}
        names = tuple(value.name for value in graph.inputs)
        shapes = {value.name: value.type.shape for value in graph.inputs}
        arrays = (
            known[name]
            if name in known
            else np.full((len(self), 1, *shapes[name]), initial[name], np.float32)
            for name in names
        )
        return Data(tuple(arrays), self.labels, names)

    def behind(self, prologue: Graph | None) -> Sequences:
        """The same as the network reads them, behind what the host computes in front of it.

        Raises DataError for what are no indices.
        """
        if prologue is None:
            return self
        parts = list(run_on_sequences(prologue, self.names, self.arrays))
        names = parts[0].keys()
        arrays = (np.stack([part[name] for part in parts]) for name in names)
        return Sequences(tuple(arrays), self.labels, tuple(names))

    def as_data(self, whole: Graph, coded: Data) -> Data:
        """All frames as the inputs of the model take them, of those that its network reads.

        These are ``coded``, and hold the states.
        """
        frames = (array.reshape(-1, *array.shape[2:]) for array in self.arrays)
        known = dict(zip(coded.names, coded.arrays, strict=True))
        known |= dict(zip(self.names, frames, strict=True))
        names = tuple(value.name for value in whole.inputs)
        return Data(tuple(known[name] for name in names), self.labels, names)

    def as_frames(
        self, graph: Graph, states: Sequence[State], outputs: Mapping[str, Array]
    ) -> Data:
        """All frames of all sequences, each with the states that the outputs before it give.

        ``outputs`` are ``sequences x frames x shape``, by name.
        """
        first = self.with_states(graph, states)
        ends = {state.input: outputs[state.output] for state in states}
        arrays = []
        for name, array in zip(first.names, first.arrays, strict=True):
            if name in ends:
                before = ends[name][:, :-1].reshape(len(self), -1, *array.shape[2:])
                array = np.concatenate([array, before], axis=1)
            arrays.append(array.reshape(-1, *array.shape[2:]))
        return Data(tuple(arrays), self.labels, first.names)


def read_sequences(
    source: Any, graph: Graph, states: Sequence[State], unread: Collection[str] = ()
) -> Sequences:
    """Read the data of the inputs that are no states; DataError if they do not fit.

    They may hold ``unread`` inputs of the model, too.
    """
    carried = {state.input for state in states}
    inputs = [(v.name, v.type.shape) for v in graph.inputs if v.name not in carried]
    if not inputs:
        raise DataError("every input is a state: a sequence has no frames")
    named, labels = data.as_given(source, inputs, unread)
    if len(named) != len(inputs):
        raise DataError(f"{len(named)} arrays for {len(inputs)} inputs that are no states")
    found = [_sequences(a, shape, name) for a, (name, shape) in zip(named, inputs, strict=True)]
    lengths = {array.shape[:2] for array in found}
    if len(lengths) > 1:
        raise DataError(f"the inputs differ in sequences x frames: {sorted(lengths)}")
    ((count, frames),) = lengths
    if not count or not frames:
        raise DataError("the data are empty")
    if labels is not None:
        labels = _labels(np.asarray(labels), count, frames)
    return Sequences(tuple(found), labels, tuple(name for name, _ in inputs))


def _sequences(array: Array, shape: tuple[int, ...], name: str) -> Array:
    if np.ndim(array) == len(shape) + 2 and array.shape[2:] == shape:
        flat = data.fit(array.reshape(-1, *shape), shape, None, name)
        found: Array = flat.reshape(*array.shape[:2], *shape)
        return found
    return data.fit(array, shape, None, name)[None]


def _labels(labels: Array, count: int, frames: int) -> Array | None:
    """One label a frame, as they are given, or that of the sequence for each of its frames."""
    if labels.size == count * frames:
        return labels.reshape(-1)
    if labels.shape == (count,):
        return np.repeat(labels, frames)
    raise DataError(
        f"there are {labels.size} labels for {count} sequences of {frames} frames: give one for "
        "each frame, or for each sequence"
    )
