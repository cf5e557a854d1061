"""Functions of the standalone module that a user calls: `build`, `run` and the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qcompiler.backends.loihi.netlist.frames import (
    SpikesAt,
    encoders_of,
    frames_of,
    recorded_spikes,
    steps_of,
)
from qcompiler.backends.loihi.netlist.netlist import NETWORK
from qcompiler.backends.loihi.standalone.command_line import run_command
from qcompiler.backends.loihi.standalone.files import read_arrays

from .brian2_network import Brian2Network

REQUIREMENTS = "this needs numpy and Brian2: pip install brian2"


def build(inputs: Mapping[str, Any]) -> Brian2Network:
    """Make the Brian2 objects for frames of raw input, ``frames x shape``, by ONNX input.

    ``built.network.run(built.steps * ms)`` runs them. ``built.groups`` holds neurons by the name of
    their population, ``built.monitors`` their spikes. More monitors can be added to the network.
    """
    encoders = encoders_of(NETWORK, read_arrays(Path(__file__).parent), inputs)
    spikes_at = {name: encoder.spikes_at for name, encoder in encoders.items()}
    return _network(spikes_at, steps_of(NETWORK, frames_of(encoders)))


def _network(spikes_at: SpikesAt, steps: int) -> Brian2Network:
    names = [group.name for group in NETWORK.populations]
    return Brian2Network(NETWORK, read_arrays(Path(__file__).parent), spikes_at, steps, names)


def run(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Run frames of raw input; the steps of all spikes by population, ``frames x shape``.

    Steps count from the frame's first; -1 stands for no spike.
    """
    encoders = encoders_of(NETWORK, read_arrays(Path(__file__).parent), inputs)
    return recorded_spikes(NETWORK, encoders, lambda *given: _network(*given).run())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the network on a file; the exit status."""

    def simulate(inputs: Mapping[str, Any], given: argparse.Namespace) -> dict[str, Any]:
        return run(inputs)

    about = "Run the compiled network on Brian2."
    return run_command(about, REQUIREMENTS, simulate, {}, arguments)


if __name__ == "__main__":
    sys.exit(main())
