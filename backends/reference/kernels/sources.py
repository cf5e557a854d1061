"""What kernels in 8 bits read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qcompiler.ir.execution.session import OnnxWriter

from .channels_last import ChannelsLast
from .level_forms import LevelForms
from .moves import moved


@dataclass(frozen=True)
class Source:
    """Levels times a factor; only some ``channels``, if they are given.

    Moved, if there are ``places`` on the first axes of space: then ``offset`` holds for each of
    these axes where the first place reads, and the stride.
    """

    form: LevelForms
    factor: int
    channels: tuple[int, ...] | None = None
    offset: tuple[tuple[int, int], ...] = ()
    places: tuple[int, ...] = ()

    @property
    def space(self) -> tuple[int, ...]:
        """The places that it has on each axis of space."""
        return (*self.places, *self.form.shape[1 + len(self.places) :])

    def write(self) -> str:
        """The levels of all channels as uint8."""
        found = self.form.times(self.factor)
        if not self.places:
            return found
        return moved(self.form, found, self.offset, self.places)

    @property
    def last(self) -> ChannelsLast | None:
        """The levels with channels last, if they are there like this."""
        plain = self.factor == 1 and self.channels is None and not self.places
        return self.form.last if plain else None

    def chosen(self, writer: OnnxWriter, found: str) -> str:
        """Its channels out of all, along the first axis."""
        if self.channels is None:
            return found
        return writer.add(
            "Gather", found, writer.constant(np.array(self.channels, np.int64)), axis=1
        )
