"""Functions of the standalone module that a user calls: `build`, `run` and the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from qcompiler.backends.loihi.lava.lava_network import Network, PortFactory
from qcompiler.backends.loihi.lava.multi_process_runner import MultiProcessRunner
from qcompiler.backends.loihi.lava.single_process_runner import SingleProcessRunner
from qcompiler.backends.loihi.netlist.frames import (
    encoders_of,
    frames_of,
    recorded_spikes,
    steps_of,
)
from qcompiler.backends.loihi.netlist.netlist import NETWORK

from .command_line import run_command
from .files import read_arrays

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

    encoders = encoders_of(NETWORK, read_arrays(Path(__file__).parent), inputs)
    steps = steps_of(NETWORK, frames_of(encoders))
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


def run(inputs: Mapping[str, Any], run_config: Any) -> dict[str, Any]:
    """Run frames of raw input; the steps of all spikes by population, ``frames x shape``.

    Steps count from the frame's first; -1 stands for no spike. A simulation of Loihi 2 runs in this
    process: Lava's own runtime starts one for each Lava process, of which there may be hundreds.
    """
    from lava.magma.core.run_configs import Loihi2SimCfg

    encoders = encoders_of(NETWORK, read_arrays(Path(__file__).parent), inputs)
    kind = SingleProcessRunner if isinstance(run_config, Loihi2SimCfg) else MultiProcessRunner
    runner = kind(lambda source, sink: _network(run_config, source, sink), run_config)
    return recorded_spikes(NETWORK, encoders, runner.stream)


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
    options = {"--floating": "Lava's floating-point models"}

    def simulate(inputs: Mapping[str, Any], given: argparse.Namespace) -> dict[str, Any]:
        config, where = chosen_config(given.floating)
        print(where, file=sys.stderr)
        return run(inputs, config)

    about = "Run the compiled network on Lava."
    return run_command(about, REQUIREMENTS, simulate, options, arguments)


if __name__ == "__main__":
    sys.exit(main())
