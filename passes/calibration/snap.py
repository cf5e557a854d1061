"""Round numbers to few bits, so that ranges do not depend on the machine.

The last bits of single-precision sums depend on the processor and on the version of onnxruntime.
After rounding to 10 bits a number is the same everywhere, except when it lies almost exactly
between two neighbours.
"""

from __future__ import annotations

import numpy as np

from qcompiler.ir import Range
from qcompiler.ir.kernels import Array

_BITS = 10  # 0.1 %, less than a tenth of the distance of candidate ranges
_FAINT = 1e-9  # relative tolerance of double-precision sums


def snapped(numbers: Array) -> Array:
    """Numbers with 10 significant bits."""
    mantissa, exponent = np.frexp(np.asarray(numbers, np.float64))
    result: Array = np.ldexp(np.rint(np.ldexp(mantissa, _BITS)), exponent - _BITS)
    return result


def snapped_range(bounds: Range) -> Range:
    """A range with ends of 10 significant bits, or, if it lies far, of 10 bits of its width."""
    low, high = bounds
    if not lies_far(low, high):
        low, high = snapped(np.array(bounds)).tolist()
    elif high > low:
        width = float(snapped(np.array(high - low)))
        low = float(np.rint(np.ldexp(low / width, _BITS)) * np.ldexp(width, -_BITS))
        high = low + width
    return low, high


def lies_far(low: float, high: float, share: float = 1.0) -> bool:
    """Whether a range lies farther from zero than it is wide, or than a share of that."""
    return max(low, -high) > share * (high - low)


def clearly_less(one: Array | float, other: Array | float) -> Array:
    """Whether a sum is less than another beyond the error of the order of summation."""
    found: Array = np.asarray(one) < np.asarray(other) * (1 - _FAINT)
    return found


def first_least(sums: Array) -> int | None:
    """Index of the first sum that no later one is clearly less than; None if none is finite."""
    found, least = None, np.inf
    for index, one in enumerate(sums.tolist()):
        if one < least * (1 - _FAINT):
            found, least = index, one
    return found
