"""Which values get how many slices, or two digits: the noise that these remove, by their price."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qcompiler.ir import Graph
from qcompiler.ir.kernels import Array
from qcompiler.ir.types import size
from qcompiler.passes.calibration.snap import lies_far
from qcompiler.passes.folding.linear import most_copies
from qcompiler.passes.quantization.group_index import group_named
from qcompiler.passes.quantization.levels import spiking_values
from qcompiler.passes.quantization.membrane_limits import ROOM

from .bottlenecks import Bottleneck, Slicing, choose_slices, slices_at
from .channel_slices import can_split_channels
from .digits import can_have_digits, finer_levels
from .later_digits import later_digits
from .noise import shares
from .noise_walk import Noise
from .quiet_outputs import QUIET
from .slice_costs import Costs, slice_costs
from .sliceable import around_depthwise, readers_of

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


def is_exact(graph: Graph, t_max: int) -> bool:
    """Whether precision is asked for and costs little."""
    neurons = sum(size(value.type) for value in spiking_values(graph))
    return t_max >= _EXACT_LEVELS and neurons <= _SMALL


@dataclass(frozen=True)
class SliceChoice:
    """The choice for the values ``names`` of a graph, of whose values noise was ``found``.

    The others are options of `split-ranges`.
    """

    graph: Graph
    found: dict[str, Noise]
    names: list[str]
    t_max: int
    slices: int
    worth: float
    fan_in: int
    potential: int

    def of(self, price: str) -> list[tuple[str, Slicing, Array]]:
        """The values to split, the slices of each, and the order of its noisiest channels.

        Where the price is energy, they take no more of it than those of the least neurons.
        """
        chosen = self._chosen(price)
        if price == "energy" and not self.worth:
            cheaper = self._chosen("neurons")
            if self._energy(cheaper, "neurons") < self._energy(chosen, price):
                chosen, price = cheaper, "neurons"
        values = self._values(price) if chosen else {}
        return [(name, one, values[name].order[: one.noisy]) for name, one in chosen.items()]

    def _energy(self, chosen: dict[str, Slicing], price: str) -> float:
        """What the values take in energy, with slices that were chosen at some price."""
        copies, own = self._costs("energy").copies, self._costs(price).copies
        return sum(copies[n] * one.neurons / own[n] for n, one in chosen.items() if own[n])

    def _chosen(self, price: str) -> dict[str, Slicing]:
        outputs = sum(one.outputs for one in self.found.values())
        few = price == "neurons" and self.t_max < _FEW
        quiet, worth = QUIET, _WORTH_FEW if few and self.t_max > 2 else _WORTH
        worth = _WORTH_ENERGY if price == "energy" else worth
        worth = _DEAR if 0 < outputs <= _FAITHFUL and self.t_max >= _FEW else worth
        if is_exact(self.graph, self.t_max):
            quiet, worth = _EXACT_QUIET, _EXACT_WORTH
        if sum(one.sums for one in self.found.values()) < quiet:
            return {}
        values, whole = self._values(price), self._costs(price).whole
        total = sum(shares(self.found).values())
        if self.worth:
            noisy = min(1.0, outputs / _NOISY) or 1.0
            chosen = slices_at(values, self.worth / noisy * total / whole, self.slices)
        else:
            rest = _REST if price == "energy" else 0.0
            given = values, total, whole, self.slices, worth, self._cap(few), rest
            chosen = choose_slices(*given)
        if few:
            finer, steps = finer_levels(self.t_max, price), len(self.found) * self.t_max
            chosen = later_digits(chosen, values, self._able, total, min(finer, self.t_max), steps)
        return chosen

    def _cap(self, few: bool) -> float:
        """The share of the noise that counts instead of what remains, if it is less."""
        stays = sum(one.outputs for name, one in self.found.items() if name in self._around)
        return min((self.t_max / _FEW) ** 2 if few else 1.0, _FAITHFUL / max(stays, _FAITHFUL))

    def _costs(self, price: str) -> Costs:
        return slice_costs(self.graph, self.t_max, price)

    @cached_property
    def _around(self) -> set[str]:
        return around_depthwise(self.graph)

    @cached_property
    def _noisy(self) -> list[str]:
        """The values whose noise can be less with slices."""
        noise = shares(self.found)
        return [
            name
            for name in self.names
            if noise.get(name, 0.0) > 0
            and not lies_far(self.found[name].histogram.low, self.found[name].histogram.high)
        ]

    @cached_property
    def _able(self) -> set[str]:
        """The values that can have digits."""
        results = {name: group_named(self.graph, name).result for name in self._noisy}
        return {name for name, value in results.items() if can_have_digits(self.graph, value)}

    def _values(self, price: str) -> dict[str, Bottleneck]:
        """What slices of each value cost and remove."""
        costs, noise = self._costs(price), shares(self.found)
        values = {n: self._bottleneck(n, noise[n], costs.copies[n]) for n in self._noisy}
        finer, steps = finer_levels(self.t_max, price), len(self.found) * self.t_max
        able = self._able & self._around if price == "neurons" else self._able
        for name in able if finer > 2 else ():
            later, fitted = costs.whole * finer / steps, name not in self._around
            values[name] = values[name].with_digits(finer, later, fitted)
        return values

    def _bottleneck(self, name: str, noise: float, cost: float) -> Bottleneck:
        """The noise of a value per channel, or in total if its channels cannot be separated."""
        graph, found = self.graph, self.found[name]
        group, total = group_named(graph, name), found.channels.sum()
        most = self.slices
        if self.fan_in:
            value, readers = group.result, readers_of(graph, group.result)
            most = min((most_copies(g, value, self.fan_in) for g in readers), default=self.fan_in)
        if self.potential and found.weights and is_exact(graph, self.t_max):
            weights = found.weights * (ROOM / self.potential) ** 2
            most = max(1, min(most, round((found.disturbed / weights) ** 0.25)))
        if not can_split_channels(graph, group) or not total > 0:
            return Bottleneck(np.array([noise]), cost, most)
        shared = noise * found.channels / total
        return Bottleneck(shared, cost / len(shared), most)
