"""Causes that lie in the levels: a range that cuts, too few of them, ties."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qcompiler.ir import Spikes
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.coding import decode, encode
from qcompiler.ir.spiking.integer_network import spikes_of
from qcompiler.passes.calibration.histogram import Histogram
from qcompiler.passes.quantization.level_codes import code_of

from .verdict import Case

_MOST_LEVELS = 1024  # that qcompile takes
_SAME_END = 0.1  # of a range: by how much the best range may end elsewhere and be no other


def best_range(x: Array, code: Spikes) -> tuple[float, float]:
    """The range of least squared error with the levels of a code, as `normalize` finds it."""
    histogram = Histogram()
    histogram.add(x)
    return histogram.least_squares(code.t_max, None if code.zero or x.min() < 0 else 0.0)


def rounding_error(x: Array, code: Spikes) -> float:
    """Mean squared error of encoding values."""
    error = decode(code, encode(code, x)) - x
    return float(np.mean(np.square(error, dtype=np.float64)))


def range_or_levels(case: Case, answers: bool) -> str:
    """Whether a better range would halve what cutting and rounding lose, or more levels must.

    Few levels want a range that cuts: what saturates there is the price of the levels. A range of
    nearly the same ends may be much better only as a level of it meets a value that is common.
    Calibration that did not cut rare values would not do so on these data either: then a range is
    too wide if it is for all of these.
    """
    x, code = case.exact, replace(case.code, scale=1.0)
    low, high = best_range(x, code)
    same = _SAME_END * code.top
    if _halves(x, code, (low, high)):
        if -code.zero - low > same or high - (code.top - code.zero) > same:
            return "saturated"
        whole = min(0.0, float(x.min())), max(0.0, float(x.max()))
        idle = not case.is_calibrated or _halves(x, code, whole)
        if idle and code.top - (high - low) > same:
            return "wide"
    return "ties" if answers else "levels"


def _halves(x: Array, code: Spikes, ends: tuple[float, float]) -> bool:
    """Whether a range at least halves what a code's cutting and rounding lose."""
    other = code_of(code.shape, code.t_max, ends)
    return 2 * rounding_error(x, other) < rounding_error(x, code)


def saturated(case: Case) -> tuple[str, str]:
    """Numbers and remedy of a range that cuts too much."""
    found, real = case.errors, case.networks.values[case.name]
    parts = []
    if found.above:
        parts.append(
            f"{found.above:.2%} of the values exceed the highest level, {found.highest:.4g}; the "
            f"ANN's maximum is {float(real.max()):.4g}"
        )
    if found.below:
        lowest = -case.code.zero * case.networks.step(case.layer)
        parts.append(
            f"{found.below:.2%} lie below the lowest level, {float(np.min(lowest)):.4g}; the "
            f"ANN's minimum is {float(real.min()):.4g}"
        )
    return f"{'; '.join(parts)}; {_best_range_text(case)}", case.calibrate


def wide(case: Case) -> tuple[str, str]:
    """Numbers and remedy of a range that leaves most levels idle."""
    detail = f"{_levels_text(case)}; {_best_range_text(case)}: most levels are rarely used"
    return detail, case.calibrate


def levels(case: Case) -> tuple[str, str]:
    """Numbers and remedy of too few levels in the best of ranges."""
    if case.layer.is_input:
        more = 2 * case.code.t_max
        finer = case.in_passes("split-inputs", "levels", more)
        remedy = f"--t-max {min(more, _MOST_LEVELS)}{finer}"
    else:
        output = case.layer.name in case.networks.decoded
        code = case.code if output else spikes_of(case.layer.node.result)
        more = min(2 * code.t_max, _MOST_LEVELS)
        remedy = f"--t-max {more}"
    return _levels_text(case), f"compile with more levels, {remedy}{case.effort}"


def _levels_text(case: Case) -> str:
    spread = float(np.std(case.networks.values[case.name]))
    return (
        f"{case.code.t_max} levels with step {case.step:.4g}, for values with standard deviation "
        f"{spread:.4g}"
    )


def _best_range_text(case: Case) -> str:
    code = replace(case.code, scale=1.0)
    low, high = best_range(case.exact, code)
    ratio = (high - low) / code.top
    return f"the best range for these data is {ratio:.2g} times as wide"


def ties(case: Case) -> tuple[str, str]:
    """Numbers and remedy of scores that share a level."""
    code = case.code
    q = case.networks.coded(case.layer).reshape(len(case.networks), -1)
    real = case.networks.values[case.name].reshape(len(case.networks), -1)
    theirs = real.argmax(axis=1)
    highest = q[np.arange(len(q)), theirs] == q.max(axis=1)
    differs = q.argmax(axis=1) != theirs
    shared = int(np.count_nonzero(differs & highest))
    tied = (q == q.max(axis=1, keepdims=True)).sum(axis=1) > 1
    detail = (
        f"{code.t_max} levels with step {code.scale:.4g}: in {int(tied.sum())} of {len(q)} frames "
        "several classes share the highest level; the ANN's class is among them in "
        f"{shared} of the {int(differs.sum())} frames whose prediction differs"
    )
    more = max(64, 2 * code.t_max)
    finer = case.in_passes("refine-outputs", "output_t_max", more)
    t_max = min(more, _MOST_LEVELS)
    return detail, f"compile with more levels at the output, --t-max {t_max}{finer}"
