"""After compiling: the program beside its model on some of the calibration data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qcompiler.backends.energy.activity import to_json
from qcompiler.backends.host import Counters
from qcompiler.backends.program.program import Program
from qcompiler.data import Data
from qcompiler.frontend.import_model import Preprocessing
from qcompiler.ir import Diagnostic, Graph
from qcompiler.ir.kernels import Array
from qcompiler.passes.tensor.fold_batchnorm import FoldBatchNorm

from .compared_outputs import Compared, compared_outputs, spread_frames
from .crossed_jumps import CrossedJump, crossed_jump
from .judge import CROSSED, Causes, Explained, constant, noise, unexplained
from .level_errors import LevelCounts, values_in_levels
from .model_inputs import ModelInputs
from .output_error import OutputError, output_error
from .weight_bits import few_weight_bits

_DATA = "calibration inputs"
_FIRST = "see to the calibration data first, as said above"


@dataclass(frozen=True)
class CalibrationCheck:
    """What was found: errors of outputs, warnings, and the share of equal predictions.

    ``counters`` are those of the program's run.
    """

    frames: int
    errors: tuple[OutputError, ...]
    findings: tuple[Diagnostic, ...]
    agreement: float | None
    counters: Counters

    def manifest(self) -> dict[str, Any]:
        """What a program remembers of it, as JSON data."""
        outputs = {found.name: found.to_dict() for found in self.errors}
        check = {"frames": self.frames, "agreement": self.agreement, "outputs": outputs}
        activity = to_json(self.counters.activity or {}, self.counters.frames)
        warned = [found.text for found in self.findings]
        return {"activity": activity, "calibration_check": check, "warnings": warned}


def check_calibration(
    graph: Graph, program: Program, given: Data, before: Preprocessing, outputs: bool = True
) -> CalibrationCheck:
    """Compare a program with the graph that it was compiled from, as imported.

    Without ``outputs`` only the data are looked at: a search cuts outputs where no prediction
    depends on them.
    """
    places = spread_frames(graph, len(given))
    data = tuple(array[places].astype(np.float32) for array in given.arrays)
    labels = None if given.labels is None else np.asarray(given.labels)[places]
    compared, counters = compared_outputs(graph, program, data)
    folded = FoldBatchNorm()(graph)
    scores = next((one for one in compared if one.vector and len(graph.outputs) == 1), None)
    inputs = ModelInputs(graph, folded, before, data, scores.value if scores else None)
    classes = scores.theirs.reshape(len(scores.theirs), -1) if scores else None
    findings = list(inputs.findings(labels, classes))
    inputs_wrong = bool(findings)
    errors = [output_error(one.name, *one.centred()) for one in compared]
    crossed = crossed_jump(folded, program, data) if outputs else None
    told = _noise(folded, program, data, compared, errors, crossed) if outputs else {}
    if crossed is not None and crossed.worth_telling and not (told or inputs_wrong):
        text = f"{crossed.text}, on {len(places)} {_DATA}"
        findings.append(Diagnostic(text, crossed.node.origin, CROSSED))
    if inputs_wrong:
        told = {name: replace(found, help=_FIRST) for name, found in told.items()}
    told |= {error.name: found for error in errors if (found := constant(error, _DATA))}
    findings += [told[error.name] for error in errors if error.name in told]
    agreement = scores.agreement() if scores else None
    return CalibrationCheck(len(places), tuple(errors), tuple(findings), agreement, counters)


def _noise(
    graph: Graph,
    program: Program,
    data: tuple[Array, ...],
    compared: Sequence[Compared],
    errors: Sequence[OutputError],
    crossed: CrossedJump | None,
) -> dict[str, Diagnostic]:
    """Warnings on outputs: large errors, and ones beyond what levels explain."""
    causes = Causes(
        lambda: few_weight_bits(program),
        lambda: crossed.text if crossed else "",
        program.manifest.get("pipeline", ""),
    )
    known = _explained(graph, program, data, compared)
    told: dict[str, Diagnostic] = {}
    for one, error in zip(compared, errors, strict=True):
        levels = known.get(one.name)
        found = noise(error, *one.centred(), _DATA, causes, levels)
        if found is None and levels:
            found = unexplained(error, *one.centred(), _DATA, levels, causes)
        if found:
            told[one.name] = found
    return told


def _explained(
    graph: Graph, program: Program, data: tuple[Array, ...], compared: Sequence[Compared]
) -> dict[str, Explained]:
    """What levels alone make of each output; nothing if a value becomes infinite."""
    counts = LevelCounts.of(program)
    arrays = values_in_levels(graph, counts, data, [one.value for one in compared]) or ()
    found = {}
    for one, array in zip(compared, arrays, strict=False):
        error = output_error(one.name, *replace(one, ours=array).centred())
        found[one.name] = Explained(error, counts.outputs)
    return found
