"""Whether calibration data are too few to tell how far values range.

Of n values that are seen, a new one of the same distribution lies beyond all with a probability of
2 / (n + 1): as often as one that is seen does without itself. Where many share an end, as of pixels
or flags, that is rare. What lies beyond its range saturates, however many levels there are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qcompiler.ir import Diagnostic
from qcompiler.ir.kernels import Array

from .judge import on

_BEYOND = 0.05  # share of an input's new values: what a range of least squared error cuts is less
_FEW = 3  # frames, by which half of an output's new values lie beyond those that are seen


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
        f"ranges of values are known only {on(frames, data)}: {share} of the values of other data "
        "lie beyond",
        help="calibrate with more frames, some hundred",
    )


def _alone(array: Array) -> float:
    """Share of the numbers that alone lie at an end of the range of their feature or channel."""
    x = array.reshape(len(array), 1) if array.ndim < 2 else np.moveaxis(array, 1, -1)
    x = x.reshape(-1, x.shape[-1])
    ends = (x == end for end in (x.min(axis=0), x.max(axis=0)))
    return float(sum(np.sum(at.sum(axis=0) == 1) for at in ends)) / max(1, x.size)
