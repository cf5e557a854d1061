"""Outputs of a program beside those that onnxruntime gives for its model: `qrun --against`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from qcompiler.backends.program.program import Program
from qcompiler.data.scores import predictions
from qcompiler.explain.causes.layer import other_model
from qcompiler.ir import Diagnostic
from qcompiler.ir.kernels import Array

from .errors.judge import TOLERATED, Explained, noisy_parts, on
from .errors.level_errors import LevelCounts
from .errors.output_error import OutputError, output_error
from .in_front_of_host import rescaled

_FEWEST = 8  # frames that tell what an error is
_FITTED = 4.0  # times the error on calibration inputs: what fits these alone
_CUT = 0.01  # share of more values that saturate, which is a cause
_REMEDY = "compile again with --calibration on some hundred frames that are like these data"


@dataclass(frozen=True)
class OutputAgainst:
    """One output: its error, None for whole numbers; agreement where it names a class."""

    name: str
    error: OutputError | None
    agreement: float | None

    def to_dict(self) -> dict[str, Any]:
        """What is known as plain JSON."""
        found = self.error.to_dict() if self.error else {}
        return {"error": None, "spread": None, "worst": None, **found, "agreement": self.agreement}

    def __str__(self) -> str:
        if self.error is None:
            return "whole numbers" if self.agreement is None else f"{self.agreement:.2%} are equal"
        if self.error.error is None:
            return "unknown: the model's output is the same in all frames"
        text = f"{_percent(self.error.error)} of the output's spread"
        if self.error.worst is None:
            return text
        text += f"; worst element {self.error.worst}: {_percent(self.error.worst.error)} of its own"
        noisy = len(noisy_parts(self.error))
        parts = f"{noisy} of {len(self.error.parts)}"
        return f"{text}; more than {_percent(TOLERATED)} in {parts}" if noisy > 1 else text


def compare_with_model(
    outputs: Mapping[str, Array], reference: Mapping[str, Array], labels: Array | None
) -> tuple[OutputAgainst, ...]:
    """Pair outputs by name, or in order where a model names them otherwise; others are left out."""
    if not outputs.keys() <= reference.keys():
        reference = dict(zip(outputs, reference.values(), strict=False))
    return tuple(
        _compared(name, ours, reference[name].reshape(ours.shape), labels)
        for name, ours in outputs.items()
        if name in reference and reference[name].size == ours.size
    )


def in_real_numbers(
    outputs: Mapping[str, Array], reference: Mapping[str, Array]
) -> dict[str, Array]:
    """Outputs of a model, real where the program gives real numbers: codes of integers.

    Paired by name, or in order where a model names them otherwise.
    """
    names = dict(zip(reference, outputs, strict=False))
    if outputs.keys() <= reference.keys():
        names = dict(zip(outputs, outputs, strict=True))
    real = {theirs for theirs, ours in names.items() if outputs[ours].dtype.kind == "f"}
    return {
        name: array.astype(np.float32) if name in real and array.dtype.kind in "iu" else array
        for name, array in reference.items()
    }


def _compared(name: str, ours: Array, theirs: Array, labels: Array | None) -> OutputAgainst:
    real = ours.dtype.kind == "f" and theirs.dtype.kind == "f"
    one, other = predictions(ours, labels), predictions(theirs, labels)
    if other is None and real:
        one = None  # what the model takes for no scores is none
    agreement = None if one is None or other is None else float(np.mean(one == other))
    if not real and agreement is None:
        agreement = float(np.mean(ours == theirs))
    return OutputAgainst(name, output_error(name, ours, theirs) if real else None, agreement)


def _percent(share: float) -> str:
    return f"{100 * share:,.3g} %" if share < 10 else f"{100 * share:,.0f} %"


def errors_on_new_frames(
    program: Program, against: Sequence[OutputAgainst], saturated: float | None, model: Path
) -> Iterator[Diagnostic]:
    """A warning for every output that errs beyond levels, and beyond its error when compiled.

    Weights are fitted to calibration inputs, and with few of them may err less there than levels
    explain: an error of more than a quarter of the spread, and of four times that, is told as well.
    ``saturated`` is the share of values that saturate, ``model`` the file that is compared with.
    Nothing is said of fewer than eight frames, nor of programs compiled without data.
    """
    levels = LevelCounts.of(program).outputs
    for one in against:
        found, known = one.error, _remembered(program.manifest, one.name)
        if found is None or found.error is None or known is None or found.frames < _FEWEST:
            continue
        error, spread, explained = (known[key] for key in ("error", "spread", "levels"))
        spread *= rescaled(program.graph, one.name)
        expected = max(error, explained) * spread / found.spread
        fitted = max(TOLERATED, _FITTED * error * spread / found.spread)
        beyond = Explained(replace(found, error=expected), levels).exceeded(found.error, None) > 1
        if beyond or found.error > fitted:
            text = (
                f'the error of output "{one.name}" is {found.error:,.0%} of its spread '
                f"{on(found.frames, 'frames')} ({found.error * found.spread:.3g} in its units), "
                f"but was {error:.1%} of its spread "
                f"{on(int(known['frames']), 'calibration inputs')} ({error * spread:.3g})"
            )
            if other_model(program, model):
                text += f": {model.name} is not the file that was compiled"
                help_ = f"compile {model.name}, or compare with the model that was compiled"
                yield Diagnostic(text, help=help_)
                continue
            before = known["saturated"]  # segments of functions do so on any data
            if saturated and saturated > before + _CUT:
                text += f": {saturated:.1%} of all values saturate, in place of {before:.1%} there"
            yield Diagnostic(text, help=_REMEDY)


def _remembered(manifest: Mapping[str, Any], name: str) -> dict[str, float] | None:
    """What a program knows of an output on calibration data; None if that is nothing."""
    try:
        check = manifest["calibration_check"]
        outputs = {**check["outputs"], **check["probabilities"]}
        known = {key: float(outputs[name][key] or 0.0) for key in ("error", "spread", "levels")}
        known |= {key: float(check[key]) for key in ("frames", "saturated")}
        return known if known["spread"] else None
    except (LookupError, TypeError, ValueError):  # an earlier version's, or a damaged one
        return None
