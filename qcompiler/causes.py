"""The verdict on one layer: what it loses most by, in numbers, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from qcompiler.backends.coding import decode, encode
from qcompiler.backends.program import Program
from qcompiler.ir import Spikes
from qcompiler.ir.integer import layer_of, spikes_of, weight_of
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Encode
from qcompiler.passes.histogram import Histogram
from qcompiler.passes.integers import code_of

from .api import identity
from .ladder import Ladder
from .twin import Place, Twin

SATURATED = "saturated range"
LEVELS = "too few levels"
WEIGHTS = "weight rounding"
BIAS = "bias rounding"
DEAD = "dead neurons"
INPUT = "wrong input"
TIES = "ties at the output"
FUNCTION = "approximated function"

_CALIBRATE = "compile again with --calibration on {} data, like these"


@dataclass(frozen=True)
class Verdict:
    """Which layer, what is wrong there, the numbers that show it, and the remedy.

    ``lost`` is what each rung of the layer's ladder costs: a share of the frames answered
    otherwise, or of the variance of scores that are no classes; below zero where it mends some.
    """

    layer: str
    origin: tuple[str, ...]
    cause: str
    detail: str
    remedy: str
    lost: Mapping[str, float]


@dataclass(frozen=True)
class _Case:
    twin: Twin
    place: Place
    ladder: Ladder

    @property
    def name(self) -> str:
        return self.place.name

    @property
    def manifest(self) -> Mapping[str, Any]:
        return self.twin.program.manifest

    @property
    def calibrated(self) -> bool:
        return bool(self.manifest.get("calibration_images"))

    @property
    def pipeline(self) -> str:
        return str(self.manifest.get("pipeline", ""))

    @property
    def effort(self) -> str:
        """What to add to a remedy if no effort was made."""
        return "" if "effort=" in self.pipeline else ", or --effort 1"


def verdict(
    twin: Twin,
    index: int,
    rung: str,
    ladder: Ladder,
    lost: Mapping[str, float],
    classes: bool,
) -> Verdict:
    """The verdict if this rung of a layer's ladder costs the most.

    Rounding and cutting keep the order of values of one code: behind the last layer they cannot
    make a smaller score the largest, only equal to it.
    """
    place = twin.places[index]
    case = _Case(twin, place, ladder)
    if rung in ("saturated", "levels"):
        rung = _range_or_levels(case, classes and place.name in twin.scores)
    cause, describe = _KINDS[rung]
    detail, remedy = describe(case)
    return Verdict(place.name, place.node.origin, cause, detail, remedy, dict(lost))


def best_range(x: Array, code: Spikes) -> tuple[float, float]:
    """The range of least squared error with the levels of a code, as `normalize` finds it."""
    histogram = Histogram()
    histogram.add(x)
    return histogram.least_squares(code.t_max, None if code.zero else 0.0)


def rounding_error(x: Array, code: Spikes) -> float:
    """Mean squared error of encoding values."""
    encoder = Encode(code.t_max, code.scale, code.zero)
    error = decode(code, encode(encoder, x)) - x
    return float(np.mean(np.square(error, dtype=np.float64)))


def _range_or_levels(case: _Case, answers: bool) -> str:
    """Whether a better range would halve what cutting and rounding lose, or more levels must.

    Few levels want a range that cuts: what saturates there is the price of the levels.
    """
    x, code = case.ladder.exact, replace(spikes_of(case.place.node.result), scale=1.0)
    best = code_of(code.shape, code.t_max, best_range(x, code))
    if 2 * rounding_error(x, best) < rounding_error(x, code):
        return "saturated" if best.top * best.scale > code.top else "wide"
    return "ties" if answers else "levels"


def _saturated(case: _Case) -> tuple[str, str]:
    found, real = case.ladder, case.twin.values[case.name]
    parts = []
    if found.above:
        parts.append(
            f"{found.above:.2%} of the values lie beyond the highest level, which stands for "
            f"{found.highest:.4g}; the ANN's reach {float(real.max()):.4g}"
        )
    if found.below:
        lowest = -spikes_of(case.place.node.result).zero * case.twin.step(case.place)
        parts.append(
            f"{found.below:.2%} lie below the lowest level, which stands for "
            f"{float(np.min(lowest)):.4g}; the ANN's reach {float(real.min()):.4g}"
        )
    return f"{'; '.join(parts)}; {_suits(case)}", _CALIBRATE.format(
        "more typical" if case.calibrated else "typical"
    )


def _wide(case: _Case) -> tuple[str, str]:
    detail = f"{_steps(case)}; {_suits(case)}: most levels are hardly used"
    return detail, _CALIBRATE.format("more typical" if case.calibrated else "typical")


def _levels(case: _Case) -> tuple[str, str]:
    more = 2 * spikes_of(case.place.node.result).t_max
    return _steps(case), f"compile with more levels, --t-max {more}{case.effort}"


def _steps(case: _Case) -> str:
    code = spikes_of(case.place.node.result)
    step, spread = case.twin.step(case.place), float(np.std(case.twin.values[case.name]))
    return (
        f"{code.t_max} levels, each of {float(np.median(step)):.4g}, for values that spread by "
        f"{spread:.4g} (standard deviation)"
    )


def _suits(case: _Case) -> str:
    code = replace(spikes_of(case.place.node.result), scale=1.0)
    low, high = best_range(case.ladder.exact, code)
    ratio = (high - low) / code.top
    return f"the range that suits these data best is {ratio:.2g} times as wide"


def _weights(case: _Case) -> tuple[str, str]:
    layer = layer_of(case.twin.program.graph, case.place.node)
    weights = np.concatenate([weight_of(synapse).reshape(-1) for synapse in layer.synapses])
    differ = len(np.unique(weights))
    losses = case.ladder.losses()
    step = float(np.median(case.twin.step(case.place)))
    detail = (
        f"the weights are {differ} different whole numbers from {int(weights.min())} to "
        f"{int(weights.max())}; rounding them shifts the values by "
        f"{losses['weights'] ** 0.5 / step:.2g} levels (root mean square), where rounding to "
        f"levels shifts them by {losses['levels'] ** 0.5 / step:.2g}"
    )
    bits = weight_bits(case.pipeline)
    if bits < 8:
        return detail, f"compile with --weight-bits 8 (the program has {bits})"
    if case.effort:
        return detail, "compile with --effort 1, or a smaller --t-max, which leaves more bits"
    return detail, "compile with a smaller --t-max, which leaves more bits, or --target reference"


def _bias(case: _Case) -> tuple[str, str]:
    detail = (
        f"where all inputs are zero, neurons are off by up to {case.ladder.offset:.3g} levels, the "
        "same in every frame; rounding to levels is off by half a level at most"
    )
    bits = weight_bits(case.pipeline)
    if bits < 8:
        return detail, f"compile with --weight-bits 8 (the program has {bits})"
    return detail, "compile again without passes of your own behind quantize" + case.effort


def _dead(case: _Case) -> tuple[str, str]:
    found = case.ladder
    dead = ", ".join(map(str, found.dead[:8])) + (", .." if len(found.dead) > 8 else "")
    axes = tuple(axis for axis in range(found.base.ndim) if axis != 1)
    spread = found.base.std(axis=axes)[list(found.dead)].max()
    detail = (
        f"{len(found.dead)} of {found.channels} channels always have the same level ({dead}), "
        f"though they should spread by up to {float(spread):.4g} (standard deviation)"
    )
    layer = layer_of(case.twin.program.graph, case.place.node)
    by_channel = [
        np.abs(weight_of(s)).reshape(len(weight_of(s)), -1).max(axis=1) for s in layer.synapses
    ]
    silent = [
        n for n in found.dead if all(len(w) == found.channels and not w[n] for w in by_channel)
    ]
    if silent:
        return (
            f"{detail}; the weights of {len(silent)} of them are all zero",
            "compile again without the pass that prunes them, or with more --weight-bits",
        )
    return detail, "compile with more --weight-bits" + case.effort


def _ties(case: _Case) -> tuple[str, str]:
    code = spikes_of(case.place.node.result)
    levels = case.twin.levels[case.place.node.result.name].reshape(len(case.twin), -1)
    real = case.twin.values[case.name].reshape(len(case.twin), -1)
    theirs = real.argmax(axis=1)
    highest = levels[np.arange(len(levels)), theirs] == levels.max(axis=1)
    apart = levels.argmax(axis=1) != theirs
    shared = int(np.count_nonzero(apart & highest))
    tied = (levels == levels.max(axis=1, keepdims=True)).sum(axis=1) > 1
    detail = (
        f"{code.t_max} levels of {code.scale:.4g}: in {int(tied.sum())} of {len(levels)} frames "
        f"several classes share the highest level; the ANN's is among them in {shared} of the "
        f"{int(apart.sum())} frames that are answered otherwise"
    )
    more = max(64, 2 * code.t_max)
    return detail, (
        f"compile with more levels at the output: normalize{{output_t_max={more}}} and "
        f"quantize{{output_t_max={more}}} in --passes, or --t-max {more}"
    )


def _function(case: _Case) -> tuple[str, str]:
    losses = case.ladder.losses()
    step = float(np.median(case.twin.step(case.place)))
    return (
        "several populations make up this layer, such as the segments of a function; what they "
        f"lose shifts the values by {losses['function'] ** 0.5 / step:.2g} levels "
        "(root mean square)",
        "compile with a larger --t-max, or a smaller --activation-error",
    )


_KINDS: Mapping[str, tuple[str, Callable[[_Case], tuple[str, str]]]] = {
    "dead": (DEAD, _dead),
    "bias": (BIAS, _bias),
    "weights": (WEIGHTS, _weights),
    "function": (FUNCTION, _function),
    "saturated": (SATURATED, _saturated),
    "wide": (LEVELS, _wide),
    "levels": (LEVELS, _levels),
    "ties": (TIES, _ties),
}


def weight_bits(pipeline: str) -> int:
    """How many bits the program was compiled with."""
    found = re.search(r"quantize\{[^}]*weight_bits=(\d+)", pipeline)
    return int(found[1]) if found else 8


def other_model(program: Program, model: Path) -> bool:
    """Whether the program says that it was made from a file of another content."""
    known = program.manifest.get("model", {}).get("sha256")
    return known is not None and known != identity(model)["sha256"]
