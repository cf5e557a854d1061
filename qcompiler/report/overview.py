"""The head of the page: the figures that matter most."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from qcompiler.terminal.amounts import number, quantity

from .page import Tile
from .subject import Run, Subject


def tiles(subject: Subject) -> Iterator[Tile]:
    """Accuracy first, if something was run; then size, time and energy."""
    report, energy = subject.report, subject.energy
    if subject.run is not None:
        yield from _scores(subject.run)
    yield Tile("Neurons", f"{report.neurons:,}", f"in {len(report.populations):,} populations")
    events = f"{energy.events:,.0f} synaptic events a frame"
    yield Tile("Synapses", f"{report.synapses:,}", events)
    spikes = subject.run.figures["spikes_per_neuron"] if subject.run else None
    if spikes is not None:
        yield Tile("Spikes", f"{spikes:.2f}", "per neuron and frame")
    steps = f"{report.latency_steps:,} steps"
    yield Tile("Latency", steps, f"a frame every {report.frame_interval_steps:,} steps")
    basis = {"assumed": "activity is assumed", "calibration": "on calibration data"}
    about = basis.get(energy.basis, f"on {energy.frames:,} frames")
    joule = quantity(energy.causes.total * 1e-6, "J")
    yield Tile("Energy a frame", joule, f"cost model {energy.model.name}, {about}")
    if energy.times:
        edp = number(energy.to_dict()["edp_ujs"]["streaming"])
        frame = quantity(energy.times.frame_us * 1e-6, "s")
        delay = quantity(energy.times.latency_us * 1e-6, "s")
        about = f"latency {delay}, energy-delay product {edp} uJs"
        if energy.cores is not None:
            about += f", spread over {energy.cores.total:,} cores"
        yield Tile("Time a frame", frame, about)
    if report.cores is not None:
        chips = f"{report.chips:,} chip{'s' * (report.chips != 1)} of {report.chip}"
        yield Tile("Cores", f"{report.cores:,}", f"at least, on {chips}, estimated")


def _scores(run: Run) -> Iterator[Tile]:
    def percent(key: str) -> str | None:
        value: Any = run.figures.get(key)
        return None if value is None else f"{100 * value:.2f} %"

    frames = f"{run.measured.counters.frames:,} frames, engine {run.engine}"
    ours, theirs = percent("accuracy"), percent("ann_accuracy")
    if ours is not None:
        yield Tile("Accuracy", ours, f"the model: {theirs}; {frames}" if theirs else frames)
    if (same := percent("agreement")) is not None:
        yield Tile("Agreement", same, "frames with the model's prediction")
    if ours is None and same is None:
        yield Tile("Frames", f"{run.measured.counters.frames:,}", f"engine {run.engine}")
