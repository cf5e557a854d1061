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
from typing import ClassVar, TypeAlias

import numpy as np

from qcompiler.ir import Graph, Invariant
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.invariants import NO_BATCHNORM
from qcompiler.ir.types import size
from qcompiler.passes.calibration.data import check, check_effort, sample
from qcompiler.passes.calibration.histogram import Histogram
from qcompiler.passes.calibration.snap import snapped_range
from qcompiler.passes.calibration.trace import images_for
from qcompiler.passes.quantization.fusion_groups import FusionGroup, fusion_groups
from qcompiler.passes.quantization.integer_layer import check_levels
from qcompiler.passes.quantization.levels import levels_of, spiking_values
from qcompiler.passes.slicing.bottlenecks import Bottleneck, Slicing, choose_slices
from qcompiler.passes.slicing.channel_slices import (
    can_split_channels,
    channels_name,
    split_channels,
)
from qcompiler.passes.slicing.noise import Noise, noise_of, shares
from qcompiler.passes.slicing.slices import can_slice, split_range

from .base import HIDDEN, Pass

OnChannelSplit: TypeAlias = "Callable[[str, list[int]], None] | None"

_QUIET = 1 / 400  # noise of a whole network, relative to its sums, that needs no mending
_WORTH = 2.5  # share of the noise saved over share of the neurons added; longer windows save 2
_FEW = 10  # with fewer levels shares are those of (t_max / 10)^2 of the noise: it grows like this
_MOST = 16  # slices
_IMAGES = 256  # more tell little


@dataclass(frozen=True)
class SplitRanges(Pass):
    """Split the range of values that bring in much noise for their neurons.

    The noise that rounding to ``t_max`` levels brings in is measured on ``calibration``, one batch
    an input, ``images x shape``. A value, or some channels of it, has so many ``slices`` at most,
    each a population. Without data, or with ``effort`` 0, nothing changes. ``note`` is told the
    name of every value that holds some channels of another, and which these are. Raises DataError
    if the data do not fit, are empty or not finite.
    """

    name: ClassVar[str] = "split-ranges"
    requires: ClassVar[tuple[Invariant, ...]] = (NO_BATCHNORM,)
    t_max: int = 16
    slices: int = 4
    effort: int = 0
    calibration: tuple[Array, ...] | None = field(default=None, metadata=HIDDEN, compare=False)
    progress: Callable[[float], None] | None = field(default=None, metadata=HIDDEN, compare=False)
    note: OnChannelSplit = field(default=None, metadata=HIDDEN, compare=False)

    def __post_init__(self) -> None:
        check_effort(self.effort)
        check_levels(self.t_max)
        if not 1 <= self.slices <= _MOST:
            raise ValueError(f"slices must be between 1 and {_MOST}, not {self.slices}")

    def __call__(self, graph: Graph) -> Graph:
        """Measure, then split."""
        names = [group.result.name for group in fusion_groups(graph) if can_slice(graph, group)]
        if self.calibration is None or self.effort == 0 or self.slices == 1 or not names:
            return graph
        check(graph, self.calibration)
        images = images_for(graph, len(self.calibration[0]), 1)
        data = sample(self.calibration, min(images, _IMAGES))
        levels = partial(levels_of, graph, t_max=self.t_max)
        found = noise_of(graph, data, levels, self.progress)
        for name, slicing, loud in self._slicings(graph, names, found):
            width = partial(_width, found[name].histogram, levels(_group(graph, name).result))
            graph = self._split(graph, name, slicing, loud, width)
        return graph

    def _slicings(
        self, graph: Graph, names: list[str], found: dict[str, Noise]
    ) -> list[tuple[str, Slicing, Array]]:
        """The values that can be split and bring in noise, their slices, and the loud channels."""
        if sum(one.sums for one in found.values()) < _QUIET:
            return []
        noise = shares(found)
        sizes = {value.name: float(size(value.type)) for value in spiking_values(graph)}
        values = {
            name: _bottleneck(graph, name, found[name], noise[name], sizes[name])
            for name in names
            if noise.get(name, 0.0) > 0
        }
        total, neurons = sum(noise.values()), sum(sizes.values())
        loud = (self.t_max / _FEW) ** 2
        chosen = choose_slices(values, total, neurons, self.slices, _WORTH, loud)
        return [(name, one, values[name].order[: one.loud]) for name, one in chosen.items()]

    def _split(
        self,
        graph: Graph,
        name: str,
        slicing: Slicing,
        loud: Array,
        width: Callable[[int], float],
    ) -> Graph:
        """A value in slices, its loud channels apart from the others."""
        parts = [(name, slicing.slices)]
        if slicing.loud:
            channels = np.arange(_group(graph, name).result.type.shape[0])
            chosen = np.setdiff1d(channels, loud), np.sort(loud)
            graph = split_channels(graph, _group(graph, name), chosen)
            counts = slicing.slices, slicing.more
            parts = [(channels_name(name, at), count) for at, count in enumerate(counts)]
            for (part, _), some in zip(parts, chosen, strict=True):
                if self.note:
                    self.note(part, some.tolist())
        for part, count in parts:
            if count > 1 and width(count) > 0:
                graph = split_range(graph, _group(graph, part), width(count), count)
        return graph


def _width(histogram: Histogram, levels: int, count: int) -> float:
    """The range of each of so many slices."""
    return snapped_range(histogram.least_squares(count * (levels - 1) + 1, 0.0))[1] / count


def _bottleneck(graph: Graph, name: str, found: Noise, noise: float, neurons: float) -> Bottleneck:
    """A value of which each channel has a choice, if it can be parted."""
    total = found.channels.sum()
    if not can_split_channels(graph, _group(graph, name)) or not total > 0:
        return Bottleneck(np.array([noise]), neurons)
    shared = noise * found.channels / total
    return Bottleneck(shared, neurons / len(shared))


def _group(graph: Graph, name: str) -> FusionGroup:
    return next(group for group in fusion_groups(graph) if group.result.name == name)
