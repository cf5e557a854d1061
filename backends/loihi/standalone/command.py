"""Functions of the standalone module that a user calls: `build`, `run` and the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from qcompiler.backends.loihi.lava.lava_network import Network, PortFactory
from qcompiler.backends.loihi.lava.multi_process_runner import MultiProcessRunner
from qcompiler.backends.loihi.lava.spike_io import InputEncoder, NetworkError, SpikeRecorder
from qcompiler.backends.loihi.netlist.netlist import NETWORK, Output, with_arrays

from .files import read_arrays, read_inputs, save_arrays

REQUIREMENTS = "this needs Python 3.10, numpy and lava-nc 0.10.0"


def build(
    inputs: Mapping[str, Any],
    run_config: Any = None,
    source: Callable[[str, Any], Any] | None = None,
    sink: Callable[[str, int, int], Any] | None = None,
) -> Network:
    """Make the processes for frames of raw input, ``frames x shape``, by ONNX input.

    ``network.processes[0].run(RunSteps(network.steps), run_config)`` runs them. ``source(name,
    spikes)`` returns the port that sends ``neurons x steps`` of spikes, ``sink(name, neurons,
    steps)`` the one that takes a population's; by default they are RingBuffers of Lava's, kept in
    ``network.ends``. On the chip they are where the extension's spike adapters go; a frame must
    enter at every interval until the run ends, as clocks count on it.
    """
    from lava.proc.io.sink import RingBuffer as Sink
    from lava.proc.io.source import RingBuffer as Sender

    encoders, steps = _encoders(inputs)
    ends: dict[str, Any] = {}

    def send(name: str, size: int) -> Any:
        spikes = encoders[name].spike_train(0, steps)
        if source is not None:
            return source(name, spikes)
        ends[name] = Sender(data=spikes)
        return ends[name].s_out

    def take(name: str, size: int) -> Any:
        if sink is not None:
            return sink(name, size, steps)
        ends[name] = Sink(shape=(size,), buffer=steps)
        return ends[name].a_in

    network = _network(run_config, send, take)
    network.ends, network.steps = ends, steps
    return network


def _network(run_config: Any, source: PortFactory, sink: PortFactory) -> Network:
    fixed = getattr(run_config, "select_tag", None) != "floating_pt"
    names = [group.name for group in NETWORK.populations]
    return Network(NETWORK, read_arrays(Path(__file__).parent), source, sink, names, fixed)


def _encoders(inputs: Mapping[str, Any]) -> tuple[dict[str, InputEncoder], int]:
    """What the sources send, and the number of steps until the last frame has left."""
    if missing := {row.input for row in NETWORK.sources} - inputs.keys():
        raise NetworkError(f"no data for the input {', '.join(sorted(missing))}")
    arrays = read_arrays(Path(__file__).parent)
    rows = [with_arrays(row, arrays) for row in NETWORK.sources]
    encoders = {row.name: InputEncoder(row, inputs[row.input], NETWORK.interval) for row in rows}
    frames = {len(encoder.steps) for encoder in encoders.values()}
    if len(frames) != 1 or 0 in frames:
        raise NetworkError("every input needs the same number of frames, and at least one")
    return encoders, (frames.pop() - 1) * NETWORK.interval + NETWORK.latency


def run(inputs: Mapping[str, Any], run_config: Any) -> dict[str, Any]:
    """Run frames of raw input; the steps of all spikes by population, ``frames x shape``.

    Steps count from the frame's first; -1 stands for no spike.
    """
    encoders, steps = _encoders(inputs)
    frames = len(next(iter(inputs.values())))
    recorders = {
        group.name: SpikeRecorder(group, frames, NETWORK.interval)
        for group in NETWORK.populations
        if group.coding != "marker"
    }
    runner = MultiProcessRunner(lambda source, sink: _network(run_config, source, sink), run_config)
    spikes_at = {name: encoder.spikes_at for name, encoder in encoders.items()}
    for now, spikes in enumerate(runner.stream(spikes_at, steps)):
        for name, recorder in recorders.items():
            recorder.record(spikes[name], now)
    return {name: recorder.steps for name, recorder in recorders.items()}


def chosen_config(floating: bool = False) -> tuple[Any, str]:
    """A run configuration for what is here, and a sentence that says what that is."""
    from lava.magma.core.run_configs import Loihi2HwCfg, Loihi2SimCfg
    from lava.utils import loihi

    tag = "floating_pt" if floating else "fixed_pt"
    if not loihi.is_installed():
        where = "Lava's extension for Loihi is not installed"
    elif loihi.host is None:
        where = (
            "Lava's extension for Loihi is installed but knows no chip: call use_slurm_host or "
            "use_ethernet_host of lava.utils.loihi first"
        )
    elif not floating:
        return Loihi2HwCfg(), f"running on Loihi 2 ({loihi.host})"
    else:
        where = "the chip computes in fixed point"
    return Loihi2SimCfg(select_tag=tag), f"{where}; simulating on the CPU, {tag}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the network on a file; the exit status."""
    parser = argparse.ArgumentParser(description="Run the compiled network on Lava.")
    parser.add_argument(
        "inputs", type=Path, help=".npy with frames, or .npz with one array an input"
    )
    parser.add_argument("-o", "--output", type=Path, help=".npz for the steps of all spikes")
    parser.add_argument("--floating", action="store_true", help="Lava's floating-point models")
    parser.add_argument("--limit", type=int, help="run the first frames only")
    given = parser.parse_args(arguments)
    if given.limit is not None and given.limit < 1:
        parser.error("--limit must be at least 1")
    try:
        if given.output and given.output.exists() and given.output.samefile(given.inputs):
            raise NetworkError(f"{given.output} holds the inputs: choose another -o")
        names = list(dict.fromkeys(row.input for row in NETWORK.sources))
        read = read_inputs(given.inputs, names)
        inputs = {name: x[: given.limit] for name, x in read.items()}
        config, where = chosen_config(given.floating)
        print(where, file=sys.stderr)
        found = run(inputs, config)
        if given.output:
            save_arrays(given.output, found)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 1
    except ImportError as error:
        print(f"error: {error}; {REQUIREMENTS}", file=sys.stderr)
        return 1
    except (NetworkError, OSError, ValueError, EOFError, LookupError, BadZipFile) as error:
        print(f"error: {_printable(str(error))}", file=sys.stderr)
        return 1
    for output in NETWORK.outputs:
        output = with_arrays(output, read_arrays(Path(__file__).parent))
        _print_result(output, found)
    return 0


def _print_result(output: Output, found: Mapping[str, Any]) -> None:
    closes = {group.name: group.close for group in NETWORK.populations}
    levels: Any = sum(  # level 0 may be silent
        place * np.where(found[name] < 0, 0, closes[name] - found[name])
        for name, place in zip(output.populations, output.places, strict=True)
    )
    values = output.scale * (np.minimum(levels, output.top) - output.zero)
    if output.factor is not None:
        values = (values - output.offset) * output.factor
    steps = np.max([found[name] for name in output.populations], axis=0)
    which = "spike" if len(output.populations) == 1 else "last spike"
    label = _printable(output.label)
    for frame, (value, step) in enumerate(zip(values, steps, strict=True)):
        best = int(np.argmax(value))
        print(f"frame {frame}: {label}[{best}] = {value.flat[best]:.6g}", end=" ")
        print(f"is largest, its {which} left at step {step.flat[best]}")


def _printable(text: str) -> str:
    """A name that cannot steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


if __name__ == "__main__":
    sys.exit(main())
