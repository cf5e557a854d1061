"""Compile the digits network for Loihi, run it on every engine, and compare the results.

The demo calls the commands `qcompile` and `qrun` as a user types them. Only the comparison of
single spikes calls the library. The first results appear within seconds. The simulation of all
test images on Lava follows and takes one to four minutes. The demo writes to ``build`` only and
always compiles first, so it never runs a program that another command wrote.
"""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

import qcompiler

REPORT = "build/report.html"
COMPILED = "build/demo.loihi"
TEST_DATA = "digits_test.npz"
MODEL = "digits.onnx"
MODULES = {"qcompile": "qcompiler.cli.compiling.qcompile", "qrun": "qcompiler.cli.running.qrun"}


def main() -> int:
    os.chdir(Path(__file__).parent)
    begin = perf_counter()
    print("$ cd examples/digits")
    compile_network()
    reported = ("--report", REPORT) if can_report() else ()
    fast = run_engine("fast", "--against", MODEL, *reported)
    steps = run_engine("steps")
    agree = same_outputs("fast", "steps")
    print_table(results(fast, steps) | {"outputs equal: fast and steps engines": yes_or_no(agree)})
    print(f"\ncompiled and run in {perf_counter() - begin:.0f} seconds", flush=True)
    if missing := why_no_lava():
        print(f"\nThe simulation on Lava is skipped: {missing}. Compiling for Loihi needs no Lava.")
    else:
        agree = compare_with_lava() and agree
    if reported:
        print(f"\nThe report on this network, with pictures: {Path(REPORT).resolve()}")
    return 0 if agree else 1


def can_report() -> bool:
    """Whether the extra ``report`` is installed."""
    return all(find_spec(name) for name in ("jinja2", "matplotlib"))


def compile_network() -> None:
    arguments = (MODEL, "--target", "loihi", "--calibration", "digits_calibration.npz")
    run_command("qcompile", *arguments, "--scale-values", "16", "--t-max", "16", "-o", COMPILED)


def compare_with_lava() -> bool:
    """Simulate all test images on Lava and compare outputs and spikes with the reference."""
    print("\nNext: all test images on Lava, which simulates Loihi in fixed point, in two runs.")
    print("Each run takes between half a minute and two minutes.", flush=True)
    run_engine("lava")
    print("\nThe second run records every spike and compares it with the steps engine.", flush=True)
    same, (differing, spikes) = same_outputs("steps", "lava"), differing_spikes()
    print_table(
        {
            "outputs equal: Lava and steps engine": yes_or_no(same),
            "spikes equal: Lava and steps engine": (
                f"{yes_or_no(not differing)} ({differing} of {spikes:,} differ)"
            ),
        }
    )
    return same and not differing


def run_command(command: str, *arguments: str) -> None:
    """Run one of the two commands; its output goes to the terminal."""
    print(f"\n$ {command} {' '.join(arguments)}", flush=True)
    subprocess.run([sys.executable, "-m", MODULES[command], *arguments], check=True)


def run_engine(engine: str, *arguments: str) -> dict[str, Any]:
    """Run the compiled network on the test images; return what `qrun --json` reports."""
    arguments = (COMPILED, TEST_DATA, "--engine", engine, *arguments, "--json")
    arguments = (*arguments, "-o", f"build/{engine}.npz")
    print(f"\n$ qrun {' '.join(arguments)}", flush=True)
    command = [sys.executable, "-m", "qcompiler.cli.running.qrun", *arguments]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    print(output, end="", flush=True)
    report: dict[str, Any] = json.loads(output)
    return report


def same_outputs(one: str, other: str) -> bool:
    """Whether two engines decoded the same numbers."""
    with np.load(f"build/{one}.npz") as a, np.load(f"build/{other}.npz") as b:
        return a.files == b.files and all(np.array_equal(a[name], b[name]) for name in a.files)


def differing_spikes() -> tuple[int, int]:
    """Number of spikes at another step on Lava than on the steps engine, and of all spikes."""
    with np.load(TEST_DATA) as data:
        images = data["images"][:, None].astype(np.float32)
    program = qcompiler.load(COMPILED)
    expected = program.spikes(images, engine="steps")
    found = program.spikes(images, engine="lava")
    differing = sum(int(np.sum(expected[name] != found[name])) for name in expected)
    return differing, sum(steps.size for steps in expected.values())


def why_no_lava() -> str | None:
    if sys.version_info >= (3, 11):
        return f"Lava 0.10.0 needs Python 3.10, and this is {sys.version.split()[0]}"
    if find_spec("lava") is None:
        return "lava-nc is not installed: run pip install '.[loihi]' in the repository"
    return None


def results(fast: dict[str, Any], steps: dict[str, Any]) -> dict[str, str]:
    """Rows of the table, from the reports of both reference engines."""
    return {
        "test images": str(fast["frames"]),
        "accuracy of the ONNX network": number(fast["ann_accuracy"], ".2%"),
        "accuracy of the spiking network": number(fast["accuracy"], ".2%"),
        "same prediction from both": number(fast["agreement"], ".2%"),
        "t_max": number(steps["t_max"], "d"),
        "largest output known (step)": number(steps["first_spike_steps"], "g"),
        "latency (steps)": number(steps["latency_steps"], "g"),
        "interval between frames (steps)": number(steps["frame_interval_steps"], "g"),
        "spikes per neuron and frame": number(steps["spikes_per_neuron"], ".3f"),
        "synaptic events per frame": number(steps["synaptic_events_per_frame"], ",.0f"),
    }


def print_table(rows: dict[str, str]) -> None:
    print()
    for name, value in rows.items():
        print(f"  {name:<40}{value}")


def yes_or_no(condition: bool) -> str:
    return "yes" if condition else "NO"


def number(value: float | None, form: str) -> str:
    return "unknown" if value is None else format(value, form)


if __name__ == "__main__":
    sys.exit(main())
