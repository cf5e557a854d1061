"""The chapter on answers: accuracy, agreement, which classes are taken for which, and errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from qcompiler.backends.energy.built_in_models import ANN_PLAIN, ANN_REUSE, ARM, GPU
from qcompiler.data.scores import predictions
from qcompiler.ir.kernels import Array
from qcompiler.terminal.amounts import quantity

from .page import Matrix, Section, Table
from .subject import Run

_CLASSES = 20  # of a matrix; of more classes the most frequent confusions are listed
_PAIRS = 20
_MEANINGS = {
    "agreement": " of frames have the model's prediction",
    "ties": " of frames have several highest scores, and the first of them counts",
    "saturated_fraction": " of values lie beyond their range, and are clipped to it",
}
_MOST = 100_000  # a label beyond it is no class


def results(run: Run) -> Section:
    """What came out, beside the labels and the model's outputs."""
    section = Section("Results", facts=list(_facts(run)))
    ours = _predicted(run, run.measured.outputs)
    theirs = _predicted(run, run.reference) if run.reference is not None else None
    labels = run.data.labels
    if labels is not None and ours is not None and labels.shape == ours.shape:
        _add_confusion(section, labels, ours, "label")
    elif theirs is not None and ours is not None and theirs.shape == ours.shape:
        _add_confusion(section, theirs, ours, "the model's prediction")
    return section


def _predicted(run: Run, outputs: Any) -> Array | None:
    return predictions(next(iter(outputs.values())), run.data.labels)


def _facts(run: Run) -> Iterator[tuple[str, str]]:
    figures = run.figures

    def percent(key: str) -> str | None:
        return None if figures.get(key) is None else f"{100 * figures[key]:.2f} %"

    yield "Frames", f"{figures['frames']:,} on the engine {run.engine}"
    for name, key in (
        ("Accuracy", "accuracy"),
        ("Accuracy of the model", "ann_accuracy"),
        ("Agreement with the model", "agreement"),
        ("Ties", "ties"),
        ("Saturated", "saturated_fraction"),
    ):
        if (text := percent(key)) is not None:
            yield name, text + _MEANINGS.get(key, "")
    for name, text in run.errors:
        yield f"Error of {name}", text
    known = f"largest output known at step {figures['first_spike_steps']:.1f} on average"
    yield "Latency", f"{known}, last output spike at {figures['latency_steps']}"
    if run.alternatives is not None:
        yield from _others(run.alternatives)


def _others(found: Any) -> Iterator[tuple[str, str]]:
    def joule(microjoules: float) -> str:
        return quantity(microjoules * 1e-6, "J")

    low, high = joule(found.of(ANN_REUSE)), joule(found.of(ANN_PLAIN))
    yield "Energy of the 8-bit ANN", f"{low} to {high} at 45 nm, with and without reuse of weights"
    machines = f"on a GPU {joule(found.of(GPU))}, on an ARM core {joule(found.of(ARM))} (models)"
    yield "Energy of the ANN", machines
    rates = (f"{joule(energy)} with {steps} steps a value" for steps, energy in found.rate.items())
    yield "Energy of a rate code", ", ".join(rates)
    yield "Who wins", found.verdict


def _add_confusion(section: Section, expected: Array, ours: Array, what: str) -> None:
    """A matrix of few classes, or the most frequent confusions of many."""
    one, other = expected.ravel(), ours.ravel()
    if one.dtype.kind not in "iu" or other.dtype.kind not in "iu":
        return
    classes = np.unique(np.concatenate([one, other]))
    if not len(classes) or classes[0] < 0 or classes[-1] > _MOST:
        return
    if len(classes) <= _CLASSES:
        at = {value: index for index, value in enumerate(classes.tolist())}
        counts = np.zeros((len(classes), len(classes)), np.int64)
        pairs = [at[value] for value in one.tolist()], [at[value] for value in other.tolist()]
        np.add.at(counts, pairs, 1)
        title = f"Confusion matrix: rows are {what}, columns the program's prediction"
        section.matrix = Matrix(title, [str(value) for value in classes], counts.tolist())
        return
    wrong = one != other
    pairs, counts = np.unique(np.stack([one[wrong], other[wrong]]), axis=1, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:_PAIRS]
    rows = [(str(pairs[0, n]), str(pairs[1, n]), int(counts[n])) for n in order]
    if rows:
        title = f"The most frequent confusions of {len(classes)} classes"
        section.tables = [Table((what, "predicted", "frames"), rows, title)]
