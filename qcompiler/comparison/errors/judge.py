"""Which errors of outputs deserve a warning, and what the outputs themselves say of the cause."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from qcompiler.ir import Diagnostic
from qcompiler.ir.kernels import Array

from .output_causes import Causes, cause_of
from .output_error import OutputError, Part

TOLERATED = 0.25  # of the spread
_UNEXPLAINED = 2.0  # times what levels explain: weights are rounded as well


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
    cause, remedy = cause_of(parts[0] if parts else found.worst, ours, theirs, causes)
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
    cause, remedy = cause_of(worst or found.worst, ours, theirs, causes)
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
