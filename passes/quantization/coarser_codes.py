"""Coarser codes for populations whose integers would exceed the limits of a target."""

from __future__ import annotations

from dataclasses import replace

from qcompiler.ir import Spikes, Tensor, UnsupportedModel, Value
from qcompiler.ir.ann import Clip

from .integer_layer import ExceededLimits
from .level_codes import code_of

_COARSEST = 8.0  # factor of the step that is still a code of the range
_FEW = 4  # levels, fewer of which are not halved: segments of a function add up
_FREE = 2.0**60  # and where the range is the single value zero


def coarser_code(
    code: Spikes, first: Spikes, value: Value, clip: Clip, error: UnsupportedModel
) -> Spikes | None:
    """A coarser code for a value whose integers failed with this error; None if there is none.

    ``first`` is the code of the range of the value, ``clip`` the clip in front. Membranes and
    inputs of a step shrink with the slope, so they fit in the end. Between two bounds of a clip
    there are fewer levels instead. Weights do not shrink: only a value that is always zero on
    calibration data, as a dead ReLU is, can have any scale.
    """
    assert isinstance(value.type, Tensor)
    factor = code.scale / first.scale
    if value.type.range == (0.0, 0.0) and factor < _FREE:
        return replace(code, scale=8 * code.scale)
    if not isinstance(error, ExceededLimits):
        return None
    wide = widened(code, clip) if factor < _COARSEST else None
    return wide or _with_fewer_levels(code, clip)


def _with_fewer_levels(code: Spikes, clip: Clip) -> Spikes | None:
    """Half the levels between the bounds of a clip; None if it has one, or levels are few."""
    if clip.low is None or clip.high is None or code.t_max < _FEW:
        return None
    low = -code.zero * code.scale
    return code_of(code.shape, (code.t_max + 1) // 2, (low, low + code.top * code.scale))


def widened(code: Spikes, clip: Clip) -> Spikes | None:
    """A code of twice the step; None if the range would exceed the bounds of the clip in front."""
    low, width = -code.zero * code.scale, code.top * code.scale
    bottom, top = low - width / 2, low + 1.5 * width
    if clip.low is not None and bottom < clip.low:
        bottom, top = max(low, clip.low), max(low, clip.low) + 2 * width
    if clip.high is not None and top > clip.high:
        bottom, top = low - width, low + width
        if clip.low is not None and bottom < clip.low:
            return None
    return code_of(code.shape, code.t_max, (bottom, top))
