"""Real numbers rounded to the levels of a code, in pieces that stay in the cache."""

from __future__ import annotations

import numpy as np

from qcompiler.ir import Spikes
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.coding import affine

_PIECE = 1 << 15  # numbers


def rounded_to_levels(code: Spikes, x: Array) -> Array:
    """What `decode` makes of what `encode` makes of real numbers, bit by bit; as float32."""
    flat = x.reshape(-1)
    found: Array = np.empty(flat.size, np.float32)
    factor, summand = affine(code)
    wide = np.empty(min(_PIECE, flat.size))
    for begin in range(0, flat.size, _PIECE):
        part = found[begin : begin + _PIECE]
        real = wide[: part.size]
        part[...] = flat[begin : begin + _PIECE]
        np.multiply(part, factor, out=part)
        np.add(part, summand, out=part)
        np.floor(part, out=part)
        np.clip(part, 0, code.top, out=part)
        np.subtract(part, code.zero, out=real, dtype=np.float64)
        np.multiply(real, code.scale, out=real)
        part[...] = real
    return found.reshape(x.shape)
