"""What one layer of a compiled network loses by itself, and by what.

Between what the real network would give, for the same inputs, and what the levels stand for lies a
ladder of values. Each rung has one more of the things that a spiking layer does:

    dead        channels that do not change though they should are replaced by what they are
    bias        the bias is a whole number: what is added where all inputs are zero
    weights     the weights are whole numbers: the rest of what is added
    function    instead of both, where several populations make up the layer
    saturated   values that round to beyond the highest level, or below the lowest, are cut
    levels      values are rounded to levels
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qcompiler.channel_scales import spread
from qcompiler.ir.execution.evaluate import apply
from qcompiler.ir.kernels import Array

from .pairing import Place
from .side_by_side import Twin

RUNGS = ("dead", "bias", "weights", "function", "saturated", "levels")


@dataclass(frozen=True)
class Ladder:
    """The rungs of one layer: ``base`` is without any loss, the last step is what it gives.

    ``exact`` is what the layer cuts and rounds, in levels, with zero at 0.
    Beside them how many channels are dead, the largest offset of a channel that rounding its bias
    makes, and the shares of values beyond the highest level and below the lowest.
    """

    base: Array
    exact: Array
    steps: tuple[tuple[str, Array], ...]
    dead: tuple[int, ...]
    channels: int
    offset: float
    above: float
    below: float
    highest: float

    def losses(self) -> dict[str, float]:
        """Mean squared change of every rung."""
        found = dict.fromkeys(RUNGS, 0.0)
        before = self.base
        for name, value in self.steps:
            found[name] = _energy(value - before)
            before = value
        return found


def ladder(twin: Twin, index: int) -> Ladder:
    """The ladder of one place."""
    place = twin.places[index]
    if place.is_input:
        base = twin.values[place.name]
        return _with_range(twin, place, base, base, ())
    group = twin.linear(index)
    clip = group.clip if group else None
    target = clip.operands[0].name if clip else place.name
    before = twin.local(index, target)
    potential = twin.potential(place)

    def clipped(x: Array) -> Array:
        return x if clip is None else apply(clip.op, x)

    if group is None:
        return _with_range(twin, place, before, potential, (("function", potential),))
    offset = twin.potential(place, zero=True) - twin.local(index, target, zero=True)
    base, exact = clipped(before), clipped(potential)
    steps: tuple[tuple[str, Array], ...] = (("weights", exact),)
    if _energy(clipped(potential - offset) - base) < _energy(exact - base):
        steps = (("bias", clipped(before + offset)), *steps)  # else it makes up for the weights
    return _with_range(twin, place, base, exact, steps, offset)


def _energy(array: Array) -> float:
    return float(np.mean(np.square(array, dtype=np.float64)))


def _with_range(
    twin: Twin,
    place: Place,
    base: Array,
    exact: Array,
    steps: tuple[tuple[str, Array], ...],
    offset: Array | None = None,
) -> Ladder:
    """The ladder with its last rungs, ``exact`` being the value before it is cut and rounded."""
    zero, ours = place.code.zero, twin.spiking(place)
    step = twin.step(place)
    low, high = -zero * step, (place.tops - zero) * step
    above, below = exact > high + step / 2, exact < low - step / 2
    cut = np.where(above, high, np.where(below, low, exact))
    dead = _dead(np.clip(base, low, high), ours, step) if steps else np.zeros(0, bool)
    where = spread(dead, ours.shape[1:]) if dead.any() else np.zeros((), bool)
    rungs = [("dead", base), *steps, ("saturated", cut), ("levels", ours)]
    return Ladder(
        base,
        exact / step,
        tuple((name, np.where(where, ours, value).astype(np.float32)) for name, value in rungs),
        tuple(int(n) for n in np.flatnonzero(dead)),
        ours.shape[1] if ours.ndim > 1 else 1,
        float(np.max(np.abs(offset / step))) if offset is not None else 0.0,
        float(np.mean(above)),
        float(np.mean(below)),
        float(np.max(high)),
    )


def _dead(base: Array, ours: Array, step: Array) -> Array:
    """Which channels are the same in every frame, though rounding does not explain it.

    What rounds to one level stays within one, so its standard deviation is half a level at most.
    """
    axes = tuple(range(1, base.ndim - 1))  # places, once frames are gone
    still = (np.ptp(ours, axis=0) == 0).all(axis=axes)
    varies = np.var(base / step, axis=0, dtype=np.float64).mean(axis=axes)
    found: Array = still & (varies > 0.5**2)
    return found
