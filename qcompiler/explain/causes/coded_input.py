"""Data of one input, in the units in which it is given, beside the code that they are sent in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qcompiler.ir import Spikes
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.coding import Rescaling, count_saturated

from .ranges import rounding_error


@dataclass(frozen=True)
class CodedInput:
    """Numbers, ``frames x shape``, what is done to them first, if anything, and the code."""

    raw: Array
    code: Spikes
    rescaling: Rescaling | None = None

    @property
    def rescaled(self) -> Array:
        """What is coded."""
        raw = self.raw.astype(np.float32, copy=False)
        return raw if self.rescaling is None else self.rescaling.apply(raw)

    @property
    def width(self) -> float:
        """How far the levels of the code reach, in the units of `rescaled`."""
        return self.code.top * self.code.scale

    @property
    def covered(self) -> tuple[float, float]:
        """The lowest and the highest number that levels stand for, of all elements."""
        code = self.code
        ends = np.array([-code.zero, code.top - code.zero], np.float64) * code.scale
        if self.rescaling is None:
            return float(ends[0]), float(ends[1])
        offset, factor = (np.asarray(a, np.float64).ravel() for a in self.rescaling)
        raw = ends / factor[:, None] + offset[:, None]
        return float(raw.min()), float(raw.max())

    @property
    def lost(self) -> float:
        """Squared error of encoding as a share of the variance."""
        x = self.rescaled
        return rounding_error(x, self.code) / (float(np.var(x, dtype=np.float64)) or 1.0)

    @property
    def beyond(self) -> float:
        """Share of the numbers that lie beyond all levels."""
        return count_saturated(self.code, self.rescaled) / max(1, self.raw.size)

    @property
    def cut(self) -> float:
        """Squared error of what lies beyond all levels, as a share of the variance."""
        x, code = self.rescaled.astype(np.float64), self.code
        kept = x.clip(-code.zero * code.scale, (code.top - code.zero) * code.scale)
        return float(np.mean(np.square(x - kept))) / (float(np.var(x)) or 1.0)

    @property
    def text(self) -> str:
        """How far the data range, and what is coded."""
        low, high = self.covered
        seen = f"range from {self.raw.min() + 0.0:.4g} to {self.raw.max() + 0.0:.4g}"
        return f"{seen}, but the program is compiled for {low:.4g} to {high:.4g}"
