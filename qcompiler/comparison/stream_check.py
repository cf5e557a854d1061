"""After compiling: what the states of a program make of its errors, on calibration sequences.

Single frames begin from the states that the model has. In a stream each frame begins from those
that the program itself has left.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from qcompiler.backends.program.program import Program
from qcompiler.ir import Diagnostic, Graph
from qcompiler.ir.kernels import Array
from qcompiler.passes.quantization.levels import PRECISE
from qcompiler.passes.spiking.quantize import Quantize

from .compared_outputs import compared_outputs, spread_frames
from .errors.judge import TOLERATED, noise
from .errors.output_causes import Causes
from .errors.output_error import output_error
from .judged import Judged

_USUAL_BITS = 8  # of weights, for which more levels of states are too fine
_FINER = 512  # t_max at which the levels of states are twice as many
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
    data, lively, count = _some(graph, program, arrays, sequences)
    if count == len(data[0]):
        return  # no frame begins from a state that the program has left
    known = {one.error.name: one for one in alone}
    causes = replace(causes, first=causes.first or _remedy(program, _t_max_in(causes.pipeline)))
    compared, _ = compared_outputs(graph, program, data, count)
    frames = lively * (len(data[0]) // count)
    for one in compared:
        single = known.get(one.name)
        if single is None or (single.error.error or 0.0) > TOLERATED:
            continue
        levels = single.explained is not None and single.explained.explains(single.error, None)
        ends = replace(causes, coarse=tuple) if levels else causes
        whole = one.centred()
        for ours, theirs in ((array[:frames] for array in whole), whole):
            error = output_error(one.name, ours, theirs)
            if found := noise(error, ours, theirs, _DATA, ends):
                yield one.name, found
                break


def _remedy(program: Program, t_max: int) -> str:
    """What helps a state where a larger ``t_max`` may not; nothing where that may."""
    if t_max < _FINER and program.backend.weight_bits(_FINER) > _USUAL_BITS:
        return f"compile with a larger --t-max: from {_FINER} on, states have twice the levels"
    if t_max < PRECISE:
        return ""
    return "let states change by more in a frame: export a step for every few frames of the data"


def _t_max_in(pipeline: str) -> int:
    """The t_max that the text of a pipeline gives to values."""
    found = re.search(r"quantize\{[^}]*t_max=(\d+)", pipeline)
    return int(found[1]) if found else Quantize.t_max


def _some(
    graph: Graph, program: Program, arrays: tuple[Array, ...], sequences: int
) -> tuple[tuple[Array, ...], int, int]:
    """Stretches of sequences: how many are where states move most, and how many there are.

    The first are of sequences that are evenly spread, but for those in which hardly anything
    happens. The others are evenly spread over all frames: where states rest, errors stay.
    """
    length = len(arrays[0]) // sequences
    most = min(_MOST, len(spread_frames(graph, len(arrays[0]), _MOST)))
    frames = min(length, most, _LONGEST)
    whole = [array.reshape(sequences, length, *array.shape[1:]) for array in arrays]
    carried = {state.input for state in program.states}
    given = zip(program.graph.inputs, whole, strict=True)
    states = [array for value, array in given if value.name in carried]
    places, moves = _liveliest(states, frames)
    lively = np.flatnonzero(moves >= moves.mean() / 2)
    chosen = [(at, places[at]) for at in _evenly(lively, most // frames)]
    begins = range(0, length - frames + 1, frames)
    others = [one for one in product(range(sequences), begins) if one not in chosen]
    left = _evenly(np.arange(len(others)), most // frames - len(chosen))
    every = [(at, slice(i, i + frames)) for at, i in (*chosen, *(others[n] for n in left))]
    some = (np.concatenate([array[at] for at in every]) for array in whole)
    return tuple(array.astype(np.float32) for array in some), len(chosen), len(every)


def _evenly(given: Array, most: int) -> Array:
    """As many of some numbers, evenly spread."""
    count = min(len(given), most)
    found: Array = given[np.linspace(0, len(given) - 1, count).astype(int)]
    return found


def _liveliest(states: Sequence[Array], frames: int) -> tuple[Array, Array]:
    """Where in each sequence the stretch begins in which states move most, and by how much."""
    sequences, length = states[0].shape[:2]
    before = np.zeros((sequences, length))  # what states have moved up to a frame
    for state in states:
        spread = float(state.std()) or 1.0
        for moved, values in zip(before, state.reshape(sequences, length, -1), strict=True):
            moved[1:] += np.abs(np.diff(values, axis=0)).mean(axis=1).cumsum() / spread
    moves = before[:, frames - 1 :] - before[:, : length - frames + 1]
    return moves.argmax(axis=1), moves.max(axis=1)
