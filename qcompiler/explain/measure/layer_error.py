"""What one layer of a compiled network loses by itself, and by what.

Between what the real network would give, for the same inputs, and what the levels stand for lies a
series of values. Each has one more of the approximations that a spiking layer makes:

    dead        channels that do not change though they should are replaced by what they are
    bias        the bias is a whole number: what is added where all inputs are zero
    weights     the weights are whole numbers: the rest of what is added
    function    instead of weights, where several populations make up the layer; the bias is then
                what is the same in all frames, if that is most of the error
    saturated   values that round to beyond the highest level, or below the lowest, are cut
    levels      values are rounded to levels
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qcompiler.ir.execution.evaluate import apply
from qcompiler.ir.kernels import Array
from qcompiler.manifest.channel_scales import spread

from .matched_layer import MatchedLayer
from .side_by_side import SideBySide

ERROR_SOURCES = ("dead", "bias", "weights", "function", "saturated", "levels")


@dataclass(frozen=True)
class ErrorDecomposition:
    """The error of one layer by source: ``base`` is exact, the last step is the layer's result.

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
        """Mean squared error of every source."""
        found = dict.fromkeys(ERROR_SOURCES, 0.0)
        before = self.base
        for name, value in self.steps:
            found[name] = _energy(value - before)
            before = value
        return found


def decompose(networks: SideBySide, index: int) -> ErrorDecomposition:
    """The error decomposition of one layer."""
    layer = networks.layers[index]
    if layer.is_input:
        base = networks.values[layer.name]
        return _with_range(networks, layer, base, base, ())
    group = networks.groups.get(layer.name)
    clip = group.clip if group else None
    potential = networks.potential(layer)

    def clipped(x: Array) -> Array:
        return x if clip is None else apply(clip.op, x, *clip.arrays)

    if not networks.is_linear(index):
        before = networks.local(index, layer.name)
        return _of_populations(networks, layer, before, clipped(potential))
    target = clip.operands[0].name if clip else layer.name
    before = networks.local(index, target)
    offset = networks.potential(layer, zero=True) - networks.local(index, target, zero=True)
    base, exact = clipped(before), clipped(potential)
    steps: tuple[tuple[str, Array], ...] = (("weights", exact),)
    if _energy(clipped(potential - offset) - base) < _energy(exact - base):
        steps = (("bias", clipped(before + offset)), *steps)  # else it makes up for the weights
    return _with_range(networks, layer, base, exact, steps, offset)


def _of_populations(
    networks: SideBySide, layer: MatchedLayer, before: Array, potential: Array
) -> ErrorDecomposition:
    """Several populations: what is the same in every frame comes from their constant parts."""
    steps: tuple[tuple[str, Array], ...] = (("function", potential),)
    offset = (potential - before).mean(axis=0, keepdims=True, dtype=np.float64).astype(np.float32)
    if _energy(potential - before - offset) > _energy(potential - before) / 2:
        return _with_range(networks, layer, before, potential, steps)
    steps = (("bias", before + offset), *steps)
    return _with_range(networks, layer, before, potential, steps, offset)


def _energy(array: Array) -> float:
    return float(np.mean(np.square(array, dtype=np.float64)))


def _with_range(
    networks: SideBySide,
    layer: MatchedLayer,
    base: Array,
    exact: Array,
    steps: tuple[tuple[str, Array], ...],
    offset: Array | None = None,
) -> ErrorDecomposition:
    """Add the last two sources; ``exact`` is the value before it is cut and rounded."""
    zero, ours = layer.code.zero, networks.spiking(layer)
    step = networks.step(layer)
    low, high = -zero * step, (layer.tops - zero) * step
    above, below = exact > high + step / 2, exact < low - step / 2
    cut = np.where(above, high, np.where(below, low, exact))
    dead = _dead(np.clip(base, low, high), ours, step) if steps else np.zeros(0, bool)
    where = spread(dead, ours.shape[1:]) if dead.any() else np.zeros((), bool)
    sources = [("dead", base), *steps, ("saturated", cut), ("levels", ours)]
    return ErrorDecomposition(
        base,
        exact / step,
        tuple((name, np.where(where, ours, value).astype(np.float32)) for name, value in sources),
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
