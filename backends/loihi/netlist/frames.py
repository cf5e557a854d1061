"""Frames that follow each other through a netlist: what goes in, and what is recorded.

A simulator is a function that takes the spikes of the inputs and yields those of every step.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeAlias

from .netlist import Netlist, with_arrays
from .spike_io import InputEncoder, NetworkError, SpikeRecorder

SpikesAt: TypeAlias = Mapping[str, Callable[[int], Any]]  # the spikes of each input at a step
# From these and a number of steps to the spikes of the populations at each of the steps.
Stream: TypeAlias = Callable[[SpikesAt, int], Iterable[Mapping[str, Any]]]


def encoders_of(
    netlist: Netlist, arrays: Mapping[str, Any], inputs: Mapping[str, Any]
) -> dict[str, InputEncoder]:
    """What the sources send for frames of raw input, ``frames x shape``, by ONNX input.

    ``arrays`` are those that the netlist names. NetworkError if the inputs do not fit.
    """
    if missing := {row.input for row in netlist.sources} - inputs.keys():
        raise NetworkError(f"no data for the input {', '.join(sorted(missing))}")
    rows = [with_arrays(row, arrays) for row in netlist.sources]
    encoders = {row.name: InputEncoder(row, inputs[row.input], netlist.interval) for row in rows}
    frames = {len(encoder.steps) for encoder in encoders.values()}
    if len(frames) != 1 or 0 in frames:
        raise NetworkError("every input needs the same number of frames, and at least one")
    return encoders


def frames_of(encoders: Mapping[str, InputEncoder]) -> int:
    """The number of frames that encoders send."""
    return len(next(iter(encoders.values())).steps)


def steps_of(netlist: Netlist, frames: int) -> int:
    """The number of steps until the last of so many frames has left."""
    return (frames - 1) * netlist.interval + netlist.latency


def recorded_spikes(
    netlist: Netlist,
    encoders: Mapping[str, InputEncoder],
    stream: Stream,
    names: Collection[str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Steps of the spikes of the named populations, ``frames x shape``, from each frame's start.

    A step of -1 stands for no spike. By default of all but markers. ``progress`` is called with the
    number of finished frames. NetworkError if a neuron spikes where it must not.
    """
    frames = frames_of(encoders)
    recorders = {
        group.name: SpikeRecorder(group, frames, netlist.interval)
        for group in netlist.populations
        if group.coding != "marker" and (names is None or group.name in names)
    }
    spikes_at = {name: encoder.spikes_at for name, encoder in encoders.items()}
    steps = steps_of(netlist, frames) if frames and recorders else 0
    for now, fired in enumerate(stream(spikes_at, steps) if steps else ()):
        for name, recorder in recorders.items():
            recorder.record(fired[name], now)
        done, left = divmod(now + 1 - netlist.latency, netlist.interval)
        if progress and done >= 0 and not left:
            progress(done + 1)
    return {name: recorder.steps for name, recorder in recorders.items()}
