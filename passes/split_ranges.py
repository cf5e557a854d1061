"""Code a value by several populations, each of which has a slice of its range.

All have t_max levels and speak in the same window: the value has so many times the levels, and
nothing takes longer. That costs the neurons of the value once more for each slice, and the synapses
to and from them, so it is done for bottlenecks: values that bring in much noise for the neurons
they have. (Zhao et al., arXiv 1901.09504, split single channels, for the sake of outliers.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from qcompiler.ir import Graph, Invariant
from qcompiler.ir.invariants import NO_BATCHNORM
from qcompiler.ir.kernels import Array
from qcompiler.ir.types import size

from .base import HIDDEN, Pass
from .calibration import check, check_effort, sample
from .groups import groups
from .integers import check_levels
from .levels import coded, levels_of
from .noise import Noise, noise_of, shares
from .slices import can_slice, sliced
from .trace import images_for

_QUIET = 1 / 400  # noise of a whole network, relative to its sums, that needs no mending
_WORTH = 2.0  # share of the noise saved over share of the neurons added: what longer windows save
_FEW = 10  # with fewer levels less is asked for, by (t_max / 10)^2: the noise grows like this
_MOST = 16  # slices
_IMAGES = 256  # more tell little


@dataclass(frozen=True)
class SplitRanges(Pass):
    """Split the range of values that bring in much noise for their neurons.

    The noise that rounding to ``t_max`` levels brings in is measured on ``calibration``, one batch
    an input, ``images x shape``. A value has so many ``slices`` at most, each a population. Without
    data, or with ``effort`` 0, nothing changes. Raises DataError if the data do not fit, are empty
    or not finite.
    """

    name: ClassVar[str] = "split-ranges"
    requires: ClassVar[tuple[Invariant, ...]] = (NO_BATCHNORM,)
    t_max: int = 16
    slices: int = 4
    effort: int = 0
    calibration: tuple[Array, ...] | None = field(default=None, metadata=HIDDEN, compare=False)
    progress: Callable[[float], None] | None = field(default=None, metadata=HIDDEN, compare=False)

    def __post_init__(self) -> None:
        check_effort(self.effort)
        check_levels(self.t_max)
        if not 1 <= self.slices <= _MOST:
            raise ValueError(f"slices must be between 1 and {_MOST}, not {self.slices}")

    def __call__(self, graph: Graph) -> Graph:
        """Measure, then split."""
        names = [group.result.name for group in groups(graph) if can_slice(graph, group)]
        if self.calibration is None or self.effort == 0 or self.slices == 1 or not names:
            return graph
        check(graph, self.calibration)
        images = images_for(graph, len(self.calibration[0]), 1)
        data = sample(self.calibration, min(images, _IMAGES))
        levels = partial(levels_of, graph, t_max=self.t_max)
        found = noise_of(graph, data, levels, self.progress)
        for name, count in self._counts(graph, names, found).items():
            group = next(group for group in groups(graph) if group.result.name == name)
            steps = count * (levels(group.result) - 1)
            _, top = found[name].histogram.least_squares(steps + 1, 0.0)
            if top > 0:
                graph = sliced(graph, group, top / count, count)
        return graph

    def _counts(self, graph: Graph, names: list[str], found: dict[str, Noise]) -> dict[str, int]:
        """How many populations are worth it: one slice more is as long as it saves enough."""
        if sum(noise.sums for noise in found.values()) < _QUIET:
            return {}
        sizes = {value.name: size(value.type) for value in coded(graph)}
        least = _WORTH * min(1.0, (self.t_max / _FEW) ** 2) / sum(sizes.values())
        noise, counts = shares(found), {}
        for name in names:
            saved = (1 / n**2 - 1 / (n + 1) ** 2 for n in range(1, self.slices))
            worth = noise.get(name, 0.0) / sizes[name]
            counts[name] = 1 + sum(worth * share >= least for share in saved)
        return {name: count for name, count in counts.items() if count > 1}
