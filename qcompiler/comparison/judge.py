"""Which errors of outputs deserve a warning, and what the outputs themselves say of the cause."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from qcompiler.ir import Diagnostic
from qcompiler.ir.kernels import Array
from qcompiler.passes.spiking.quantize import Quantize, weight_bits_in

from .output_error import OutputError, Part

TOLERATED = 0.25  # of the spread
_UNEXPLAINED = 2.0  # times what levels explain: weights are rounded as well
_FEW_VALUES = 4
_BEYOND = 0.05  # share of frames: what a range of least squared error cuts is less
CROSSED = (
    "move the thresholds of the model between the values of the data; if these are no cause, "
    "compile with a larger --t-max"
)
_EXPLAIN = "qrun with --against MODEL.onnx --explain names the layer and the cause"


@dataclass(frozen=True)
class Causes:
    """Causes of errors that outputs do not show, looked for if there is an error.

    ``coarse`` finds populations with few weight bits, ``crossed`` says which jump values cross,
    ``pipeline`` is the text of the passes. ``by_input`` says which input's levels make most of an
    error that levels explain, and what helps. ``first`` is what to do first, as was said before.
    """

    coarse: Callable[[], Sequence[str]] = tuple
    crossed: Callable[[], str] = str
    pipeline: str = ""
    by_input: Callable[[], tuple[str, str] | None] = lambda: None
    first: str = ""

    @property
    def has_few_bits(self) -> bool:
        """Whether weights have fewer bits than by default: more than that hardly help."""
        return weight_bits_in(self.pipeline) < Quantize.weight_bits

    @property
    def remedy(self) -> str:
        """What helps against errors of no known cause."""
        if self.first:
            return self.first
        ways = ["a larger --percentile"] if "percentile=" in self.pipeline else []
        ways += ["--effort 1"] if "effort=" not in self.pipeline else []
        ways += ["a larger --t-max", *(["more --weight-bits"] if self.has_few_bits else [])]
        return f"compile with {' or '.join(ways)}; {_EXPLAIN}"


@dataclass(frozen=True)
class Explained:
    """The error of an output of the model in this many levels, without other causes of errors."""

    error: OutputError
    levels: int

    def of(self, part: Part | None) -> float | None:
        """The error of the output, or of the same part; None if that is unknown."""
        known = {one.index: one.error for one in self.error.parts}
        return self.error.error if part is None else known.get(part.index)

    def explains(self, found: OutputError, part: Part | None) -> bool:
        """Whether the error of the output, or of a part, is one that levels alone may make."""
        error = part.error if part else found.error
        return self.of(part) is not None and self.exceeded(error or 0.0, part) <= 1

    def exceeded(self, found: float, part: Part | None) -> float:
        """By which factor an error exceeds what is tolerated because of levels."""
        explained = self.of(part)
        if explained is None:
            return 0.0
        return found / (_UNEXPLAINED * explained + 1 / self.levels)


def noise(
    found: OutputError,
    ours: Array,
    theirs: Array,
    data: str,
    causes: Causes,
    explained: Explained | None = None,
) -> Diagnostic | None:
    """The warning on an output with too large an error, as a whole or in some parts.

    ``data`` is what the frames are called. An error that levels explain is none of few weight bits.
    """
    if found.error is None:
        return None
    parts = noisy_parts(found)
    if found.error <= TOLERATED and not parts:
        return None
    where = on(found.frames, data)
    limit = f"more than {TOLERATED:.0%}"
    if found.error > TOLERATED:
        text = f'the error of output "{found.name}" is {found.error:,.0%} of its spread {where}'
        if found.worst is not None:
            text += f", and {found.worst.error:,.0%} at its element {found.worst}"
    else:
        text = (
            f'the error of output "{found.name}" at its element {parts[0]} is '
            f"{parts[0].error:,.0%} of the element's spread {where}"
        )
    if len(parts) > 1:
        more = ", ".join(map(str, parts[1:4])) + (", .." if len(parts) > 4 else "")
        text += f"; {limit} also at {more} ({len(parts)} of {len(found.parts)})"
    part = None if found.error > TOLERATED else parts[0]
    if explained and explained.explains(found, part):
        if by_input := causes.by_input():
            return Diagnostic(f"{text}, which {by_input[0]} explain", help=by_input[1])
        text += ", which so few levels explain"
        causes = replace(causes, coarse=tuple)
    cause, remedy = _cause(parts[0] if parts else found.worst, ours, theirs, causes)
    return Diagnostic(f"{text}: {cause}" if cause else text, help=remedy)


def unexplained(
    found: OutputError,
    ours: Array,
    theirs: Array,
    data: str,
    explained: Explained,
    causes: Causes,
) -> Diagnostic | None:
    """The warning on an error, up to a quarter of the spread, beyond what levels explain."""
    if found.error is None:
        return None
    by_part = {part: explained.exceeded(part.error, part) for part in found.parts}
    worst = max(found.parts, key=by_part.__getitem__, default=None)
    text = f'the error of output "{found.name}"'
    if worst is not None and by_part[worst] > _by_chance(found):
        text += f" at its element {worst} is {worst.error:.0%} of the element's spread"
    elif explained.exceeded(found.error, None) > 1:
        worst, text = None, f"{text} is {found.error:.0%} of its spread"
    else:
        return None
    text += f" {on(found.frames, data)}, where levels explain {explained.of(worst) or 0.0:.1%}"
    cause, remedy = _cause(worst or found.worst, ours, theirs, causes)
    return Diagnostic(f"{text}: {cause}" if cause else text, help=remedy)


def on(frames: int, data: str) -> str:
    """On how many frames something is so; ``data`` is what several are called."""
    return f"on {frames:,} {data if frames != 1 else data.removesuffix('s')}"


def noisy_parts(found: OutputError) -> list[Part]:
    """Parts whose error is beyond what is tolerated."""
    limit = TOLERATED * _by_chance(found)
    return [part for part in found.parts if part.error > limit]


def _by_chance(found: OutputError) -> float:
    """By which factor the worst of many parts may look worse than it is.

    Estimated on n frames, the share of an error has a relative standard deviation of 1 / sqrt(n) if
    errors and values are Gaussian, and of up to twice that if a few frames hold most of them. The
    largest of k such estimates lies sqrt(2 ln k) of these above.
    """
    count = max(1, len(found.parts))
    return float(1 + 2 * np.sqrt(2 * np.log(count) / max(1, found.frames)))


def constant(found: OutputError, data: str) -> Diagnostic | None:
    """The warning on a model whose output does not depend on the data."""
    if found.error is not None or found.frames < 2:
        return None
    return Diagnostic(
        f'the model\'s own output "{found.name}" is the same for all {found.frames} {data}',
        help="look at the data: are they all alike, or scaled twice?",
    )


def _cause(part: Part | None, ours: Array, theirs: Array, causes: Causes) -> tuple[str, str]:
    """What makes the error, where the outputs show it, and a remedy; one frame shows nothing."""
    if len(ours) == 1:
        return causes.crossed(), CROSSED if causes.crossed() else causes.remedy
    places = part.index if part else ()
    index = (slice(None), *(slice(None) if place is None else place for place in places))
    one, other = (x[index].reshape(len(x), -1) for x in (ours, theirs))
    at = int(np.square(one - other).mean(axis=0).argmax())
    one, other = one[:, at], other[:, at]
    values = _apart(one, np.abs(ours).max())
    frames = len(one)
    step = float(np.diff(values).min()) if len(values) > 1 else 0.0
    offset = float((one - other).mean())
    beyond = float(np.mean((other > values[-1] + step) | (other < values[0] - step)))
    levels = "compile with a larger --t-max, or scale the model's outputs to like spreads"
    if len(values) == 1:
        return f"the program gives one value, {values[0]:.4g}, in every frame", levels
    if crossed := causes.crossed():
        return crossed, CROSSED
    if len(values) <= _FEW_VALUES < frames:
        text = f"the program gives only {len(values)} different values, {step:.4g} apart"
        return f"{text}, for values with standard deviation {other.std():.4g}", levels
    if offset**2 > np.square(one - other).mean() / 2:
        text = f"the program's values lie {abs(offset):.4g} {'lower' if offset < 0 else 'higher'}"
        return f"{text} on average, for a standard deviation of {other.std():.4g}", causes.remedy
    if beyond > _BEYOND and not (causes.has_few_bits and causes.coarse()):
        text = (
            f"{beyond:.0%} of the model's values lie beyond the program's, "
            f"{values[0]:.4g} to {values[-1]:.4g}"
        )
        return text, causes.remedy  # of the calibration data themselves: others would not help
    if few := causes.coarse():
        remedy = "compile with a smaller --t-max, which leaves more"
        if causes.has_few_bits:
            remedy = "compile with more --weight-bits"
        remedy = causes.first or remedy
        return f"few weight bits are left in {', '.join(few)}", remedy
    return "", causes.remedy


def _apart(given: Array, size: float) -> Array:
    """The different values; what single precision makes of one, at this size, counts once."""
    values = np.unique(given)
    least = max(1e-4 * np.ptp(values), 8 * np.finfo(np.float32).eps * size)
    found: Array = values[np.append(True, np.diff(values) > least)]
    return found
