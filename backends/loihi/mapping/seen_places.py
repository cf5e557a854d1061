"""How often runs of places see the places of their senders."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from qcompiler.ir.kernels import Array


class Seen(NamedTuple):
    """Numbers of times; how many places each run sees so often; how many runs see each place.

    ``found`` is ``runs x times``.
    """

    times: Array
    found: Array
    runs: Array


def seen_places(fields: Array, area: int, starts: Array) -> Seen:
    """What runs that begin at ``starts`` see of an area, each of their places what its field holds.

    ``fields`` is ``places x numbers``, with negative numbers for none; ``starts`` ends with the
    number of places.
    """
    runs = len(starts) - 1
    kind: Any = np.int32 if runs * area < 1 << 31 else np.int64
    begin = np.repeat(np.arange(runs, dtype=kind) * kind(area), np.diff(starts))
    keys: Array = (begin[:, None] + fields)[fields >= 0]
    keys.sort(kind="stable")  # which uses that parts are in order
    firsts = np.flatnonzero(np.diff(keys, prepend=-1))
    multiplicity = np.diff(firsts, append=len(keys))
    run, position = np.divmod(keys[firsts], area)
    most = int(multiplicity.max(initial=0)) + 1
    found = np.bincount(run * np.int64(most) + multiplicity, minlength=runs * most)
    found = found.reshape(runs, most)
    used = np.flatnonzero(found.any(axis=0))
    return Seen(used, found[:, used], np.bincount(position, minlength=area))
