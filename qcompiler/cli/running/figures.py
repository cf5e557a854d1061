"""The figures of a run: accuracy, agreement, spikes and steps; how they are printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qcompiler import data
from qcompiler.backends.host import Measured
from qcompiler.backends.program.calibrated_limits import describe_calibrated_limits
from qcompiler.backends.program.program import Program
from qcompiler.cli.summary import guarantees
from qcompiler.comparison.against import OutputAgainst
from qcompiler.data.scores import predictions
from qcompiler.terminal.console import screen


def figures_of(
    program: Program,
    measured: Measured,
    found: data.Frames,
    reference: Mapping[str, np.ndarray[Any, Any]] | None,
    engine: str,
) -> dict[str, Any]:
    """What is measured, by its name in JSON; ``reference`` holds the outputs of the model."""
    counters, neurons = measured.counters, program.wiring.sending_neurons
    scores = next(iter(measured.outputs.values()))
    ours = predictions(scores, found.labels)
    if found.labels is not None and ours is not None and scores.dtype.kind != "i":
        data.check_labels(found.labels, scores[0].size)
    theirs = None
    if reference is not None:
        theirs = predictions(next(iter(reference.values())), found.labels)
    return {
        "frames": counters.frames,
        "accuracy": _share(ours, found.labels),
        "ann_accuracy": _share(theirs, found.labels),
        "agreement": _share(ours, theirs),
        "spikes_per_neuron": counters.spikes / counters.frames / neurons,
        "synaptic_events_per_frame": counters.events / counters.frames,
        "latency_steps": counters.last,
        "first_spike_steps": counters.first / counters.frames,
        "frame_interval_steps": program.wiring.interval,
        "engine": engine,
        "t_max": program.t_max,
        "saturated_fraction": counters.saturated / counters.coded if counters.coded else None,
        "unproved_checks": list(describe_calibrated_limits(program.graph, counters, engine)),
    }


def error_lines(against: Sequence[OutputAgainst]) -> list[str]:
    """One line per output, with its name if there are several."""
    if len(against) == 1:
        return [str(against[0])] if against[0].error else []
    return [f"{one.name}: {one}" for one in against]


def ties_of(measured: Measured, labels: np.ndarray[Any, Any] | None) -> float | None:
    """Share of frames whose largest output is not the only one, so that its index decides."""
    output = next(iter(measured.outputs.values()))
    if output.dtype.kind == "i" or predictions(output, labels) is None:
        return None
    flat = output.reshape(len(output), -1)
    return float(np.mean((flat == flat.max(axis=1, keepdims=True)).sum(axis=1) > 1))


def _share(one: np.ndarray[Any, Any] | None, other: np.ndarray[Any, Any] | None) -> float | None:
    if one is None or other is None:
        return None
    return float(np.mean(one == other))


def print_figures(
    figures: dict[str, Any],
    unproved: list[str],
    ties: float | None,
    errors: Sequence[str],
    energy: Sequence[tuple[str, str]],
) -> None:
    """One line for each figure that is known."""

    def percent(value: float | None) -> str:
        return "unknown" if value is None else f"{100 * value:.2f} %"

    console = screen()
    for name, value in (
        ("frames", f"{figures['frames']:,} on the {figures['engine']} engine"),
        ("accuracy", percent(figures["accuracy"])),
        ("ANN", percent(figures["ann_accuracy"])),
        ("agreement", percent(figures["agreement"])),
        *(("error", line) for line in errors),
        ("ties", "unknown" if ties is None else f"{percent(ties)} of frames"),
        ("spikes", f"{figures['spikes_per_neuron']:.2f} per neuron and frame"),
        ("events", f"{figures['synaptic_events_per_frame']:,.0f} synaptic events per frame"),
        (
            "latency",
            f"largest output known at step {figures['first_spike_steps']:.1f}, "
            f"last output spike at {figures['latency_steps']}",
        ),
        ("throughput", f"one frame every {figures['frame_interval_steps']} steps"),
        *energy,
        ("saturated", percent(figures["saturated_fraction"])),
        ("guarantees", guarantees("\n            ".join(filter(None, unproved)))),
    ):
        if value != "unknown":
            console.print(f"{name:<12}{value}", soft_wrap=True, markup=False)
