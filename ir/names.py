"""Names that are taken, and free ones near them."""

from __future__ import annotations

from collections.abc import Iterable


class Names:
    """Gives each name once: one that is taken gets the first number that is free."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._counts: dict[str, int] = {}  # the last number of a name: those before are taken

    def unique(self, name: str) -> str:
        """A name near this one that was not there, and is taken from now on."""
        found, count = name, self._counts.get(name, 1)
        while found in self._taken:
            count += 1
            found = f"{name}.{count}"
        self._counts[name] = count
        self._taken.add(found)
        return found
