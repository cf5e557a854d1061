"""Where a function jumps or bends because it chooses: by how much, and the ramps of its jumps."""

from __future__ import annotations

import numpy as np

from qcompiler.ir import Range
from qcompiler.ir.ann.formula import CHOICES, JUMPS, choices, values
from qcompiler.ir.kernels import Array

from .piecewise import SAMPLES, TAIL, Jump

RAMP = 1 / 256  # of the domain
FAINT = 1e-9  # share of the domain within which a place is zero
_ASIDE = 1 / 8  # of a ramp, by which its step is beside the jump
_MIDWAY = 1 / 4  # of a jump's height, by which a value is away from both of its ends
_HALVINGS = 40
_MOST_BENDS = 8


def jumps_of(formula: str, domain: Range, bound: float) -> Array:
    """Where a function jumps by more than a bound, in ascending order."""
    left, right = choices_of(formula, np.linspace(*domain, SAMPLES))
    found: Array = right[
        jumping(formula, left, right) & (heights_of(formula, left, right, bound) != 0)
    ]
    return found


def jumping(formula: str, left: Array, right: Array) -> Array:
    """At which places words change that jump."""
    if not JUMPS & {*formula.split()}:
        return np.zeros(len(left), bool)
    found: Array = (choices(formula, left, JUMPS) != choices(formula, right, JUMPS)).any(axis=0)
    return found


def heights_of(formula: str, left: Array, right: Array, bound: float) -> Array:
    """The heights of jumps from left to right, 0 for those within the bound."""
    heights = values(formula, right) - values(formula, left)
    found: Array = np.where(np.abs(heights) > bound, heights, 0.0)
    return found


def apart(places: Array, jumps: Array, domain: Range, narrowest: float) -> list[int]:
    """The indices of all jumps, and of the bends that leave room for a segment on both sides.

    Many bends are none: segments follow the curve.
    """
    if np.count_nonzero(~jumps) > _MOST_BENDS:
        return [at for at, jump in enumerate(jumps) if jump]
    room = max(narrowest, TAIL * (domain[1] - domain[0]))
    ends = [*domain, *places[jumps]]
    for place in places[~jumps]:
        if min(abs(place - end) for end in ends) >= room:
            ends.append(place)
    return [at for at, place in enumerate(places) if jumps[at] or place in ends[2:]]


def choices_of(formula: str, x: Array) -> tuple[Array, Array]:
    """The numbers below and above every place where a comparison or rounding changes its result."""
    if not CHOICES & {*formula.split()}:
        return x[:0], x[:0]
    found = choices(formula, x)
    at = np.flatnonzero((found[:, 1:] != found[:, :-1]).any(axis=0))
    left, right = x[at], x[at + 1]
    for _ in range(_HALVINGS):
        middle = (left + right) / 2
        same = (choices(formula, middle) == choices(formula, left)).all(axis=0)
        left, right = np.where(same, middle, left), np.where(same, right, middle)
    return left, right


def ramp_of(formula: str, left: float, right: float, domain: Range) -> Jump:
    """The ramp of a jump: at half of its height lies the step of the spikes.

    Many values may lie on the jump exactly, as zeros of a ReLU do, at the end of the domain. So the
    value there is before or behind the step, as it is in the function in single precision; or
    between two steps, as that of Sign.
    """
    low, high = domain
    width = (high - low) * RAMP
    exact = float(np.float32(right)) if abs(right) > FAINT * (high - low) else 0.0
    (there,) = values(formula, np.array([exact]), np.float32)
    below, above = values(formula, np.array([left, right]))
    at_end = not low + width < right < high - width
    half = width / 2 if at_end else width * _ASIDE
    begin, height, first = exact - width / 2, float(above - below), float(there - below)
    if _MIDWAY < first / height < 1 - _MIDWAY:
        return Jump(begin, width, height, first, half)
    return Jump(begin + (half if first / height < 1 / 2 else -half), width, height)
