"""Integer slopes and biases that round sums as a quantised model does.

A sum a of integers stands for ``unit * a + offset`` levels, which the model rounds to the nearest.
A neuron with weights times k, bias b and slope D has the level ``floor((k a + b) / D)``. It is the
same for every attainable a if and only if

    k a_n + b >= (n + 1) D > k (a_n - 1) + b

for every level n, where a_n is the least sum that the model rounds to more than n.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qcompiler.ir.kernels import Array

_TIE = 1e-6  # relative distance of sums that counts as none
_MOST_TIMES = 128  # factors k to try


@dataclass(frozen=True)
class Sums:
    """The sums of each channel: attainable from ``low`` to ``high``, worth ``unit`` levels each."""

    low: Array
    high: Array
    unit: Array
    offset: Array

    def breakpoints(self, t_max: int, zero: int) -> Array:
        """The least sum above each level, ``channels x (t_max - 1)``; ties round to even."""
        levels = np.arange(t_max - 1)
        exact = (levels + 0.5 - self.offset[:, None]) / self.unit[:, None]
        whole = np.rint(exact)
        tie = np.abs(exact - whole) <= _TIE * np.maximum(1, np.abs(exact))
        even = (levels - zero) % 2 == 0
        found: Array = np.where(tie, whole + even, np.ceil(exact))
        return found


@dataclass(frozen=True)
class Requantization:
    """Per channel: factor k of the weights, bias b, slope D, and how many sums round otherwise.

    ``apart`` says whether any of these differs by more than one level.
    """

    times: Array
    bias: Array
    slope: Array
    otherwise: Array
    apart: bool


def requantization_of(
    sums: Sums, t_max: int, zero: int, most_times: Array, steepest: int
) -> Requantization | None:
    """The factor k, up to ``most_times``, whose slope rounds best; the least of equal ones.

    None if a slope would be 0 or exceed ``steepest``.
    """
    breaks = sums.breakpoints(t_max, zero)
    best = np.full((4, len(breaks)), np.inf)
    for times in range(1, int(min(most_times.max(), _MOST_TIMES)) + 1):
        for rounded in (np.floor, np.ceil):
            slope = rounded(times / sums.unit)
            for bias in _biases(sums, breaks, times, slope):
                missed = _missed(sums, breaks, _reached(times, bias, slope, t_max)).sum(axis=1)
                able = (times <= most_times) & (slope >= 1) & (slope <= steepest)
                better = able & (missed < best[0])
                tried = np.stack((missed, np.full_like(missed, times), bias, slope))
                best = np.where(better, tried, best)
        if not best[0].any():
            break
    if not np.isfinite(best).all():
        return None
    missed, factor, bias, slope = best
    reached = _reached(factor, bias, slope, t_max)
    return Requantization(factor, bias, slope, missed, _apart(sums, breaks, reached))


def _biases(sums: Sums, breaks: Array, times: int, slope: Array) -> tuple[Array, Array]:
    """The middle of the biases that hit every breakpoint, if there are any; and the nominal one."""
    tops = np.arange(1, breaks.shape[1] + 1) * slope[:, None]
    low, high = sums.low[:, None], sums.high[:, None]
    least = np.where(breaks <= high, tops - times * np.maximum(breaks, low), -np.inf).max(axis=1)
    most = np.where(breaks > low, tops - 1 - times * np.minimum(breaks - 1, high), np.inf).min(
        axis=1
    )
    nominal = np.rint(slope * sums.offset) + slope // 2
    open_ = ~(np.isfinite(least) & np.isfinite(most))
    middle = np.where(open_, nominal.clip(least, most), np.floor((least + most) / 2))
    return middle, nominal


def _reached(times: Array | int, bias: Array, slope: Array, t_max: int) -> Array:
    """The least sum that neurons put above each level."""
    times = np.broadcast_to(times, slope.shape)[:, None]
    found: Array = np.ceil((np.arange(1, t_max) * slope[:, None] - bias[:, None]) / times)
    return found


def _missed(sums: Sums, breaks: Array, reached: Array) -> Array:
    low, high = sums.low[:, None], sums.high[:, None] + 1
    found: Array = np.abs(breaks.clip(low, high) - reached.clip(low, high))
    return found


def _apart(sums: Sums, breaks: Array, reached: Array) -> bool:
    """Whether a sum gets a level that is not next to the right one."""
    low, high = sums.low[:, None], sums.high[:, None] + 1
    one, other = breaks.clip(low, high), reached.clip(low, high)
    return bool((other[:, :-1] > one[:, 1:]).any() or (other[:, 1:] < one[:, :-1]).any())
