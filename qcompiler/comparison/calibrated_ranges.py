"""What calibration data tell of ranges: whether they are too few, and which frames are unlike.

Of n values that are seen, a new one of the same distribution lies beyond all with a probability of
2 / (n + 1): as often as one that is seen does without itself. Where many share an end, as of pixels
or flags, that is rare. What lies beyond its range saturates, however many levels there are. A few
frames that lie far from all others leave these few levels.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from qcompiler.explain.causes.coded_input import CodedInput
from qcompiler.ir import Diagnostic
from qcompiler.ir.kernels import Array

from .errors.judge import on

_BEYOND = 0.05  # share of an input's new values: what a range of least squared error cuts is less
_FEW = 3  # frames, by which half of an output's new values lie beyond those that are seen
_FEWEST = 8  # frames that tell which of them are unlike the others
_SHARE = 100  # one frame of so many may be unlike
_NARROW = 1 / 8  # of the range that all frames fill
_LEVELS = 4.0  # that the others use: they are hardly more than noise
_SHOWN = 3
_AT_ONCE = 64  # frames in double precision


def data_of(name: str, host: Collection[str]) -> str:
    """What the data for an input of the network are called: the ``host`` computes those of some."""
    if name in host:
        return f'"{name.removesuffix(".fed")}" (which the host computes of the calibration data)'
    return f'the calibration data for input "{name}"'


def few_frames(arrays: Sequence[Array], data: str) -> Diagnostic | None:
    """The warning on too few frames of inputs; ``data`` is what frames are called.

    There is one array for each input, ``frames x shape``. Features have ranges of their own,
    channels one at all positions.
    """
    frames = len(arrays[0])
    if frames > 2 / _BEYOND:
        return None
    beyond = max(map(_alone, arrays))
    if frames > _FEW and beyond <= _BEYOND:
        return None
    share = f"about {beyond:.0%}" if frames > _FEW else "half or more"
    return Diagnostic(
        f"values are known only {on(frames, data)}: {share} of those of other data lie beyond all "
        "that these show",
        help="calibrate with more frames, some hundred",
    )


def _alone(array: Array) -> float:
    """Share of the numbers that alone lie at an end of the range of their feature or channel."""
    x = array.reshape(len(array), 1) if array.ndim < 2 else np.moveaxis(array, 1, -1)
    x = x.reshape(-1, x.shape[-1])
    ends = (x == end for end in (x.min(axis=0), x.max(axis=0)))
    return float(sum(np.sum(at.sum(axis=0) == 1) for at in ends)) / max(1, x.size)


@dataclass(frozen=True)
class Outliers:
    """Frames of an input, and how many of its levels the others use."""

    frames: Sequence[int]
    levels: float

    def finding(
        self, name: str, most: int, initial: float | None = None, host: Collection[str] = ()
    ) -> Diagnostic:
        """The warning on these frames of an input that has so many levels.

        ``initial`` is the value of a state at the beginning, if that is why. The ``host`` computes
        some inputs.
        """
        within = f"lie within {max(1, int(np.ceil(self.levels)))} of its {most:,} levels"
        if initial is not None:
            return Diagnostic(
                f'the state "{name}" begins at {initial:g}, far from its other values: all but '
                f"{self} {within}",
                help=f"begin nearer to the others: --state OUT:{name}=INITIAL",
            )
        return Diagnostic(
            f"of {data_of(name, host)}, all but {self} {within}",
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
