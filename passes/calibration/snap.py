"""Numbers that follow from single-precision sums, rounded before anything hangs on them.

The last bits of such sums depend on the kernels that a processor and an onnxruntime have. Rounded
to a few bits a number is the same everywhere, unless it lies within these last bits of the middle
between two neighbours.
"""

from __future__ import annotations

import numpy as np

from qcompiler.ir import Range
from qcompiler.ir.kernels import Array

_BITS = 10  # within 0.1 %: less than a tenth of what ranges that are tried differ by
_FAINT = 1e-9  # share by which sums of double precision may differ


def snapped(numbers: Array) -> Array:
    """Numbers with 10 significant bits."""
    mantissa, exponent = np.frexp(np.asarray(numbers, np.float64))
    result: Array = np.ldexp(np.rint(np.ldexp(mantissa, _BITS)), exponent - _BITS)
    return result


def snapped_range(bounds: Range) -> Range:
    """A range whose ends are the same everywhere."""
    low, high = snapped(np.array(bounds)).tolist()
    return low, high


def clearly_less(one: Array | float, other: Array | float) -> Array:
    """Whether a sum is less than another by more than the order of summation can tell."""
    found: Array = np.asarray(one) < np.asarray(other) * (1 - _FAINT)
    return found
