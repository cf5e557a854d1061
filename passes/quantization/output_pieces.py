"""Pieces of a population: several with shorter windows, whose levels make up those of the whole.

With V for ``sum W q + B``, the n slices of T levels of a population with slope D have

    sum_k clip(floor((V - k T D) / D), 0, T) = clip(floor(V / D), 0, n T)

Digits are computed as in subranging converters. The one of place p has the slope ``p D``, and V
less what the higher digits stand for, which their spikes inhibit it by:

    q_p = clip(floor((V - sum_i p_i D q_i) / (p D)), 0, base - 1)

Both are exact in integers. Slices need nothing of each other. Digits are fewer, but follow each
other in time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from typing import NamedTuple

import numpy as np

from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.input_bounds import Bounds, Drive

_FEW = 5  # slices
# Outputs of this share of all neurons cost next to nothing: they may have so many digits where
# fewer take longer windows. Four of base 4 are 256 levels in 16 steps.
_NOTHING, _DIGITS = 1 / 256, 4


class Inhibition(NamedTuple):
    """What a higher digit, by its index, takes away per level, up to the level ``top``."""

    piece: int
    weight: Array
    top: int


@dataclass(frozen=True)
class Piece:
    """One of the populations that a whole one, of some bias and slope, becomes.

    Its level counts ``place`` times. Arrays broadcast over the neurons.
    """

    place: int
    t_max: int
    bias: Array
    slope: Array
    inhibitions: tuple[Inhibition, ...] = ()

    def driven(self, drive: Drive) -> Drive:
        """Its inputs: those of the whole, with proved bounds, and what inhibits it."""
        each, total = self._inhibited
        inhibit, depth = drive.inhibit + each, drive.depth + total
        bounds = Bounds(-depth, drive.lift, -depth, *(-inhibit, drive.excite) * 3)
        return replace(drive, inhibit=inhibit, depth=depth, net=drive.net - each, bounds=bounds)

    def bounded(self, whole: Bounds) -> Bounds:
        """Bounds of its inputs where those of the whole are calibrated.

        Where the higher digits are right, they leave of ``V >= 0`` what is not below 0.
        """
        if not self.inhibitions:
            return whole
        each, total = self._inhibited
        return whole._replace(
            lowest=whole.lowest - total,
            final=np.maximum(np.minimum(whole.final, -self.bias), whole.final - total),
            fall=whole.fall - each,
            least=whole.least - each,
            weakest=whole.weakest - each,
        )

    @property
    def _inhibited(self) -> tuple[Array, Array]:
        """By how much one level of each higher digit inhibits it, and all levels."""
        each = total = np.zeros((1,) * np.ndim(self.slope))
        for inhibition in self.inhibitions:
            each = each + inhibition.weight
            total = total + inhibition.weight * inhibition.top
        return each, total


def slices(bias: Array, slope: Array, t_max: int, longest: int) -> list[Piece]:
    """Slices of ``longest`` levels at most, the lowest first; the last has what is left."""
    top, step = t_max - 1, longest - 1
    return [
        Piece(1, min(step, top - below) + 1, bias - below * slope, slope)
        for below in range(0, top, step)
    ]


def most_digits(outputs: int, neurons: int) -> int:
    """Most digits of so many outputs of a network, if fewer end later; 0 if as few as possible."""
    return _DIGITS if outputs <= _NOTHING * neurons else 0


def digits(bias: Array, slope: Array, t_max: int, longest: int, most: int = 0) -> list[Piece]:
    """Digits of ``longest`` levels at most, the highest first; together they may have more.

    They are as few as possible, or up to ``most`` if so many end within ``longest`` steps.
    """
    levels = _digit_levels(t_max, longest, most)
    places = [prod(levels[at + 1 :]) for at in range(len(levels))]
    found: list[Piece] = []
    sent: tuple[Inhibition, ...] = ()
    for at, (place, count) in enumerate(zip(places, levels, strict=True)):
        found.append(Piece(place, count, bias, slope * place, sent))
        sent = (*sent, Inhibition(at, slope * place, count - 1))
    return found


def slices_suit(t_max: int, longest: int, most: int = 0) -> bool:
    """Whether slices suit better than up to ``most`` digits: they are few, and end earlier."""
    few = (t_max - 2) // (longest - 1) < _FEW
    return few and longest < sum(_digit_levels(t_max, longest, most))


def steps_of_pieces(t_max: int, longest: int, most: int) -> int:
    """Steps from the first to the last spike of what becomes pieces, if these suit it best."""
    if t_max <= longest:
        return t_max
    if slices_suit(t_max, longest, most):
        return longest
    return sum(_digit_levels(t_max, longest, most))


@lru_cache(maxsize=1 << 12)
def _digit_levels(levels: int, longest: int, most: int) -> tuple[int, ...]:
    """Levels of each digit, the highest first; see `digits`."""
    fewest = next(n for n in range(1, levels) if longest**n >= levels)
    ways = [_digits_of(levels, count) for count in range(fewest, max(most, fewest) + 1)]
    return next((way for way in ways if way[0] > 1 and sum(way) <= longest), ways[0])


def _digits_of(levels: int, count: int) -> tuple[int, ...]:
    """The levels of so many digits of the smallest base, the highest first."""
    base = next(b for b in range(2, levels + 1) if b**count >= levels)
    return -(-levels // base ** (count - 1)), *[base] * (count - 1)
