"""Choose the quantization range of every tensor that becomes spikes.

With calibration data, the network runs once on onnxruntime and the pass collects a histogram of
every tensor. The method ``percentile`` cuts the tails of the histogram; ``mse`` takes the range
with the least squared rounding error for t_max levels; of outputs with many more levels it reaches
for the next value. Without data, interval arithmetic over the weights gives the widest possible
range.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import ClassVar

from qcompiler.ir import Graph, Invariant, Range, Tensor, Value
from qcompiler.ir.ann import Clip, Function, Multiply
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.invariants import NO_BATCHNORM, TENSOR_LEVEL
from qcompiler.passes.base import HIDDEN, Pass, check_bounds
from qcompiler.passes.calibration.data import check
from qcompiler.passes.calibration.grid import chooses, grid_of
from qcompiler.passes.calibration.histogram import Histogram, around_zero, check_method
from qcompiler.passes.calibration.intervals import interval_ranges
from qcompiler.passes.calibration.snap import snapped_range
from qcompiler.passes.folding.neighbours import is_ranged
from qcompiler.passes.quantization.fusion_groups import (
    FusionGroup,
    fusion_groups,
    only_decoded,
)
from qcompiler.passes.quantization.levels import (
    PRECISE,
    check_levels,
    coded_inputs,
    levels_of,
    map_values,
)

from .measured_values import domains_of, histograms_of, seen_as

# What zero may widen the ranges of outputs by, as a share: the host needs no level that is zero.
_OFF_CHIP = 0.25

_BYTES = ((-128.0, 127.0), (0.0, 255.0))  # ranges of types, of more integers than few levels hold


@dataclass(frozen=True)
class Normalize(Pass):
    """Set the quantization range of every tensor that becomes spikes.

    ``calibration`` holds one array per input, ``images x shape``; without it, ``low`` and ``high``
    bound the inputs. ``t_max`` and ``output_t_max`` are those of `quantize`. If an input holds
    integers that span fewer values than there are levels, its scale is 1: one level per integer.
    So it is with multiples of another number, if the network rounds or compares.
    Layers whose results already have a range keep it. Raises DataError if the data do not fit, are
    empty or not finite.
    """

    name: ClassVar[str] = "normalize"
    requires: ClassVar[tuple[Invariant, ...]] = (TENSOR_LEVEL, NO_BATCHNORM)
    method: str = "mse"
    percentile: float = 99.9
    t_max: int = 16
    output_t_max: int = 0
    low: float = 0.0
    high: float = 1.0
    calibration: tuple[Array, ...] | None = field(default=None, metadata=HIDDEN, compare=False)
    progress: Callable[[float], None] | None = field(default=None, metadata=HIDDEN, compare=False)

    def __post_init__(self) -> None:
        check_levels(self.t_max, output_t_max=self.output_t_max)
        check_method(self.method, self.percentile)
        check_bounds(self.low, self.high)
        if self.low == self.high:
            raise ValueError(f"low must be below high, {self.high:g}, not {self.low:g}")

    def __call__(self, graph: Graph) -> Graph:
        """Measure or bound, then write the ranges into the types."""
        if self.calibration is None:
            return _with_ranges(graph, interval_ranges(graph, (self.low, self.high)))
        check(graph, self.calibration)
        ranges = self._calibrated(graph, self.calibration)
        for value, array in zip(graph.inputs, self.calibration, strict=True):
            levels, grid = self._levels(graph, value), grid_of(array, chooses(graph))
            if value.name in ranges and grid and grid.span < levels:
                ranges[value.name] = grid.bounds(levels)
        measured = {v.name for v in graph.inputs if not self._keeps_range(graph, v)}
        return _with_ranges(graph, ranges, measured)

    def _levels(self, graph: Graph, value: Value) -> int:
        return levels_of(graph, value, self.t_max, self.output_t_max)

    def _keeps_range(self, graph: Graph, value: Value) -> bool:
        """Whether an input keeps its range: not that of a type of more integers than levels.

        A state does, however wide: its other end has the same.
        """
        bounds = value.type.range if isinstance(value.type, Tensor) else None
        if bounds not in _BYTES or value not in graph.inputs:
            return bounds is not None
        return bounds[1] - bounds[0] < self._levels(graph, value)

    def _calibrated(self, graph: Graph, data: tuple[Array, ...]) -> dict[str, Range]:
        found = {g.result.name: g for g in fusion_groups(graph) if not is_ranged(g.result)}
        domains = domains_of(graph, products=self.t_max >= PRECISE)  # chains of these drift
        seen = seen_as(graph, (v for v in coded_inputs(graph) if not self._keeps_range(graph, v)))
        known = {value.name: value for value in graph.inputs}
        known |= {node.result.name: node.result for node in graph.nodes}
        histograms = histograms_of(graph, data, [*dict.fromkeys(seen.values())], self.progress)
        ranges = {
            name: self._domain(histograms[seen[name]])
            if name in domains
            else self._cut(graph, found.get(name), histograms[seen[name]], known[name])
            for name in seen
        }
        given = {value.name for value in graph.inputs}  # as they are, not computed
        return {
            n: r if n in given else _below_bound(snapped_range(r), found.get(n))
            for n, r in ranges.items()
        }

    def _domain(self, histogram: Histogram) -> Range:
        """The domain of a fitted function: ``mse`` keeps the tails, which cost only a segment."""
        if self.method == "percentile":
            return histogram.percentile(self.percentile)
        return histogram.low, histogram.high

    def _cut(
        self, graph: Graph, group: FusionGroup | None, histogram: Histogram, value: Value
    ) -> Range:
        clip = group.clip.op if group and group.clip else Clip()
        assert isinstance(clip, Clip)
        widened = _OFF_CHIP if only_decoded(graph, value) else 1.0
        if self.method == "percentile":
            bottom, top = histogram.percentile(self.percentile)
            top = top if clip.high is None else min(top, clip.high)
            if clip.low is not None and histogram.low <= clip.low:
                return clip.low, top
            return around_zero(bottom, top, clip.low, clip.high, widened)
        levels = self._levels(graph, value)
        made = graph.producer(value)
        bounded = made and isinstance(made.op, Function | Multiply) and not made.arrays
        return histogram.least_squares(levels, clip.low, clip.high, widened, reaches=not bounded)


def _below_bound(bounds: Range, group: FusionGroup | None) -> Range:
    """A range of few bits that ends at the upper bound of a clip, if rounding took it beyond."""
    clip = group.clip.op if group and group.clip else Clip()
    assert isinstance(clip, Clip)
    low, high = bounds
    return low, high if clip.high is None or high < low else min(high, max(low, clip.high))


def _with_ranges(graph: Graph, ranges: dict[str, Range], measured: Collection[str] = ()) -> Graph:
    """Write ranges into the types of values; ones not named, or ranged, stay as they are.

    Unless they are ``measured``: inputs that have the range of their type.
    """

    def ranged(value: Value) -> Value:
        known = ranges.get(value.name)
        if not known or not isinstance(value.type, Tensor):
            return value
        if is_ranged(value) and value.name not in measured:
            return value
        return Value(value.name, replace(value.type, range=known))

    return map_values(graph, ranged)
