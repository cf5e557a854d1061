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
    """A range with both ends rounded to 10 significant bits."""
    low, high = snapped(np.array(bounds)).tolist()
    return low, high


def clearly_less(one: Array | float, other: Array | float) -> Array:
    """Whether a sum is less than another beyond the error of the order of summation."""
    found: Array = np.asarray(one) < np.asarray(other) * (1 - _FAINT)
    return found
