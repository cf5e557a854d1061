"""Compile the digits network for Loihi, run it, and show what came out.

Everything goes through the two commands, as a user would type them; only the comparison of
single spikes at the end calls the library.
"""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import qcompiler

COMPILED = "build/digits.loihi"


def show(command: str, *arguments: str) -> None:
    """Run one of the two commands and let its output through."""
    print(f"\n$ {command} {' '.join(arguments)}", flush=True)
    subprocess.run([sys.executable, "-m", f"qcompiler.cli.{command}", *arguments], check=True)


def measure(engine: str, *arguments: str) -> dict[str, Any]:
    """Run the compiled network and return what `qrun --json` reports."""
    arguments = (COMPILED, "digits_test.npz", "--engine", engine, *arguments, "--json")
    arguments = (*arguments, "-o", f"build/{engine}.npz")
    print(f"\n$ qrun {' '.join(arguments)}", flush=True)
    command = [sys.executable, "-m", "qcompiler.cli.qrun", *arguments]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    print(output, end="", flush=True)
    report: dict[str, Any] = json.loads(output)
    return report


def same_outputs(one: str, other: str) -> bool:
    """Whether two engines decoded the same numbers."""
    with np.load(f"build/{one}.npz") as a, np.load(f"build/{other}.npz") as b:
        return a.files == b.files and all(np.array_equal(a[name], b[name]) for name in a.files)


def differing_spikes() -> tuple[int, int]:
    """Spikes that leave at another step on Lava than the reference says, and spikes in all."""
    print("\ncomparing every spike of every population with the reference", flush=True)
    with np.load("digits_test.npz") as data:
        images = data["images"][:, None].astype(np.float32)
    program = qcompiler.load(COMPILED)
    ours = program.spikes(images, engine="steps")
    lavas = program.spikes(images, engine="lava")
    differing = sum(int(np.sum(ours[name] != lavas[name])) for name in ours)
    return differing, sum(steps.size for steps in ours.values())


def why_no_lava() -> str | None:
    if sys.version_info >= (3, 11):
        return f"Lava 0.10.0 needs Python 3.10, and this is {sys.version.split()[0]}"
    if find_spec("lava") is None:
        return "lava-nc is not installed: run pip install '.[loihi]' in the repository"
    return None


def table(rows: dict[str, str]) -> None:
    print()
    for name, value in rows.items():
        print(f"  {name:<40}{value}")


def yes(condition: bool) -> str:
    return "yes" if condition else "NO"


def number(value: float | None, form: str) -> str:
    return "unknown" if value is None else format(value, form)


def main() -> int:
    os.chdir(Path(__file__).parent)
    print("$ cd examples/digits")
    show(
        "qcompile",
        *("digits.onnx", "--target", "loihi", "--calibration", "digits_calibration.npz"),
        *("--scale-values", "16", "--t-max", "16", "-o", COMPILED),
    )
    fast = measure("fast", "--against", "digits.onnx")
    steps = measure("steps")
    agree = same_outputs("fast", "steps")
    checks = {"fast engine's outputs equal the steps'": yes(agree)}
    if missing := why_no_lava():
        checks["spikes on Lava"] = f"not run: {missing} (compiling works anyway)"
    else:
        measure("lava")
        outputs, (differing, spikes) = same_outputs("steps", "lava"), differing_spikes()
        agree = agree and outputs and not differing
        checks["outputs on Lava equal the steps'"] = yes(outputs)
        checks["spikes on Lava equal the reference"] = (
            f"{yes(not differing)} ({differing} of {spikes:,} differ)"
        )
    table(
        {
            "test images": str(fast["frames"]),
            "accuracy of the ONNX network": number(fast["ann_accuracy"], ".2%"),
            "accuracy of the spiking network": number(fast["accuracy"], ".2%"),
            "same answer from both": number(fast["agreement"], ".2%"),
            "t_max": number(steps["t_max"], "d"),
            "first output spike, step": number(steps["first_spike_steps"], "g"),
            "latency, steps": number(steps["latency_steps"], "g"),
            "a new frame every, steps": number(steps["frame_interval_steps"], "g"),
            "spikes per neuron and frame": number(steps["spikes_per_neuron"], ".3f"),
            "synaptic events per frame": number(steps["synaptic_events_per_frame"], ",.0f"),
            **checks,
        }
    )
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
