"""Small populations share a core: those that need one each, as far as one holds them."""

from __future__ import annotations

from collections.abc import Mapping

from .core_usage import CoreUsage


def shared_cores(needs: Mapping[str, CoreUsage], most: CoreUsage) -> tuple[tuple[str, ...], ...]:
    """Populations that share cores, several each; ``most`` is what one core may hold.

    First fit, those with the largest need of any resource first. No core gets more than ``most``,
    but for populations that need more alone.
    """
    groups: list[list[str]] = []
    used: list[CoreUsage] = []
    for name in sorted(needs, key=lambda n: (-_largest_share(needs[n], most), n)):
        joined = ((index, one.plus(needs[name])) for index, one in enumerate(used))
        index, together = next(
            (found for found in joined if found[1].within(most)), (len(groups), needs[name])
        )
        if index == len(groups):
            groups.append([name])
            used.append(together)
        else:
            groups[index].append(name)
            used[index] = together
    return tuple(tuple(group) for group in groups if len(group) > 1)


def _largest_share(need: CoreUsage, most: CoreUsage) -> float:
    return max(used / max(1, allowed) for used, allowed in zip(need, most, strict=True))
