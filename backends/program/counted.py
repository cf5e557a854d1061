"""What the engine of a plugin counts, checked: it may be anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import astuple, fields, replace
from math import isfinite
from typing import Any

import numpy as np

from qcompiler.backends.energy.activity import Activity, Levels
from qcompiler.backends.host import Counters

_WHOLE = tuple(field.name for field in fields(Counters) if field.default == 0)


def fault_of_counters(
    given: Any, frames: int, may_be: Callable[[Activity, int], bool]
) -> str | None:
    """What is wrong with the counters of a batch, as the end of a sentence.

    ``may_be`` tells whether an activity may be that of the network in so many frames.
    """
    if not isinstance(given, Counters):
        return f"no Counters, but {type(given).__name__}"
    for name in _WHOLE:
        if not _is_whole(found := getattr(given, name)):
            return f"counters whose {name} is {found!r:.20}: it must be a whole number from 0 on"
    if given.frames != frames:
        return f"counters of {given.frames!r:.20} frames for a batch of {frames:,}"
    beyond = given.exceeded_by_population
    if not (beyond is None or _by_name(beyond, _is_whole)):
        return "counters whose exceeded_by_population holds no whole numbers by population"
    found = given.activity
    if not (found is None or (_by_name(found, _are_levels) and may_be(found, frames))):
        return "counters whose activity is not that of the network: with None it is counted anew"
    return None


def plain(counters: Counters) -> Counters:
    """A copy in Python's own numbers, which JSON takes, of no network yet."""
    whole = {name: int(getattr(counters, name)) for name in _WHOLE}
    beyond, found = counters.exceeded_by_population, counters.activity
    return replace(
        counters,
        **whole,
        exceeded_by_population=beyond and {name: int(count) for name, count in beyond.items()},
        activity=found and {name: Levels(*map(_own, astuple(q))) for name, q in found.items()},
        network=None,
    )


def _is_whole(given: Any) -> bool:
    whole = isinstance(given, int | np.integer) and not isinstance(given, bool)
    return whole and int(given) >= 0


def _own(number: Any) -> Any:
    return number.item() if isinstance(number, np.generic) else number


def _are_levels(given: object) -> bool:
    return isinstance(given, Levels) and all(map(_is_amount, astuple(given)))


def _is_amount(given: Any) -> bool:
    real = isinstance(given, int | float | np.integer | np.floating)
    return real and isfinite(given) and bool(given >= 0)


def _by_name(given: object, fits: Callable[[object], bool]) -> bool:
    return isinstance(given, Mapping) and all(
        isinstance(name, str) and fits(value) for name, value in given.items()
    )
