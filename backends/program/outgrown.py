"""States that outgrow the range that calibration has shown, and stay at its end."""

from __future__ import annotations

import numpy as np

from qcompiler.ir import Diagnostic
from qcompiler.ir.kernels import Array

from .states import CarriedState

_FRAMES = 8  # in a row, after which an element is not at an end by chance


class OutgrownStates:
    """Counts for how many frames in a row each element of the states lies at an end.

    An end at 0 counts as none: there, ranges have no room beyond what states reach by nature.
    """

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._frames: dict[str, Array] = {}

    def reset(self) -> None:
        """Begin new sequences; what was told is not told again."""
        self._frames.clear()

    def seen(self, one: CarriedState, levels: Array) -> Diagnostic | None:
        """The warning on a state, the first time that it stays at an end of its range."""
        name, (low, high) = one.state.input, one.bounds
        if name in self._told:
            return None
        at = (levels == one.code.top) & (high > 0) | (levels == 0) & (low < 0)
        frames = self._frames[name] = np.where(at, self._frames.get(name, 0) + at, 0)
        if frames.max(initial=0) < _FRAMES:
            return None
        self._told.add(name)
        at = np.unravel_index(frames.argmax(), frames.shape)[1:]
        where = "" if one.rescaling is None else f" at its element {list(map(int, at))}"
        return Diagnostic(
            f'the state "{name}" outgrows its range{where}, {low[at]:.4g} to {high[at]:.4g}: it '
            f"stays at an end for {_FRAMES} frames",
            help="compile again with longer calibration sequences, in which it goes as far",
        )
