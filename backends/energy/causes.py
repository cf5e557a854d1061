"""The energy of a frame by cause."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Causes:
    """Energy in uJ by cause; ``zeros`` is a part of ``data``."""

    updates: float = 0.0
    data: float = 0.0
    zeros: float = 0.0
    clocks: float = 0.0
    inhibition: float = 0.0

    @property
    def total(self) -> float:
        """The energy of all operations."""
        return self.updates + self.data + self.clocks + self.inhibition

    def to_dict(self) -> dict[str, float]:
        """Total and causes as JSON data."""
        return {"total": self.total, **vars(self)}
