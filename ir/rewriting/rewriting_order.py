"""The order in which a rewrite visits the nodes: sweeps over those that must be visited."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

_GAP = 1 << 512  # so wide that halving it seldom leaves no room


@dataclass(eq=False)
class Place:
    """A node's place in the graph: its number grows from node to node."""

    name: str
    number: int = 0
    before: Place | None = None
    after: Place | None = None

    def __lt__(self, other: Place) -> bool:
        return self.number < other.number


class Order:
    """The names of nodes in order, of which each can be replaced by several."""

    def __init__(self, names: Iterable[str], gap: int = _GAP) -> None:
        self.gap = gap
        self.places: dict[str, Place] = {}
        self._first = self._last = Place("")
        for name in names:
            self._put(name, self._last.number + gap, self._last, None)

    def __iter__(self) -> Iterator[str]:
        place = self._first.after
        while place:
            yield place.name
            place = place.after

    def replace(self, name: str, names: Sequence[str]) -> None:
        """Put some names in the place of one, which may be the last of them."""
        old = self.places[name]
        assert old.before
        if old.number - old.before.number <= len(names):
            self._spread()
        before, after, number = old.before, old.after, old.number
        step = (number - before.number) // len(names)
        self.remove(name)
        for left, each in zip(reversed(range(len(names))), names, strict=True):
            before = self._put(each, number - left * step, before, after)

    def remove(self, name: str) -> None:
        """Take a name out."""
        place = self.places.pop(name)
        assert place.before
        place.before.after = place.after
        if place.after:
            place.after.before = place.before
        else:
            self._last = place.before

    def _put(self, name: str, number: int, before: Place, after: Place | None) -> Place:
        assert name not in self.places, name
        place = self.places[name] = Place(name, number, before, after)
        before.after = place
        if after:
            after.before = place
        else:
            self._last = place
        return place

    def _spread(self) -> None:
        for index, name in enumerate(self, 1):
            self.places[name].number = index * self.gap


class Sweep:
    """Places to visit, each once, in their order."""

    def __init__(self, places: Iterable[Place] = ()) -> None:
        self._heap = sorted(places)
        self._held = set(self._heap)

    def __len__(self) -> int:
        return len(self._heap)

    def push(self, place: Place) -> None:
        """Visit this place, too."""
        if place not in self._held:
            self._held.add(place)
            heappush(self._heap, place)

    def pop(self) -> Place:
        """The next place."""
        place = heappop(self._heap)
        self._held.remove(place)
        return place

    def joined(self, other: Sweep) -> Sweep:
        """One sweep over the places of two; costs as much as the smaller one has places."""
        large, small = (self, other) if len(self) > len(other) else (other, self)
        for place in small._heap:
            large.push(place)
        return large
