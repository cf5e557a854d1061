"""Data as people have them: readers of files, and what Python holds, as a network takes them.

Read in this order:

1. `frames`: arrays in memory (`Data`), and the interface of readers (`Reader`, `Source`).
2. `readers`: the built-in readers, one file per kind of data, listed in ``built_in``.
3. `find`: the reader of a path: a built-in one, or that of a plugin.
4. `data_set`: `DataSet`, a path and the options to read it with.
5. `stream`: `Stream`, the frames of a source arranged and checked, batch by batch.
6. `reading`: `read`, what fits into memory of anything: a path, arrays, batches.

A plugin declares a `Reader` as an entry point of the group ``qcompiler.readers``.
"""

from .data_set import DataSet
from .frames.arrange import check_labels, fit
from .frames.held import Array, Data, Frames, Inputs
from .frames.labels import labels_of
from .frames.source import Indexed, Options, Reader, Source, Wanted
from .reading import as_given, read
from .stream import Stream, open_stream, skipped_text

__all__ = [
    "Array",
    "Data",
    "DataSet",
    "Frames",
    "Indexed",
    "Inputs",
    "Options",
    "Reader",
    "Source",
    "Stream",
    "Wanted",
    "as_given",
    "check_labels",
    "fit",
    "labels_of",
    "open_stream",
    "read",
    "skipped_text",
]
