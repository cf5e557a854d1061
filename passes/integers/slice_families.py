"""Slices of one value: their sums differ in the bias alone, by whole levels.

The integers of the lowest slice are fitted to the levels of all. They hold for the other slices,
with whole slopes taken off the bias: then slices are exactly what one population of more levels
would be, and the sums of one are those of all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from qcompiler.ir import Range, Spikes, Tensor
from qcompiler.ir.ann import Clip
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.input_bounds import Bounds, Drive, Incoming
from qcompiler.passes.calibration.precise_sums import bias_of, map_of
from qcompiler.passes.quantization.alike_neurons import distinct
from qcompiler.passes.quantization.calibrated_bounds import CalibratedBounds
from qcompiler.passes.quantization.fusion_groups import FusionGroup
from qcompiler.passes.quantization.integer_layer import IntegerLayer
from qcompiler.passes.quantization.membrane_limits import Limits, MembraneLoad

_ROUNDING = 2.0**-20  # relative error of biases in single precision, with room


class _Slice(NamedTuple):
    """The result of the lowest slice, and by how many widths this one lies above it."""

    lowest: str
    above: int


class _Lowest(NamedTuple):
    """A lowest slice, and what was observed for its bounds, if they are calibrated."""

    code: Spikes
    found: IntegerLayer
    seen: tuple[Bounds, int] | None


class SliceFamilies:
    """Which groups are slices of one value, and the integers of the lowest of each family."""

    def __init__(self, groups: Iterable[FusionGroup]) -> None:
        self._slices: dict[str, _Slice] = {}
        self._highest: dict[str, int] = defaultdict(int)
        self._known: dict[str, _Lowest] = {}
        alike: dict[Hashable, list[FusionGroup]] = defaultdict(list)
        for group in filter(_is_slice, groups):
            lowest = alike[_kind(group)]
            above = next(filter(None, (_widths_above(one, group) for one in lowest)), None)
            if above is None:
                lowest.append(group)
            else:
                self._slices[group.result.name] = above
                self._highest[above.lowest] = max(self._highest[above.lowest], above.above)

    def whole(self, group: FusionGroup, code: Spikes) -> Spikes:
        """The code of all slices of a family, given that of the lowest."""
        return replace(code, t_max=1 + code.top * (1 + self._highest[group.result.name]))

    @property
    def lowest(self) -> dict[str, str]:
        """The result of the lowest slice of each family, by those of the others."""
        return {name: at.lowest for name, at in self._slices.items()}

    def add(
        self,
        group: FusionGroup,
        code: Spikes,
        found: IntegerLayer,
        seen: tuple[Bounds, int] | None,
    ) -> None:
        """Keep the integers of a group that has slices above it."""
        if self._highest[group.result.name]:
            self._known[group.result.name] = _Lowest(code, found, seen)

    def shifted(
        self, group: FusionGroup, codes: Sequence[Spikes], code: Spikes, limits: Limits
    ) -> IntegerLayer | None:
        """The integers of a slice above the lowest; None if it is none, or they exceed a limit."""
        at = self._slices.get(group.result.name)
        lowest = self._known.get(at.lowest) if at else None
        if at is None or lowest is None or lowest.code != replace(code, zero=lowest.code.zero):
            return None
        found = lowest.found
        bias = found.bias - at.above * code.top * found.slope
        incoming = [
            Incoming(synapse, weight, codes[branch].shape, codes[branch].top)
            for branch, synapse, weight in found.synapses
        ]
        top = max(source.top for source in codes)
        drive = distinct(Drive.of(incoming), bias, found.slope)
        load = MembraneLoad(drive, top, bias, found.slope, code.t_max, limits)
        excess, calibrated = load.excess(), None
        if np.any(excess > 1) and lowest.seen is not None:
            calibrated = CalibratedBounds.of(*lowest.seen, load, found.slope.shape)
            excess = calibrated.excess
        return None if np.any(excess > 1) else replace(found, bias=bias, calibrated=calibrated)


def _is_slice(group: FusionGroup) -> bool:
    type_, clip = group.result.type, group.clip.op if group.clip else None
    if not isinstance(clip, Clip) or clip.nearest or group.gain is not None:
        return False
    return isinstance(type_, Tensor) and type_.range is not None


def _kind(group: FusionGroup) -> Hashable:
    """What slices have in common."""
    low, high = _range(group)
    assert isinstance(group.result.type, Tensor)
    return replace(group.result.type, range=(0.0, high - low)), map_of(group)


def _range(group: FusionGroup) -> Range:
    assert isinstance(group.result.type, Tensor) and group.result.type.range is not None
    return group.result.type.range


def _widths_above(lowest: FusionGroup, group: FusionGroup) -> _Slice | None:
    """By how many widths the sums of a slice are below those of the lowest; None for no slice."""
    assert group.clip and isinstance(group.clip.op, Clip)
    low, high = _range(lowest)
    if group.clip.op.low != 0 or _range(group)[0] != 0 or not high > low:
        return None
    first, bias, width = _bias(lowest) - low, _bias(group), high - low
    above = round(float((first - bias).mean()) / width)
    error = np.abs(first - bias - above * width)
    if above < 1 or np.any(error > _ROUNDING * (np.abs(first) + np.abs(bias) + width)):
        return None
    return _Slice(lowest.result.name, above)


def _bias(group: FusionGroup) -> Array:
    total: Array = sum((bias_of(b).astype(np.float64) for b in group.branches), np.zeros(()))
    return total
