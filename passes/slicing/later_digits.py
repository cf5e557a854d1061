"""Two digits in place of two slices: as many neurons with less noise, which spike later."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import replace

from .bottlenecks import Bottleneck, Slicing

# Least ratio of noise removed to steps added, both as shares. Longer windows remove two, but of all
# steps between frames, too: these stay as they are.
WORTH_STEPS = 1.3


def later_digits(
    chosen: Mapping[str, Slicing],
    values: Mapping[str, Bottleneck],
    able: Set[str],
    noise: float,
    finer: int,
    steps: int,
) -> dict[str, Slicing]:
    """The slices that were chosen, and digits in place of two where that is worth the steps.

    The values that are ``able`` can have digits, of which the finer one has ``finer`` levels and
    takes as many of the network's ``steps``. ``noise`` is that of the network without slices.
    """
    found = dict(chosen)
    left = noise - sum(values[name].noise.sum() - one.noise for name, one in chosen.items())
    for name, one in chosen.items():
        twice = one.slices == 1 and one.noisy_slices == 2 if one.noisy else one.slices == 2
        if not twice or one.digits or name not in able:
            continue
        sliced = float(values[name].noise[values[name].order[: one.noisy or None]].sum())
        less = sliced * (1 / 4 - 1 / (finer - 1) ** 2)
        if less >= WORTH_STEPS * finer / steps * left:
            found[name] = replace(one, noise=one.noise - less, digits=finer)
    return found
