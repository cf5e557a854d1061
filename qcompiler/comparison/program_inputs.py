"""Whether data suit the ranges that a program codes its inputs in, and what is wrong if not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qcompiler.backends.program.program import Program
from qcompiler.data import Frames
from qcompiler.data.scores import near_guessing
from qcompiler.explain.causes.answers import better_change, detail_of
from qcompiler.explain.causes.coded_input import CodedInput
from qcompiler.explain.causes.model_answers import ModelAnswers
from qcompiler.explain.causes.wrong_input import CUT, LOST, remedy_of
from qcompiler.frontend.import_model import Preprocessing
from qcompiler.ir import Diagnostic
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Encode
from qcompiler.ir.spiking.coding import Rescaling

_FRAMES = 200
_FEWEST = 8  # frames that tell how far data range
_NARROW = 1 / 8  # of the range that the program codes


def range_findings(program: Program, found: Frames) -> Iterator[Diagnostic]:
    """A warning for every input whose code loses most of the data, or that they hardly fill."""
    given = program.network_inputs(*found.spread(_FRAMES).arrays)
    for name, coded in coded_inputs(program, given):
        finding = _range(name, coded, program, len(given) == 1)
        yield from [finding] if finding else []


def coded_inputs(program: Program, given: Sequence[Array]) -> Iterator[tuple[str, CodedInput]]:
    """The data of each input of a network beside the code that they are sent in."""
    for value, x in zip(program.graph.inputs, given, strict=True):
        for node in program.graph.users(value):
            if isinstance(node.op, Encode) and node.op.digit == 0:
                yield value.name, CodedInput(x, node.op.code, Rescaling.of(node))


def _range(name: str, coded: CodedInput, program: Program, alone: bool) -> Diagnostic | None:
    span = float(np.ptp(coded.rescaled))
    lost = coded.lost if span else 0.0
    narrow = len(coded.raw) >= _FEWEST and 0 < span < _NARROW * coded.width
    cut = span > 0 and _is_cut(coded)
    if lost <= LOST and not (narrow or cut):
        return None
    text = f'the data for input "{name}" {coded.text}'
    if cut:
        text += f"; {coded.beyond:.0%} of them lie beyond that"
    if lost > LOST or cut:
        text += f"; encoding loses {min(lost, 1.0):.0%} of their variance"
    return Diagnostic(text, help=remedy_of(name, coded, program, alone))


def _is_cut(coded: CodedInput) -> bool:
    """Whether a range cuts many numbers, and more than it rounds: none of least error does."""
    return coded.beyond > CUT and coded.cut > max(CUT, coded.lost / 2)


def guessing(
    program: Program,
    found: Frames,
    accuracy: float | None,
    classes: int,
    model: Path | None,
) -> Diagnostic | None:
    """The warning on an accuracy that is hardly better than guessing.

    With the ONNX model, the changes of the data that users forget are tried.
    """
    if accuracy is None or found.labels is None:
        return None
    if not near_guessing(accuracy, classes, found.labels):
        return None
    text = f"an accuracy of {accuracy:.2%} is hardly better than guessing one of {classes} classes"
    given, manifest = found.spread(_FRAMES), program.manifest
    labels = given.labels
    alone = len(given.arrays) == 1 and program.prologue is None  # whose indices are no quantities
    if model is not None and labels is not None and alone:
        before = Preprocessing(**program.manifest.get("preprocessing", {}))
        with ModelAnswers(model, given, labels, manifest) as right:
            better = better_change(right, given.arrays[0], labels, before)
        if better is not None:
            return Diagnostic(f"{text}: {detail_of(*better)}", help=better[0].remedy)
    return Diagnostic(f"{text}{_known(program.manifest)}", help=_remedy(model))


def _known(manifest: Mapping[str, Any]) -> str:
    """What the comparison at compile time says: whether the program itself is to blame."""
    check = manifest.get("calibration_check")
    agreement = check.get("agreement") if isinstance(check, Mapping) else None
    if not isinstance(agreement, float):
        return ""
    return f"; on calibration data, {agreement:.0%} of the predictions were those of the model"


def _remedy(model: Path | None) -> str:
    check = "check the data, the labels, and --scale-values and --mean-values of qcompile"
    return check if model else f"{check}; --against MODEL.onnx tells how the model itself answers"
