"""Biases that differ near borders, as those of padded inputs whose zero is no level.

Such a bias is what a kernel makes of ones with zeros around them, and a rest for each channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from qcompiler.ir.kernels import Array, convolve
from qcompiler.ir.snn import Convolve

from .sum_parts import SumPart

_MOST_PLACES = 1 << 22  # places times taps


def border_part(parts: Sequence[SumPart], bias: Array) -> tuple[SumPart, Array] | None:
    """The part that makes up a bias, ``channels x space`` of integers, and the rest by channel.

    None if no such part gives exactly this bias.
    """
    kernels = [part for part in parts if isinstance(part.op, Convolve) and part.op.groups == 1]
    if not kernels or len({part.source.shape[1:] for part in parts}) > 1:
        return None
    model = max(kernels, key=lambda part: prod(part.weight.shape[2:]))
    assert isinstance(model.op, Convolve)
    size, taps = model.weight.shape[2:], prod(model.weight.shape[2:])
    if taps * prod(bias.shape[1:]) > _MOST_PLACES:
        return None
    each = np.eye(taps).reshape(taps, 1, *size)
    inside = convolve(np.ones((1, 1, *model.source.shape[1:])), each, model.op, 1)
    found = _solved(inside.reshape(taps, -1), bias.reshape(len(bias), -1))
    if found is None:
        return None
    weight, rest = found
    return SumPart(model.op, weight.reshape(len(bias), 1, *size), model.source.ones), rest


def _solved(inside: Array, bias: Array) -> tuple[Array, Array] | None:
    """Integers with ``weight @ inside + rest = bias``."""
    kinds, at, kind_of = np.unique(inside, axis=1, return_index=True, return_inverse=True)
    if (bias[:, at][:, kind_of.reshape(-1)] != bias).any():
        return None
    varied = kinds.min(axis=1) < kinds.max(axis=1)
    matrix = np.vstack([kinds[varied], np.ones(kinds.shape[1])])
    solution = np.rint(np.linalg.lstsq(matrix.T, bias[:, at].T, rcond=None)[0].T)
    if (solution @ matrix != bias[:, at]).any():
        return None
    weight = np.zeros((len(bias), len(inside)), np.int64)
    weight[:, varied] = solution[:, :-1].astype(np.int64)
    return weight, solution[:, -1].astype(np.int64)
