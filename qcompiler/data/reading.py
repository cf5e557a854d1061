"""What fits into memory of any data: a path, arrays, or batches that Python code makes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qcompiler.backends.program.given_arrays import (
    are_batches,
    arrays_of,
    batches_of,
    by_name,
    given_labels,
)
from qcompiler.ir import DataError, Diagnostic, Graph

from .data_set import DataSet
from .find import reading
from .frames.arrange import arranged
from .frames.held import Data, Inputs
from .frames.labels import labels_of
from .frames.source import InMemory
from .stream import Stream, joined, open_source, open_stream

if TYPE_CHECKING:
    from qcompiler.backends.program.program import Program

MOST_BYTES, MOST_FRAMES = 1 << 29, 200_000  # more frames change no range, and take minutes


def read(
    source: Any,
    inputs: Inputs,
    layout: str | None = None,
    labels: Any = None,
    unread: Collection[str] = (),
) -> Data:
    """Read data from a path, a `DataSet`, arrays, or an iterable of batches.

    Arrays are one for a single input, which may be a list of its frames, a sequence of one per
    input, or a mapping by name, with labels or not, as `by_name` takes it. They are rearranged to
    ``frames x shape`` where only one way to do so makes sense, or ``layout`` (what the network
    takes) decides. Of a path as many frames as take half a gigabyte are read, at most 200,000,
    evenly spread; of batches the first ones. ``labels``, an array or a path, replace those of the
    data, and are one for each of their frames. Mappings may hold ``unread`` inputs of the model,
    too. Raises DataError for anything else.
    """
    if isinstance(source, str | Path | DataSet):
        given = source if isinstance(source, DataSet) else DataSet(source)
        given = given if labels is None else replace(given, labels=labels)
        stream = open_stream(given, inputs, layout)
        found = stream.spread(_affordable(stream, given.frames))
        return replace(found, skipped=tuple(sorted(stream.skipped)), told=stream.source.told)
    if are_batches(source):
        return _labelled(_first(source, inputs, layout, unread), inputs, labels)
    return _labelled(arranged(read_arrays(source, inputs, unread), inputs, layout), inputs, labels)


def inputs_of(graph: Graph | Program) -> Inputs:
    """Name and shape of each input."""
    return tuple((value.name, value.type.shape) for value in graph.inputs)


def read_arrays(source: Any, inputs: Inputs, unread: Collection[str] = ()) -> Data:
    """Arrays in memory, as they are, and labels that a mapping holds. Raises as `arrays_of`."""
    names = [name for name, _ in inputs]
    if isinstance(source, Mapping):
        return Data(by_name(source, names, unread), given_labels(source, names))
    several = isinstance(source, Sequence) and not isinstance(source, bytes)
    several = several and not _is_one_array(source, names)
    return Data(arrays_of(source if several else (source,), names, unread))


def _is_one_array(given: Sequence[Any], names: Sequence[str]) -> bool:
    """Whether a sequence holds the frames of the only input: a list with parts of one shape."""
    if len(names) != 1 or len(given) < 2 or not isinstance(given, list):
        return False
    with suppress(ValueError):  # of nested lists of unlike lengths
        return len(set(map(np.shape, given))) == 1
    return False


def as_given(
    source: Any, inputs: Inputs, unread: Collection[str] = ()
) -> tuple[tuple[Any, ...], Any]:
    """One array for each input as it is, in any arrangement, and labels if there are any.

    Arrays may hold sequences, and labels be one for each of their frames. ``source`` is one of
    `read`, but for batches one by one. Raises DataError for what cannot be read.
    """
    if are_batches(source):
        message = f"sequences are given as arrays, not one by one by a {type(source).__name__}"
        help_ = "give each of the inputs an array, sequences x frames x shape, or a path"
        raise DataError(Diagnostic(message, help=help_))
    if not isinstance(source, str | Path | DataSet):
        found = read_arrays(source, inputs, unread)
        return found.arrays, found.labels
    given = source if isinstance(source, DataSet) else DataSet(source)
    opened = open_source(given, inputs, sequences=True)
    if isinstance(opened, InMemory):
        return opened.arrays, opened.labels
    told, opened.labels = opened.labels, None  # which may be more than one for each
    with reading(opened):
        whole = joined(list(opened.batches(max(1, len(opened)))))
    return whole.arrays, whole.labels if told is None else told


def _labelled(found: Data, inputs: Inputs, labels: Any) -> Data:
    if labels is None:
        return found
    return replace(found, labels=labels_of(labels, len(found), inputs))


def _affordable(stream: Stream, asked: int | None) -> int:
    """How many frames to hold: those asked for, or all within the bound."""
    if asked is not None:
        return asked
    first = next(stream.batches(1), None)
    each = sum(array.nbytes for array in first.arrays) if first else 1
    return max(1, min(MOST_FRAMES, MOST_BYTES // max(1, each)))


def _first(
    source: Iterable[Any], inputs: Inputs, layout: str | None, unread: Collection[str]
) -> Data:
    """The first batches, as many as fit into the bound."""
    parts, held, frames = [], 0, 0
    for arrays, labels in batches_of(source, [name for name, _ in inputs], unread):
        parts.append(arranged(Data(arrays, labels), inputs, layout))
        held += sum(array.nbytes for array in parts[-1].arrays)
        frames += len(parts[-1])
        if held > MOST_BYTES or frames >= MOST_FRAMES:
            break
    if not parts:
        raise DataError("the data are empty")
    return joined(parts)
