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
from qcompiler.ir.spiking.invariants import NO_BATCHNORM
from qcompiler.ir.types import size
from qcompiler.passes.activations.fine_values import fine_sums
from qcompiler.passes.activations.inlining import inlined
from qcompiler.passes.activations.lowered_sums import with_lowered_sums
from qcompiler.passes.base import HIDDEN, Pass, check_fan_in
from qcompiler.passes.calibration.data import check, check_effort
from qcompiler.passes.calibration.snap import lies_far
from qcompiler.passes.folding.linear import fan_in_of
from qcompiler.passes.quantization.fusion_groups import fusion_groups
from qcompiler.passes.quantization.group_index import group_named
from qcompiler.passes.quantization.levels import check_levels, levels_of, spiking_values
from qcompiler.passes.quantization.membrane_limits import ROOM
from qcompiler.passes.slicing.bottlenecks import Bottleneck, Slicing, choose_slices, slices_at
from qcompiler.passes.slicing.channel_noise import measure_channels
from qcompiler.passes.slicing.channel_slices import can_split_channels
from qcompiler.passes.slicing.digits import can_have_digits, finer_levels, with_digits
from qcompiler.passes.slicing.later_digits import later_digits
from qcompiler.passes.slicing.noise import shares
from qcompiler.passes.slicing.noise_walk import Noise
from qcompiler.passes.slicing.quiet_outputs import QUIET, measured_noise, noise_sample
from qcompiler.passes.slicing.slice_costs import PRICES, slice_costs
from qcompiler.passes.slicing.sliceable import around_depthwise, can_slice, readers_of, ready
from qcompiler.passes.slicing.split_value import (
    OnChannelSplit,
    noisy_apart,
    shorter_slices,
    split_value,
)

_WORTH = 2.4  # least ratio of noise saved to neurons, or energy, that are added, both as shares
_WORTH_FEW = 2.6  # the same from 3 to 8 levels: digits remove much noise for many neurons at once
_WORTH_ENERGY = 2.3  # the same where the price is energy: weights go at about the same price
_EXACT_QUIET, _EXACT_WORTH = 1e-4, 0.5  # the same where precision is asked for and costs little:
_EXACT_LEVELS, _SMALL = 64, 1024  # from this t_max on, for networks of up to so many neurons
_FEW = 9  # t_max below which noise counts (t_max / 9)^2 times, as it grows with 1 / t_max^2
# Noise at the outputs, as a share of their variance, that is worth more neurons. Where less is
# found, from 9 levels on, a slice removes more: with 2.5 ResNet-20 at 16 has 4 % more neurons, and
# as many answers change. More answers of SqueezeNet, which has thirty times the noise, would.
_FAITHFUL, _DEAR = 0.065, 4.3
# Noise of weights and fits, as a share of that of rounding. Without it slices pay the more the more
# there are, where they cost energy: noise that is left falls faster than energy grows.
_REST = 0.1
_NOISY = 0.15  # noise at the outputs below which a share of it is worth less, in proportion
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
    requires: ClassVar[tuple[Invariant, ...]] = (NO_BATCHNORM,)
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
        check_fan_in(self.fan_in)
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
        if quiet and not self._exact(graph):
            return graph
        levels, split = partial(levels_of, graph, t_max=self.t_max), graph
        if self.price == "energy":
            measure_channels(graph, noise_sample(graph, self.calibration), found, names)
        for name, slicing, noisy in self._slicings(graph, names, found):
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

    def _exact(self, graph: Graph) -> bool:
        """Whether precision is asked for and costs little."""
        neurons = sum(size(value.type) for value in spiking_values(graph))
        return self.t_max >= _EXACT_LEVELS and neurons <= _SMALL

    def _slicings(
        self, graph: Graph, names: list[str], found: dict[str, Noise]
    ) -> list[tuple[str, Slicing, Array]]:
        """The values to split, the slices of each, and the order of its noisiest channels."""
        few = self.price == "neurons" and self.t_max < _FEW
        faithful = 0 < sum(one.outputs for one in found.values()) <= _FAITHFUL
        dear = faithful and self.price == "neurons" and not few
        quiet, worth = QUIET, _WORTH_FEW if few and self.t_max > 2 else _WORTH
        worth = _WORTH_ENERGY if self.price == "energy" else _DEAR if dear else worth
        if self._exact(graph):
            quiet, worth = _EXACT_QUIET, _EXACT_WORTH
        costs, whole = slice_costs(graph, self.t_max, self.price)
        if sum(one.sums for one in found.values()) < quiet:
            return []
        noise = shares(found)
        values = {
            name: self._bottleneck(graph, name, found[name], noise[name], costs[name])
            for name in names
            if noise.get(name, 0.0) > 0
            and not lies_far(found[name].histogram.low, found[name].histogram.high)
        }
        total, around = sum(noise.values()), around_depthwise(graph)
        finer, steps = finer_levels(self.t_max, self.price), len(found) * self.t_max
        able = {n for n in values if can_have_digits(graph, group_named(graph, n).result)}
        for name in (able & around if self.price == "neurons" else able) if finer > 2 else ():
            values[name] = values[name].with_digits(
                finer, whole * finer / steps, name not in around
            )
        stays = sum(one.outputs for name, one in found.items() if name in around)
        noise_cap = min((self.t_max / _FEW) ** 2 if few else 1.0, _FAITHFUL / max(stays, _FAITHFUL))
        rest = _REST if self.price == "energy" else 0.0
        if self.worth:
            noisy = min(1.0, sum(one.outputs for one in found.values()) / _NOISY) or 1.0
            chosen = slices_at(values, self.worth / noisy * total / whole, self.slices)
        else:
            chosen = choose_slices(values, total, whole, self.slices, worth, noise_cap, rest)
        if few:
            chosen = later_digits(chosen, values, able, total, min(finer, self.t_max), steps)
        return [(name, one, values[name].order[: one.noisy]) for name, one in chosen.items()]

    def _bottleneck(
        self, graph: Graph, name: str, found: Noise, noise: float, cost: float
    ) -> Bottleneck:
        """The noise of a value per channel, or in total if its channels cannot be separated."""
        group, total = group_named(graph, name), found.channels.sum()
        most = self.slices
        if self.fan_in:
            summed = max(map(fan_in_of, readers_of(graph, group.result)), default=1)
            most = max(1, self.fan_in // summed)
        if self.potential and found.weights and self._exact(graph):
            weights = found.weights * (ROOM / self.potential) ** 2
            most = max(1, min(most, round((found.disturbed / weights) ** 0.25)))
        if not can_split_channels(graph, group) or not total > 0:
            return Bottleneck(np.array([noise]), cost, most)
        shared = noise * found.channels / total
        return Bottleneck(shared, cost / len(shared), most)
