"""Small populations share a core: those that need one each, as far as one holds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple

from .core_usage import CoreUsage


def shared_cores(needs: Mapping[str, CoreUsage], most: CoreUsage) -> tuple[tuple[str, ...], ...]:
    """Populations that share cores, several each; ``most`` is what one core may hold.

    First fit, those with the largest need of any resource first. No core gets more than ``most``,
    but for populations that need more alone.
    """
    groups: list[list[str]] = []
    for name in sorted(needs, key=lambda n: (-_largest_share(needs[n], most), n)):
        fits = (g for g in groups if _within(_sum(needs[n] for n in (*g, name)), most))
        if (group := next(fits, None)) is None:
            groups.append([name])
        else:
            group.append(name)
    return tuple(tuple(group) for group in groups if len(group) > 1)


def _sum(needs: Iterable[CoreUsage]) -> CoreUsage:
    return CoreUsage(*map(sum, zip(*map(astuple, needs), strict=True)))


def _within(need: CoreUsage, most: CoreUsage) -> bool:
    return all(used <= allowed for used, allowed in zip(astuple(need), astuple(most), strict=True))


def _largest_share(need: CoreUsage, most: CoreUsage) -> float:
    pairs = zip(astuple(need), astuple(most), strict=True)
    return max((used / max(1, allowed) for used, allowed in pairs), default=0.0)
