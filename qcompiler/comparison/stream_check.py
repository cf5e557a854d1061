"""After compiling: what the states of a program make of its errors, on calibration sequences.

Single frames begin from the states that the model has. In a stream each frame begins from those
that the program itself has left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from qcompiler.backends.program.program import Program
from qcompiler.ir import Diagnostic, Graph
from qcompiler.ir.kernels import Array

from .compared_outputs import compared_outputs, spread_frames
from .errors.judge import TOLERATED, noise
from .errors.output_causes import Causes
from .errors.output_error import output_error
from .judged import Judged

_LONGEST, _MOST = 256, 2048  # frames of a sequence, and of all: sequences advance together
_DATA = "streamed calibration inputs, where states carry errors on"


def errors_in_stream(
    graph: Graph,
    program: Program,
    arrays: tuple[Array, ...],
    sequences: int,
    alone: Sequence[Judged],
    causes: Causes,
) -> Iterator[tuple[str, Diagnostic]]:
    """Outputs with too large an error that have a smaller one in single frames; a warning each.

    ``arrays`` hold the frames of all ``sequences``, one after the other, with the model's states;
    ``alone`` are the outputs in single frames: where levels explain an error, no weights do.
    """
    data, count = _some(graph, arrays, sequences)
    if count == len(data[0]):
        return  # no frame begins from a state that the program has left
    known = {one.error.name: one for one in alone}
    compared, _ = compared_outputs(graph, program, data, count)
    for one in compared:
        single = known.get(one.name)
        if single is None or (single.error.error or 0.0) > TOLERATED:
            continue
        levels = single.explained is not None and single.explained.explains(single.error, None)
        ends = replace(causes, coarse=tuple) if levels else causes
        error = output_error(one.name, *one.centred())
        if found := noise(error, *one.centred(), _DATA, ends):
            yield one.name, found


def _some(graph: Graph, arrays: tuple[Array, ...], sequences: int) -> tuple[tuple[Array, ...], int]:
    """The first frames of some sequences, evenly spread, and of how many."""
    length = len(arrays[0]) // sequences
    most = len(spread_frames(graph, len(arrays[0]), _MOST))
    frames = min(length, most, _LONGEST)
    count = min(sequences, most // frames)
    chosen = np.linspace(0, sequences - 1, count).astype(int)
    whole = (array.reshape(sequences, length, *array.shape[1:]) for array in arrays)
    some = (array[chosen, :frames].astype(np.float32) for array in whole)
    return tuple(array.reshape(-1, *array.shape[2:]) for array in some), count
