"""Sums of weights over input channels; those of read-only weights are computed once.

Slices of a value share their weights, and one pass after the other asks for the same sums.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Literal, TypeAlias

import numpy as np

from qcompiler.ir.kernels import Array, sum_channels

Part: TypeAlias = Literal["all", "positive", "synapses"]

_PARTS: dict[Part, Callable[[Array], Array]] = {
    "all": lambda weight: weight,
    "positive": lambda weight: np.maximum(weight, 0),
    "synapses": lambda weight: weight != 0,
}
_known: dict[tuple[int, Part], tuple[weakref.ref[Array], Array]] = {}


def part_of(weight: Array, part: Part) -> Array:
    """The weights, the positive ones, or 1 for each synapse, and 0 elsewhere."""
    return _PARTS[part](weight)


def channel_sums(weight: Array, part: Part) -> Array:
    """The sums, over axis 1, of the weights, of the positive ones, or of 1 for each synapse."""
    if weight.flags.writeable:
        return sum_channels(part_of(weight, part))
    key = id(weight), part
    if key not in _known:
        found = sum_channels(part_of(weight, part))
        found.flags.writeable = False
        _known[key] = weakref.ref(weight, lambda _: _known.pop(key, None)), found
    return _known[key][1]
