"""A few calibration frames that alone make the range of an input far too wide for all others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from qcompiler.explain.causes.coded_input import CodedInput
from qcompiler.ir import Diagnostic
from qcompiler.ir.kernels import Array

_FEWEST = 8  # frames that tell which of them are unlike the others
_SHARE = 100  # one frame of so many may be unlike
_NARROW = 1 / 8  # of the range that all frames fill
_LEVELS = 4.0  # that the others use: they are hardly more than noise
_SHOWN = 3
_AT_ONCE = 64  # frames in double precision


@dataclass(frozen=True)
class Outliers:
    """Frames of an input, and how many of its levels the others use."""

    frames: Sequence[int]
    levels: float

    def finding(self, name: str, most: int) -> Diagnostic:
        """The warning on these frames of an input that has so many levels."""
        return Diagnostic(
            f'of the calibration data for input "{name}", all but {self} lie within '
            f"{max(1, int(np.ceil(self.levels)))} of its {most:,} levels",
            help=f"remove {self} from the calibration data, or clip these values",
        )

    def __str__(self) -> str:
        named = ", ".join(map(str, self.frames[:_SHOWN]))
        more = len(self.frames) - _SHOWN
        named += f" and {more} more" if more > 0 else ""
        return f"frame {named}" if len(self.frames) == 1 else f"frames {named}"


def outliers(coded: CodedInput) -> Outliers | None:
    """The frames without which a feature, or a channel, would have a far narrower range."""
    frames = len(coded.raw)
    if frames < _FEWEST:
        return None
    low, high = _ends(coded)
    middle = np.median(low + high, axis=0) / 2
    reach = np.maximum(high - middle, middle - low)
    order = np.argsort(reach, axis=0)[: frames - max(1, frames // _SHARE)]
    ends = (np.take_along_axis(end, order, axis=0) for end in (low, high))
    inner_low, inner_high = next(ends).min(axis=0), next(ends).max(axis=0)
    width, whole = inner_high - inner_low, high.max(axis=0) - low.min(axis=0)
    unlike = (width > 0) & (width < _NARROW * whole) & (width < _LEVELS * coded.code.scale)
    if not unlike.any():
        return None
    at = int(np.where(unlike, whole / np.where(width > 0, width, np.inf), 0).argmax())
    far: Array = reach[:, at] > width[at] / 2 / _NARROW  # from the middle of the others
    return Outliers(np.flatnonzero(far).tolist(), float(width[at] / coded.code.scale))


def _ends(coded: CodedInput) -> tuple[Array, Array]:
    """The lowest and the highest number of each frame and feature, or channel."""
    found = []
    for begin in range(0, len(coded.raw), _AT_ONCE):
        x = replace(coded, raw=coded.raw[begin : begin + _AT_ONCE]).rescaled.astype(np.float64)
        x = x.reshape(len(x), x.shape[1] if x.ndim > 1 else 1, -1)
        found.append((x.min(axis=2), x.max(axis=2)))
    lows, highs = zip(*found, strict=True)
    return np.concatenate(lows), np.concatenate(highs)
