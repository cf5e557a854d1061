"""The chapters for a paper: the guarantees, the search, and how the program was made."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import qcompiler
from qcompiler.backends.program.calibrated_limits import summarize_calibrated_limits
from qcompiler.ir import ProgramError
from qcompiler.manifest.rounding import describe_rounding
from qcompiler.search.front import front_figure
from qcompiler.search.report import schedule_table

from .page import Picture, Section, Table
from .subject import Subject

_FRONT = (
    "Each point is a schedule that was compiled and measured on the calibration data; bars are "
    "standard errors. Filled: within the budget."
)
_DIGESTS = {"sha256": "inputs sha256", "labels": "labels sha256"}
_COUNTED = "qrun with --engine steps counts how often they are exceeded."
_PACKAGES = ("numpy", "onnx", "onnxruntime")


def guarantees(subject: Subject) -> Section:
    """What is proved, and what rests on data."""
    run = subject.run
    checks = run.figures["unproved_checks"] if run else subject.report.unproved_checks
    if checks:
        counters, engine = (run.measured.counters, run.engine) if run else (None, "")
        short = summarize_calibrated_limits(subject.program.graph, counters, engine)
        text = f"Not proved are {short}. All other limits are proved from the weights."
        uncounted = counters is not None and counters.exceeded_by_population is None
        return Section("Guarantees", [text, _COUNTED] if uncounted else [text], items=list(checks))
    text = "All limits of membranes, inputs and weights are proved from the weights, for any input."
    return Section("Guarantees", [text])


def search(subject: Subject) -> Section:
    """The schedules that were measured; ProgramError if the manifest is damaged."""
    found = subject.program.manifest["search"]
    try:
        columns, rows = schedule_table(found)
        chosen = [number for number, point in enumerate(found["points"]) if point["chosen"]]
        picture = Picture(front_figure(found), "Measured schedules", _FRONT)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ProgramError("the manifest's search is damaged: compile the model again") from error
    order = [len(columns) - 2, *range(len(columns) - 2), len(columns) - 1]
    table = Table([columns[n] for n in order], [[row[n] for n in order] for row in rows])
    return Section("Search", pictures=[picture], tables=[replace(table, marked=chosen)])


def methods(subject: Subject) -> Section:
    """Model, options, pipeline and versions."""
    return Section("Methods", facts=list(_facts(subject)))


def _facts(subject: Subject) -> Iterator[tuple[str, str]]:
    manifest, report = subject.program.manifest, subject.report
    model = _dictionary(manifest, "model")
    if model:
        yield "Model", ", ".join(f"{name} {value}" for name, value in model.items())
    images = manifest.get("calibration_images", 0)
    yield "Calibration", f"{images:,} samples" if images else "none"
    built = _dictionary(manifest, "built_with")
    if data := _dictionary(built, "data"):
        yield "Calibration data", ", ".join(f"{_DIGESTS.get(k, k)} {v}" for k, v in data.items())
    if before := {k: v for k, v in _dictionary(manifest, "preprocessing").items() if v}:
        yield "Preprocessing", _pairs(before)
    yield "Target", report.target + (f", {report.chip}" if report.chip else "")
    yield "t_max", f"{subject.program.t_max} spike times for a value, at most"
    yield "Options", _pairs(_dictionary(built, "options")) or "the default"
    if rounding := describe_rounding(manifest.get("rounding", ())):
        yield "Rounding", rounding
    yield "Pipeline", str(manifest.get("pipeline", "")).replace(",", ", ")
    if versions := _dictionary(built, "versions"):
        yield "Compiled with", _pairs(versions)
    yield "Report made with", f"qcompiler {qcompiler.__version__}, {_here()}"
    energy = subject.energy.model
    basis = f"{energy.name}: {energy.basis or 'no basis given'}"
    yield "Energy model", basis + (f" (source: {energy.source})" if energy.source else "")


def _here() -> str:
    found = [f"Python {platform.python_version()}"]
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:  # installed under another name
            continue
    return ", ".join(found)


def _dictionary(data: Any, name: str) -> dict[str, Any]:
    found = data.get(name) if isinstance(data, dict) else None
    return found if isinstance(found, dict) else {}


def _pairs(data: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in data.items())
