"""The range that slices, or digits, of a value cover together."""

from __future__ import annotations

from math import ceil, floor

import numpy as np

from qcompiler.ir import Range
from qcompiler.ir.ann import Clip
from qcompiler.passes.calibration.histogram import Histogram
from qcompiler.passes.calibration.snap import snapped, snapped_range
from qcompiler.passes.quantization.fusion_groups import FusionGroup


def covered(histogram: Histogram, group: FusionGroup, levels: int, steps: int) -> Range:
    """The low end and the width of the range of least squared error for so many ``levels``.

    It lies within the bounds of the group's clip, and starts at 0 behind a ReLU. Elsewhere 0 lies a
    whole number of steps above the low end, where ``steps`` make the width: two or more.
    """
    clip = group.clip.op if group.clip else Clip()
    assert isinstance(clip, Clip)
    low, high = snapped_range(histogram.least_squares(levels, clip.low, clip.high))
    if clip.low == 0:
        return 0.0, high
    step, below = _aligned(min(low, 0.0), max(high, 0.0), steps)
    return -below * step, steps * step


def _aligned(low: float, high: float, steps: int) -> tuple[float, int]:
    """The least step of which so many reach from ``low`` to ``high``, and how many lie below 0.

    An end within half a step of 0 rounds to it. The step has few bits: multiples of it, and their
    differences, are exact in single precision.
    """
    if high == low:
        return 0.0, 0
    share = -low / (high - low) * steps
    found = (
        (max(_step(-low, below), _step(high, steps - below)), below)
        for below in (floor(share), ceil(share))
    )
    step, below = min(one for one in found if one[0] > 0 and _reaches(low, high, steps, *one))
    return float(snapped(np.array(step))), below


def _step(reach: float, steps: int) -> float:
    return reach / steps if steps else 0.0


def _reaches(low: float, high: float, steps: int, step: float, below: int) -> bool:
    half = step / 2
    return (below > 0 or -low <= half) and (below < steps or high <= half)
