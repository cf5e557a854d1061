"""From what a layer loses most by to a verdict on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from qcompiler.backends.program import Program
from qcompiler.ir import ProgramError

from . import cause_integers, cause_range
from .api import identity
from .ladder import Ladder
from .twin import Twin
from .verdict import BIAS, DEAD, FUNCTION, LEVELS, SATURATED, TIES, WEIGHTS, Case, Verdict

_KINDS: Mapping[str, tuple[str, Callable[[Case], tuple[str, str]]]] = {
    "dead": (DEAD, cause_integers.dead),
    "bias": (BIAS, cause_integers.bias),
    "weights": (WEIGHTS, cause_integers.weights),
    "function": (FUNCTION, cause_integers.function),
    "saturated": (SATURATED, cause_range.saturated),
    "wide": (LEVELS, cause_range.wide),
    "levels": (LEVELS, cause_range.levels),
    "ties": (TIES, cause_range.ties),
}


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
    case = Case(twin, place, ladder)
    if rung in ("saturated", "levels"):
        rung = cause_range.range_or_levels(case, classes and place.name in twin.scores)
    cause, describe = _KINDS[rung]
    detail, remedy = describe(case)
    return Verdict(place.name, place.node.origin, cause, detail, remedy, dict(lost))


def other_model(program: Program, model: Path) -> bool:
    """Whether the program says that it was made from a file of another content."""
    known = program.manifest.get("model", {})
    if not isinstance(known, Mapping):
        raise ProgramError("the manifest's model is damaged: compile the model again")
    return known.get("sha256", "") not in ("", identity(model)["sha256"])
