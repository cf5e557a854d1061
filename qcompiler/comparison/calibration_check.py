"""After compiling: the program beside its model on some of the calibration data."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qcompiler.backends.energy.activity import to_json
from qcompiler.backends.host import Counters
from qcompiler.backends.program.program import Program
from qcompiler.data import Data
from qcompiler.explain.causes.coded_input import CodedInput
from qcompiler.frontend.import_model import Preprocessing
from qcompiler.ir import Diagnostic, Graph
from qcompiler.ir.kernels import Array
from qcompiler.passes.calibration.data import run
from qcompiler.passes.tensor.fold_batchnorm import FoldBatchNorm

from .calibrated_ranges import Outliers, few_frames, outliers
from .compared_outputs import compared_outputs, spread_frames, values
from .crossed_jumps import CrossedJump, crossed_jump
from .errors.judge import constant
from .errors.output_causes import CROSSED, Causes
from .errors.output_error import SINGLE
from .judged import Judged, judged
from .model_inputs import ModelInputs
from .program_inputs import coded_inputs
from .stream_check import errors_in_stream
from .weight_bits import few_weight_bits

_DATA = "calibration inputs"
_FUNCTIONS = "see to the functions first, as said above"
_FIRST = "see to the calibration data first, as said above"


@dataclass(frozen=True)
class CalibrationCheck:
    """What was found: errors of outputs, warnings, and the share of equal predictions.

    ``outliers`` names frames unlike the others in each input, ``counters`` are those of the run.
    """

    frames: int
    outputs: tuple[Judged, ...]
    outliers: Mapping[str, str]
    findings: tuple[Diagnostic, ...]
    agreement: float | None
    counters: Counters

    def manifest(self) -> dict[str, Any]:
        """What a program remembers of it, as JSON data."""
        outputs = {found.error.name: found.remembered() for found in self.outputs}
        ends = [found.probabilities for found in self.outputs if found.probabilities]
        check: dict[str, Any] = {
            "frames": self.frames,
            "agreement": self.agreement,
            "outputs": outputs,
        }
        check["saturated"] = self.counters.saturated / max(1, self.counters.coded)
        check |= {"probabilities": {found.error.name: found.remembered() for found in ends}}
        check |= {"outliers": dict(self.outliers)} if self.outliers else {}
        activity = to_json(self.counters.activity or {}, self.counters.frames)
        warned = [found.text for found in self.findings]
        return {"activity": activity, "calibration_check": check, "warnings": warned}


def check_calibration(
    graph: Graph,
    program: Program,
    given: Data,
    before: Preprocessing,
    outputs: bool = True,
    missed: bool = False,
    sequences: int = 0,
    host: Collection[str] = (),
) -> CalibrationCheck:
    """Compare a program with the graph that it was compiled from, as imported.

    Without ``outputs`` only the data are looked at: a search cuts outputs where no prediction
    depends on them. ``missed`` says that another warning is on functions with large errors. Data of
    ``sequences``, one after the other, are streamed, too. The ``host`` computes these inputs.
    """
    places = spread_frames(graph, len(given))
    data = tuple(array[places].astype(np.float32) for array in given.arrays)
    labels = None if given.labels is None else np.asarray(given.labels)[places]
    compared, counters = compared_outputs(graph, program, data)
    folded = FoldBatchNorm()(graph)
    scores = next((one for one in compared if one.vector and len(graph.outputs) == 1), None)
    value = scores.value if scores else None
    inputs = ModelInputs(graph, folded, before, data, given.arrays, value, host)
    classes = scores.theirs.reshape(len(scores.theirs), -1) if scores else None
    findings = list(inputs.findings(labels, classes))
    inputs_wrong = bool(findings)
    few = few_frames(given.arrays, _DATA)
    findings += [few] if few else []
    coded = coded_inputs(program, given.arrays)
    begin = {state.input: state.initial for state in program.states}
    unlike = {}
    for name, at in coded:
        if far := outliers(at):
            unlike[name] = far
            first = begin.get(name) if name in begin and _has(at, far, begin[name]) else None
            findings.append(far.finding(name, at.code.t_max, first, host))
    found = tuple(judged(folded, program, data, compared))
    crossed = crossed_jump(folded, program, data) if outputs else None
    causes = _causes(program, crossed, missed)
    told = _noise(found, causes) if outputs else {}
    if sequences:
        told |= errors_in_stream(graph, program, given.arrays, sequences, found, causes)
    if crossed is not None and crossed.worth_telling and not (told or inputs_wrong):
        text = f"{crossed.text}, on {len(places)} {_DATA}"
        findings.append(Diagnostic(text, crossed.node.origin, CROSSED))
    if inputs_wrong:
        told = {name: replace(one, help=_FIRST) for name, one in told.items()}
    errors = [one.error for one in found]
    told |= dict(_constant(folded, given.arrays, found))
    findings += [told[error.name] for error in errors if error.name in told]
    agreement = scores.agreement() if scores else None
    named = {name: str(frames) for name, frames in unlike.items()}
    return CalibrationCheck(len(places), found, named, tuple(findings), agreement, counters)


def _has(coded: CodedInput, far: Outliers, initial: float) -> bool:
    """Whether one of the frames that are unlike the others holds a state at its beginning."""
    return bool((coded.raw[list(far.frames)] == np.float32(initial)).any())


def _constant(
    graph: Graph, given: tuple[Array, ...], found: Sequence[Judged]
) -> Iterator[tuple[str, Diagnostic]]:
    """Warnings on outputs of the model that are the same for all data, not only for some."""
    for one in found:
        error = replace(one.error, frames=len(given[0]))
        if (told := constant(error, _DATA)) is None:
            continue
        if one.error.frames == error.frames or _is_same(graph, given, one.compared.value):
            yield error.name, told


def _is_same(graph: Graph, given: tuple[Array, ...], name: str) -> bool:
    """Whether a value is the same in all frames, up to what single precision tells."""
    low = high = values(graph, tuple(array[:1] for array in given), [name])[name][0]
    for piece in run(graph, given, [name]):
        low = np.minimum(low, piece[name].min(axis=0))
        high = np.maximum(high, piece[name].max(axis=0))
        if np.any(high - low > SINGLE * np.maximum(abs(low), abs(high)).max()):
            return False
    return True


def _causes(program: Program, crossed: CrossedJump | None, missed: bool) -> Causes:
    """What may make errors that outputs do not show."""
    return Causes(
        lambda: few_weight_bits(program),
        lambda: crossed.text if crossed else "",
        program.manifest.get("pipeline", ""),
        first=_FUNCTIONS if missed else "",
    )


def _noise(found: Sequence[Judged], causes: Causes) -> dict[str, Diagnostic]:
    """Warnings on outputs: large errors, and ones beyond what levels explain."""
    told = {one.error.name: one.finding(_DATA, causes) for one in found}
    return {name: finding for name, finding in told.items() if finding}
