"""The command line of a standalone module, whatever simulator it runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from qcompiler.backends.loihi.netlist.netlist import NETWORK, Output, with_arrays
from qcompiler.backends.loihi.netlist.spike_io import NetworkError

from .files import read_arrays, read_inputs, save_arrays


def run_command(
    description: str,
    requirements: str,
    simulate: Callable[[Mapping[str, Any], argparse.Namespace], dict[str, Any]],
    options: Mapping[str, str],
    arguments: Sequence[str] | None,
) -> int:
    """Run the network on a file of inputs; the exit status.

    ``requirements`` says what the simulator needs. ``simulate`` takes the frames of each input, and
    returns the steps of all spikes by population. ``options`` are switches of its own, with their
    help.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "inputs", type=Path, help=".npy with frames, or .npz with one array an input"
    )
    parser.add_argument("-o", "--output", type=Path, help=".npz for the steps of all spikes")
    for option, text in options.items():
        parser.add_argument(option, action="store_true", help=text)
    parser.add_argument("--limit", type=int, help="run the first frames only")
    given = parser.parse_args(arguments)
    if given.limit is not None and given.limit < 1:
        parser.error("--limit must be at least 1")
    try:
        if given.output and given.output.exists() and given.output.samefile(given.inputs):
            raise NetworkError(f"{given.output} holds the inputs: choose another -o")
        names = list(dict.fromkeys(row.input for row in NETWORK.sources))
        read = read_inputs(given.inputs, names)
        found = simulate({name: x[: given.limit] for name, x in read.items()}, given)
        if given.output:
            save_arrays(given.output, found)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 1
    except ImportError as error:
        print(f"error: {error}; {requirements}", file=sys.stderr)
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
        left = f"its {which} left at step {step.flat[best]}"
        print(f"is largest, {left if step.flat[best] >= 0 else 'and silent'}")


def _printable(text: str) -> str:
    """A name that cannot steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
