"""A program, and the model it was compiled from, on a data set that is read batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from qcompiler.arguments import function
from qcompiler.backends.host import Counters, Measured, frames_per_batch
from qcompiler.backends.program.program import Program
from qcompiler.data import Array, Data, Stream
from qcompiler.data.data_set import checked_places
from qcompiler.ir import DataError, ProgramError

_BATCH_BYTES = 1 << 26  # of frames as they are read
_MOST_FRAMES = 256


@dataclass
class StreamedRun:
    """What a run over a data set has found so far: outputs in real units by name, and counters.

    ``reference`` are the outputs of the model, if it runs, too. ``interrupted`` tells that frames
    are left. Runs over parts of a data set add up, in the order of the parts, to that of the whole.
    """

    counters: Counters = field(default_factory=Counters)
    interrupted: bool = False
    _outputs: list[Mapping[str, Array]] = field(default_factory=list)
    _reference: list[Mapping[str, Array]] = field(default_factory=list)
    _labels: list[Array] = field(default_factory=list)
    _places: list[Array | None] = field(default_factory=list)

    def add(self, found: Measured, data: Data, reference: Mapping[str, Array] | None) -> None:
        """Add a batch."""
        self._outputs.append(found.outputs)
        if reference is not None:
            self._reference.append(reference)
        if data.labels is not None:
            self._labels.append(data.labels)
        self._places.append(data.places)
        self.counters.add(found.counters)

    def finish(self, stream: Stream) -> None:
        """Tell the stream which frames were run, and their labels."""
        known = [places for places in self._places if places is not None]
        whole = len(known) == len(self._places)
        stream.keep(self.counters.frames, np.concatenate(known) if whole and known else None)
        stream.labels = self.labels

    def extend(self, other: StreamedRun) -> None:
        """Add the run over the frames that follow."""
        self._outputs += other._outputs
        self._reference += other._reference
        self._labels += other._labels
        self._places += other._places
        self.counters.add(other.counters)
        self.interrupted |= other.interrupted

    @property
    def measured(self) -> Measured:
        """Outputs of all frames, and their counters."""
        return Measured(_joined(self._outputs), self.counters)

    @property
    def reference(self) -> dict[str, Array] | None:
        """Outputs of the model, or None if it did not run."""
        return _joined(self._reference) if self._reference else None

    @property
    def labels(self) -> Array | None:
        """Labels of the frames, if there are any."""
        return np.concatenate(self._labels) if self._labels else None


def run_stream(
    program: Program,
    stream: Stream,
    engine: str = "fast",
    *,
    reference: Callable[[Data], Mapping[str, Array]] | None = None,
    progress: Callable[[int], None] | None = None,
    places: Sequence[int] | None = None,
) -> StreamedRun:
    """Run a program on the frames of a stream, or on those at ``places``, in bounded memory.

    What is held of all frames are outputs and labels. ``reference`` gives the outputs of the model
    for a batch; ``progress`` receives the number of frames that are done. An interrupt ends the run
    with what is done, unless that is nothing. Raises DataError for bad frames, or if all are, and
    for what is no `Stream`.
    """
    check_program(program, "run_stream")
    if not isinstance(stream, Stream):
        message = f"run_stream takes what open_stream gives, not a {type(stream).__name__}"
        raise DataError(f"{message}: run arrays with program.run")
    function(progress, "progress")
    function(reference, "reference")
    if places is not None:
        places = checked_places(places, len(stream))
    done = StreamedRun()
    size = len(stream) if places is None else max(1, len(places))
    if not program.streams(engine):
        size = min(size, _batch(program))
    try:
        for data in stream.batches(size, places):
            before = done.counters.frames
            report = None if progress is None else _shifted(progress, before)
            at = before if data.places is None else int(data.places[0])
            found = program.measure(*data.arrays, engine=engine, progress=report, first=at)
            done.add(found, data, None if reference is None else reference(data))
    except KeyboardInterrupt:
        if not done.counters.frames:
            raise
        done.interrupted = True
    if not done.counters.frames and places is None:
        raise DataError(f"none of the {len(stream)} frames can be read")
    if places is None:
        done.finish(stream)
    return done


def check_program(given: object, runs: str) -> None:
    """ProgramError for what is no program; ``runs`` would run it."""
    if not isinstance(given, Program):
        raise ProgramError(f"{runs} runs a program, not {given!r:.60}")


def _batch(program: Program) -> int:
    """Frames of a batch: as many as the program's batches, so that the counters are the same."""
    step = frames_per_batch(program.graph)
    frame = sum(4 * int(np.prod(value.type.shape)) for value in program.inputs)
    return step * max(1, min(_MOST_FRAMES, _BATCH_BYTES // max(1, frame)) // step)


def _shifted(progress: Callable[[int], None], before: int) -> Callable[[int], None]:
    return lambda frames: progress(before + frames)


def _joined(parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """Outputs of batches by name as those of one."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
