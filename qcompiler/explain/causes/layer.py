"""From what a layer loses most by to a verdict on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from qcompiler.backends.program.program import Program
from qcompiler.explain.measure.layer_error import ErrorDecomposition
from qcompiler.explain.measure.side_by_side import SideBySide
from qcompiler.frontend.model.onnx_file import identity
from qcompiler.ir import ProgramError

from . import integers, ranges
from .verdict import BIAS, DEAD, FUNCTION, LEVELS, SATURATED, TIES, WEIGHTS, Case, Verdict

_KINDS: Mapping[str, tuple[str, Callable[[Case], tuple[str, str]]]] = {
    "dead": (DEAD, integers.dead),
    "bias": (BIAS, integers.bias),
    "weights": (WEIGHTS, integers.weights),
    "function": (FUNCTION, integers.function),
    "saturated": (SATURATED, ranges.saturated),
    "wide": (LEVELS, ranges.wide),
    "levels": (LEVELS, ranges.levels),
    "ties": (TIES, ranges.ties),
}


def verdict(
    networks: SideBySide,
    index: int,
    source: str,
    errors: ErrorDecomposition,
    lost: Mapping[str, float],
    classes: bool,
) -> Verdict:
    """The verdict if this source of a layer's error costs the most.

    Rounding and cutting keep the order of values of one code: behind the last layer they cannot
    make a smaller score the largest, only equal to it.
    """
    layer = networks.layers[index]
    case = Case(networks, layer, errors)
    if source in ("saturated", "levels"):
        source = ranges.range_or_levels(case, classes and layer.name in networks.decoded)
    cause, describe = _KINDS[source]
    detail, remedy = describe(case)
    return Verdict(layer.label, layer.node.origin, cause, detail, remedy, dict(lost))


def other_model(program: Program, model: Path) -> bool:
    """Whether the program says that it was made from a file of another content."""
    known = program.manifest.get("model", {})
    if not isinstance(known, Mapping):
        raise ProgramError("the manifest's model is damaged: compile the model again")
    return known.get("sha256", "") not in ("", identity(model)["sha256"])
