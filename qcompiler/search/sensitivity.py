"""How much the outputs of a network suffer if one of its values has few levels.

Each value in turn is clipped and rounded to levels while everything else stays real; the error
of the outputs is measured on calibration images. To first order, the errors of several values add
up.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qcompiler.ir import Graph, Spikes, Tensor, Value, drop_dead
from qcompiler.ir.ann import Clip
from qcompiler.ir.kernels import Array
from qcompiler.passes.calibration.data import sample
from qcompiler.passes.calibration.trace import size_of
from qcompiler.passes.quantization.level_codes import code_of
from qcompiler.passes.quantization.levels import levels_of, spiking_values
from qcompiler.passes.slicing.rounded_outputs import RealValues
from qcompiler.passes.tensor.assign_levels import AssignLevels
from qcompiler.passes.tensor.normalize import Normalize

LEVELS = (2, 3, 4, 6, 8, 12, 16, 32)  # that are tried; between and beyond is interpolated
MOST = 128  # levels per value, or per digit of it
_NOTHING = 1e-30  # an error that is none
_WORK = 2e12  # products, of all trials
_FEWEST, _MOST_IMAGES = 32, 128
_MEMORY, _BYTES = 1 << 31, 40  # of an element of the largest value, while it is rounded

Images = tuple[Array, ...]


def errors(graph: Graph, data: Images, output: Value) -> Array:
    """Mean squared error of an output: a row per `spiking_values`, a column per t_max up to `MOST`.

    Times are those of spikes, of which digits make many levels. What all elements of an output have
    in common does not count: it changes no class. Columns 0 and 1 are infinite.
    """
    cut = drop_dead(replace(graph, outputs=(output,), output_names=()))
    data = _subset(cut, data)
    codes = _codes(cut, data)
    total = np.zeros((len(spiking_values(graph)), len(LEVELS)))
    rows = {value.name: row for row, value in enumerate(spiking_values(graph))}
    real = RealValues(cut, data, [*codes])
    for value in codes:
        rounded = real.outputs_if_rounded(value, codes[value])
        for column, outputs in enumerate(rounded):
            total[rows[value.name], column] = spread(outputs - real.output)
    return np.stack([_interpolated(row) for row in total])


def _subset(graph: Graph, data: Images) -> Images:
    """As many images as the work allows."""
    products, largest = size_of(graph)
    trials = len(spiking_values(graph)) * len(LEVELS)
    most = int(np.clip(_WORK / products / trials, _FEWEST, _MOST_IMAGES))
    most = int(max(1, min(most, _MEMORY / _BYTES / largest)))
    return sample(data, most)


def _codes(graph: Graph, data: Images) -> dict[Value, list[Spikes]]:
    """The code of every value that will be spikes, for each of `LEVELS` as spike times."""
    found: dict[Value, list[Spikes]] = {value: [] for value in spiking_values(graph)}
    for times in LEVELS:
        allotted = AssignLevels(":".join(map(str, [times] * len(found))))(graph)
        ranged = Normalize(calibration=data)(allotted)
        for value, typed in zip(found, spiking_values(ranged), strict=True):
            assert isinstance(typed.type, Tensor) and typed.type.range is not None
            producer = graph.producer(value)
            high = producer.op.high if producer and isinstance(producer.op, Clip) else None
            levels = levels_of(ranged, typed, times)
            found[value].append(code_of(value.type.shape, levels, typed.type.range, high))
    return found


def spread(difference: Array) -> float:
    """Mean square of what the elements of each image do not have in common."""
    flat = difference.reshape(len(difference), -1).astype(np.float64)
    return float(np.mean((flat - flat.mean(axis=1, keepdims=True)) ** 2))


def _interpolated(tried: Array) -> Array:
    """Errors of 0 to `MOST` levels from those of `LEVELS`: powers of the step between."""
    steps = np.log(np.maximum(np.arange(MOST + 1), 2) - 1)
    known = np.log(np.maximum(np.minimum.accumulate(tried), _NOTHING))
    at = np.log(np.array(LEVELS) - 1)
    found = np.interp(steps, at, known) - 2 * np.maximum(steps - at[-1], 0)
    result: Array = np.exp(found)
    result[:2] = np.inf
    return result
