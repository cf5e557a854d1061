"""Whether a program errs more on other frames than on those that it was calibrated on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from qcompiler.backends.program.program import Program
from qcompiler.ir import Diagnostic

from .against import OutputAgainst
from .judge import Explained, on
from .level_errors import LevelCounts

_FEWEST = 8  # frames that tell what an error is
_CUT = 0.01  # share of values beyond their ranges that is a cause
_REMEDY = "compile again with --calibration on some hundred frames that are like these data"


def errors_on_new_frames(
    program: Program, against: Sequence[OutputAgainst], saturated: float | None
) -> Iterator[Diagnostic]:
    """A warning for every output that errs beyond levels, and beyond its error when compiled.

    ``saturated`` is the share of values beyond their ranges. Nothing is said of fewer than eight
    frames, nor of programs compiled without data.
    """
    levels = LevelCounts.of(program).outputs
    for one in against:
        found, known = one.error, _remembered(program.manifest, one.name)
        if found is None or found.error is None or known is None or found.frames < _FEWEST:
            continue
        error, spread, explained = (known[key] for key in ("error", "spread", "levels"))
        expected = max(error, explained) * spread / found.spread
        if Explained(replace(found, error=expected), levels).exceeded(found.error, None) > 1:
            text = (
                f'the error of output "{one.name}" is {found.error:,.0%} of its spread '
                f"{on(found.frames, 'frames')}, but was {error * spread / found.spread:.1%} of it "
                f"{on(int(known['frames']), 'calibration inputs')}"
            )
            if saturated and saturated > _CUT:
                text += f": {saturated:.1%} of all values lie beyond the calibrated ranges"
            yield Diagnostic(text, help=_REMEDY)


def _remembered(manifest: Mapping[str, Any], name: str) -> dict[str, float] | None:
    """What a program knows of an output on calibration data; None if that is nothing."""
    try:
        check = manifest["calibration_check"]
        outputs = {**check["outputs"], **check["probabilities"]}
        known = {key: float(outputs[name][key] or 0.0) for key in ("error", "spread", "levels")}
        return {**known, "frames": float(check["frames"])} if known["spread"] else None
    except (LookupError, TypeError, ValueError):  # an earlier version's, or a damaged one
        return None
