"""After compiling: the program beside its model on some of the calibration data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qcompiler.backends.program import Program
from qcompiler.data import Data
from qcompiler.frontend.import_model import Preprocessing
from qcompiler.ir import Diagnostic, Graph
from qcompiler.passes.fold_batchnorm import FoldBatchNorm

from .compared_outputs import compared_outputs, spread_frames
from .judge import constant, noise
from .model_inputs import ModelInputs
from .output_error import OutputError, output_error

_ENOUGH_BITS = 6
_DATA = "calibration inputs"
_FIRST = "see to the calibration data first, as said above"


@dataclass(frozen=True)
class CalibrationCheck:
    """What was found: errors of outputs, warnings, and the share of equal predictions."""

    frames: int
    errors: tuple[OutputError, ...]
    findings: tuple[Diagnostic, ...]
    agreement: float | None

    def manifest(self) -> dict[str, Any]:
        """What a program remembers of it, as JSON data."""
        outputs = {found.name: found.to_dict() for found in self.errors}
        check = {"frames": self.frames, "agreement": self.agreement, "outputs": outputs}
        return {"calibration_check": check, "warnings": [f.text for f in self.findings]}


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
    folded = FoldBatchNorm()(graph)
    compared = compared_outputs(folded, program, data)
    scores = next((one for one in compared if one.vector and len(graph.outputs) == 1), None)
    inputs = ModelInputs(graph, folded, before, data, scores.value if scores else None)
    findings = list(inputs.findings(labels, scores.theirs if scores else None))
    inputs_wrong, errors = bool(findings), []
    for one in compared:
        errors.append(output_error(one.name, *one.centred()))
        found = constant(errors[-1], _DATA)
        if found is None and outputs:
            found = noise(errors[-1], *one.centred(), _DATA, lambda: _coarse(program))
            if found and inputs_wrong:
                found = replace(found, help=_FIRST)
        findings += [found] if found else []
    agreement = scores.agreement() if scores else None
    return CalibrationCheck(len(places), tuple(errors), tuple(findings), agreement)


def _coarse(program: Program) -> list[str]:
    """Populations with so few weight bits that accuracy suffers."""
    found = ((p.name, p.weight_bits) for p in program.report().populations)
    return [f"{name} ({bits})" for name, bits in found if bits is not None and bits < _ENOUGH_BITS]
