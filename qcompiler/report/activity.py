"""The chapter on what neurons do: the spikes of one frame, and the levels of many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from qcompiler.backends.host import frames_per_batch
from qcompiler.backends.plots.activity_plots import (
    SAMPLED,
    SHOWN,
    count_levels,
    histogram_figure,
    raster_figure,
)
from qcompiler.data.scores import predictions
from qcompiler.ir.kernels import Array

from .page import Picture, Section
from .subject import Subject

_VALUES = 10_000_000  # levels that are counted: a second or so
_MOST = 256  # frames


@dataclass(frozen=True)
class LevelCounts:
    """How often each level occurs in ``frames`` frames, by population."""

    counts: Mapping[str, Array]
    frames: int

    def share(self, name: str, level: int) -> float:
        """Of the values of a population, those at this level."""
        counts = self.counts[name]
        return float(counts[level] / counts.sum())


def level_counts(subject: Subject) -> LevelCounts | None:
    """Counts of some frames, evenly spread; None without data."""
    if subject.frames is None:
        return None
    graph, wanted = subject.program.graph, _VALUES // max(1, subject.report.neurons)
    chosen = subject.frames.spread(max(1, min(_MOST, len(subject.frames), wanted)))
    step, total = frames_per_batch(graph), dict[str, Array]()
    for begin in range(0, len(chosen), step):
        part = (array[begin : begin + step] for array in chosen.arrays)
        found = count_levels(graph, subject.program.levels(*part))
        total = {name: count + total.get(name, 0) for name, count in found.items()}
    return LevelCounts(total, len(chosen))


def activity(subject: Subject, levels: LevelCounts) -> Section:
    """Raster of one frame, and histograms."""
    assert subject.frames is not None
    graph, whole = subject.program.graph, subject.network
    found = subject.program.levels(*subject.frames.at(subject.frame).arrays)
    folded = whole.folded()
    about = f"Spikes of frame {subject.frame}{_answer(subject)}. "
    about += f"Up to {SAMPLED} neurons of a row are drawn, evenly spread; grey is when they may "
    about += "spike. Large values spike early; a neuron without a spike has the lowest level; a "
    about += "burst is a line."
    raster = Picture(raster_figure(folded, graph, found), "Spikes of one frame", about)
    number = len(levels.counts)
    some = f"; {SHOWN} of {number} populations" if number > SHOWN else ""
    text = f"Levels of all neurons in {levels.frames:,} frames{some}. The lowest level is zero; "
    text += "many values at the highest one are a sign of clipping."
    histograms = Picture(histogram_figure(levels.counts), "Histograms of levels", text)
    section = Section("Activity", pictures=[raster, histograms])
    if folded is not whole:
        picture = Picture(raster_figure(whole, graph, found), "Spikes of one frame", about)
        section.folded = [picture]
        section.folded_title = f"Spikes of all {len(whole.rows)} populations"
    return section


def _answer(subject: Subject) -> str:
    """The label of the frame that is drawn, and what is predicted."""
    found, labels = [], subject.frames.labels if subject.frames else None
    if labels is not None and np.ndim(labels[subject.frame]) == 0:
        found.append(f"label {labels[subject.frame]}")
    if subject.run is not None:
        output = next(iter(subject.run.measured.outputs.values()))
        ours = predictions(output, labels)
        if ours is not None and ours.ndim == 1:
            found.append(f"predicted {ours[subject.frame]}")
    return f" ({', '.join(found)})" if found else ""
