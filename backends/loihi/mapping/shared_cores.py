"""Small populations share a core: those that need one each, as far as one holds them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .core_usage import CoreUsage


def shared_cores(needs: Mapping[str, CoreUsage], most: CoreUsage) -> tuple[tuple[str, ...], ...]:
    """Populations that share cores, several each; ``most`` is what one core may hold.

    First fit, those with the largest need of any resource first. No core gets more than ``most``,
    but for populations that need more alone.
    """
    groups: list[list[str]] = []
    used = np.zeros((len(needs), len(most)), np.int64)
    for name in sorted(needs, key=lambda n: (-_largest_share(needs[n], most), n)):
        fits = (used[: len(groups)] + needs[name] <= most).all(axis=1)
        index = int(fits.argmax()) if fits.any() else len(groups)
        if index == len(groups):
            groups.append([])
        groups[index].append(name)
        used[index] += needs[name]
    return tuple(tuple(group) for group in groups if len(group) > 1)


def _largest_share(need: CoreUsage, most: CoreUsage) -> float:
    return max(used / max(1, allowed) for used, allowed in zip(need, most, strict=True))
