"""Represent a value by several populations, each of which covers a slice of its range.

All slices have t_max levels and spike in the same window, so n slices give n times the levels
without extra latency. Each slice needs another copy of the neurons and of the synapses to and from
them. So the pass splits only bottlenecks: values whose rounding noise is high for their number of
neurons. Zhao et al., arXiv 1901.09504, split single channels in a similar way to handle outliers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

import numpy as np

from qcompiler.ir import Graph, Invariant
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.invariants import NO_BATCHNORM, TENSOR_LEVEL
from qcompiler.passes.activations.fine_values import fine_sums
from qcompiler.passes.activations.inlining import inlined
from qcompiler.passes.activations.lowered_sums import with_lowered_sums
from qcompiler.passes.base import HIDDEN, Pass, check_limits
from qcompiler.passes.calibration.data import check, check_effort
from qcompiler.passes.quantization.fusion_groups import fusion_groups
from qcompiler.passes.quantization.group_index import group_named
from qcompiler.passes.quantization.levels import check_levels, levels_of
from qcompiler.passes.slicing.channel_noise import measure_channels
from qcompiler.passes.slicing.digits import with_digits
from qcompiler.passes.slicing.quiet_outputs import measured_noise, noise_sample
from qcompiler.passes.slicing.slice_choice import SliceChoice, is_exact
from qcompiler.passes.slicing.slice_costs import PRICES
from qcompiler.passes.slicing.sliceable import can_slice, ready
from qcompiler.passes.slicing.split_value import (
    OnChannelSplit,
    noisy_apart,
    shorter_slices,
    split_value,
)

_MOST = 16  # slices


@dataclass(frozen=True)
class SplitRanges(Pass):
    """Split the range of values whose rounding noise is high for their number of neurons.

    The pass measures the noise of rounding to ``t_max`` levels on ``calibration``, one array per
    input, ``images x shape``. A value, or some of its channels, gets at most ``slices``
    populations, or twice as many with half the levels where neurons are few. With few levels two
    digits may stand for two slices. Its readers sum at most ``fan_in`` elements of all of them (0:
    no limit). Its ``price`` is in neurons, or in the energy of their updates and of the events that
    reach them. With ``worth`` a slice or digit removes at least that share of the noise without any
    for a share of what the network takes, or more of it where outputs have little. Where precision
    is asked for, membranes up to ``potential`` (0: no limit) must hold weights for so many levels.
    Without data, or with ``effort`` 0, nothing changes. ``note`` is told the name of channels that
    become a value themselves, and their indices.
    Raises DataError if the data do not fit, are empty or not finite.
    """

    name: ClassVar[str] = "split-ranges"
    requires: ClassVar[tuple[Invariant, ...]] = (TENSOR_LEVEL, NO_BATCHNORM)
    t_max: int = 16
    slices: int = 4
    effort: int = 0
    fan_in: int = 0
    price: str = "neurons"
    worth: float = 0.0
    potential: int = 0
    calibration: tuple[Array, ...] | None = field(default=None, metadata=HIDDEN, compare=False)
    progress: Callable[[float], None] | None = field(default=None, metadata=HIDDEN, compare=False)
    note: OnChannelSplit = field(default=None, metadata=HIDDEN, compare=False)

    def __post_init__(self) -> None:
        check_effort(self.effort)
        check_limits(fan_in=self.fan_in, potential=self.potential)
        check_levels(self.t_max)
        if self.price not in PRICES:
            raise ValueError(f"price must be one of {', '.join(PRICES)}, not {self.price}")
        if not 0 <= self.worth < np.inf:
            raise ValueError(f"worth must be at least 0, not {self.worth:g}")
        if not 1 <= self.slices <= _MOST:
            raise ValueError(f"slices must be between 1 and {_MOST}, not {self.slices}")

    def __call__(self, graph: Graph) -> Graph:
        """Measure, then split."""
        if self.calibration is None or self.effort == 0 or self.slices == 1:
            return graph
        graph = with_lowered_sums(graph, self.fan_in)
        able = [group.result.name for group in fusion_groups(graph) if can_slice(graph, group)]
        gone = inlined(graph, self.t_max, self.fan_in) | fine_sums(graph, self.t_max)
        if not (names := [name for name in able if name not in gone]):
            return graph
        check(graph, self.calibration)
        found, quiet = measured_noise(graph, self.calibration, self.t_max, self.progress)
        if quiet and not is_exact(graph, self.t_max):
            return graph
        levels, split = partial(levels_of, graph, t_max=self.t_max), graph
        if self.price == "energy":
            measure_channels(graph, noise_sample(graph, self.calibration), found, names)
        choice = SliceChoice(
            graph, found, names, self.t_max, self.slices, self.worth, self.fan_in, self.potential
        )
        for name, slicing, noisy in choice.of(self.price):
            histogram = found[name].histogram
            if max(slicing.slices, slicing.noisy_slices) > 1:
                split = ready(split, name)
            if slicing.digits:
                split, (*_, part) = noisy_apart(split, name, slicing, noisy, self.note)
                t_max = levels(group_named(split, part).result)
                split = with_digits(split, part, histogram, t_max, slicing.digits)
                continue
            split, slicing = shorter_slices(split, name, slicing, self.t_max, self.fan_in)
            steps = levels(group_named(split, name).result) - 1
            split = split_value(split, name, slicing, noisy, histogram, steps, self.note)
        return split
