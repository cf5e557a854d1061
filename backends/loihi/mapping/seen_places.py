"""How often runs of places see the places of their senders."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qcompiler.ir.kernels import Array


class Seen(NamedTuple):
    """Numbers of times; how many places each run sees so often; how many runs see each place.

    ``found`` is ``runs x times``.
    """

    times: Array
    found: Array
    runs: Array


class SeenPlaces:
    """What places see of an area: ``fields`` is ``places x numbers``, negative ones for none.

    Sorted once by what is seen and then by the place, for whatever runs of places.
    """

    def __init__(self, fields: Array, area: int) -> None:
        self.places, self.area = len(fields), area
        seen = np.flatnonzero(fields.ravel() >= 0)
        numbers = fields.ravel()[seen]
        order = np.argsort(numbers, kind="stable")
        self.numbers = numbers[order]
        self.seen_from = (seen[order] // max(1, fields.shape[1])).astype(np.int32)
        self._new = np.diff(self.numbers, prepend=-1) != 0

    def by(self, starts: Array) -> Seen:
        """By runs that begin at ``starts``, which end with the number of places."""
        runs = len(starts) - 1
        run = np.repeat(np.arange(runs, dtype=np.int32), np.diff(starts))[self.seen_from]
        firsts = np.flatnonzero(self._new | (np.diff(run, prepend=-1) != 0))
        multiplicity = np.diff(firsts, append=len(run))
        most = int(multiplicity.max(initial=0)) + 1
        found = np.bincount(run[firsts] * np.int64(most) + multiplicity, minlength=runs * most)
        found = found.reshape(runs, most)
        used = np.flatnonzero(found.any(axis=0))
        position = self.numbers[firsts]
        return Seen(used, found[:, used], np.bincount(position, minlength=self.area))
