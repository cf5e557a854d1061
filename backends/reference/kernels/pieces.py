"""Populations as pieces of others, so that one product does for several."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qcompiler.ir.kernels import Array

from .level_forms import LevelForms


@dataclass(frozen=True)
class Piece:
    """Levels ``clip(whole - below, 0, top)`` of some channels of a whole.

    These channels end at ``end``, if that is given, and at the highest level of the whole if not.
    """

    whole: LevelForms
    top: int
    below: int = 0
    first: int = 0
    count: int | None = None
    end: int | None = None

    @staticmethod
    def of(whole: LevelForms) -> Piece:
        """All of it."""
        return Piece(whole, whole.top)

    @property
    def channels(self) -> int:
        """The number of channels; 1 if there are no axes."""
        shape = self.whole.shape
        return self.count if self.count is not None else shape[0] if shape else 1

    @property
    def highest(self) -> int:
        """The highest level of its channels."""
        return self.whole.top if self.end is None else self.end

    @property
    def has_all_channels(self) -> bool:
        """Whether only levels are missing."""
        return self.count is None

    @cached_property
    def alone(self) -> LevelForms:
        """The levels of the piece."""
        if self.has_all_channels and not self.below and self.top == self.whole.top:
            return self.whole
        return self.whole.part(self.first, self.channels, self.below, self.top, self.highest)

    def cut(self, whole: Array) -> Array:
        """The piece of levels of the whole, ``batch x shape``, as int64."""
        levels: Array = whole[:, self.first : self.first + self.count] if self.count else whole
        wide: Array = levels.astype(np.int64)
        if self.below or self.top < self.highest:
            wide = (wide - self.below).clip(0, self.top)
        return wide
