"""The error of a model with its values in levels, over ranges as programs have them.

`level_errors` takes ranges from the data that it runs on. Programs take them
from calibration data, of the network as it is: where it has rounded before, a variance may have
become 0, and what is divided by it reaches far. Beyond its calibrated range a function is constant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeAlias

import numpy as np

from qcompiler.ir import DataError, Graph, Node, drop_dead
from qcompiler.ir.ann import Function
from qcompiler.ir.kernels import Array
from qcompiler.passes.calibration.histogram import Histogram
from qcompiler.passes.tensor.fold_linear import FoldLinear

from .errors.level_errors import Ends, LevelCounts, Walk

Error: TypeAlias = Callable[[Sequence[Array]], float]  # of all outputs of a graph
_SPIKES = ":result"  # behind the names of values that spike; operands of products have none


def least_error(
    graph: Graph,
    counts: LevelCounts,
    data: tuple[Array, ...],
    calibration: tuple[Array, ...],
    error: Error,
) -> float | None:
    """The least error with ranges of calibration data; None if values become infinite.

    Ranges are the extremes, or have the least squared error of rounding; elements of inputs and
    outputs that are vectors share one, or have one each. So four networks are tried.
    """
    folded = FoldLinear()(drop_dead(replace(graph, output_names=())))
    errors = []
    for shrinks, apart in product((False, True), repeat=2):
        walk = CalibratedWalk(folded, counts, shrinks=shrinks, apart=apart)
        try:
            errors.append(error(walk.calibrated(calibration).run(data)))
        except DataError:
            continue
    return min(errors, default=None)


@dataclass
class CalibratedWalk(Walk):
    """A walk over a graph whose ranges are measured first, without rounding.

    Ranges that ``shrink`` have the least squared error; elements are told ``apart`` by theirs.
    """

    shrinks: bool = False
    apart: bool = True

    def calibrated(self, data: tuple[Array, ...]) -> CalibratedWalk:
        """The same walk with the ranges of calibration data."""
        self.run(data)
        return replace(self, known=self.ranges)

    def computed(self, nodes: Sequence[Node], known: dict[str, Array]) -> Array:
        """The result of the last of some nodes; a function's variable is cut to its range."""
        last = nodes[-1]
        if isinstance(last.op, Function):
            name = last.operands[0].name
            x, key = known[name], f"{name}:variable"
            low, high = self.ranges[key] = self.known.get(key) or _extremes(x, None)
            known = known | {name: x.clip(low, high)}
        return super().computed(nodes, known)

    def in_levels(
        self, name: str, array: Array, levels: int = 0, axes: tuple[int, ...] | None = None
    ) -> Array:
        """Numbers in levels; while ranges are measured, the numbers as they are."""
        axes = axes if self.apart else None
        if self.known:
            return super().in_levels(name, array, levels, axes)
        shrinks = self.shrinks and name.endswith(_SPIKES)
        found = _shrunk(array, levels, axes) if shrinks else _extremes(array, axes)
        self.ranges[name] = found
        return array


def _extremes(array: Array, axes: tuple[int, ...] | None) -> Ends:
    return array.min(axis=axes, keepdims=True), array.max(axis=axes, keepdims=True)


def _shrunk(array: Array, levels: int, axes: tuple[int, ...] | None) -> Ends:
    """Ranges of the least squared error: of all numbers, or of each column."""
    found = []
    for numbers in [array] if axes is None else array.T:
        histogram = Histogram()
        histogram.add(numbers)
        found.append(histogram.least_squares(levels))
    shape = (1,) * array.ndim if axes is None else (1, -1)
    low, high = np.array(found).T
    return low.reshape(shape), high.reshape(shape)
