"""The tables of the Quartz paper beside ours: accuracy, steps and operations by t_max.

    python benchmarks/quartz.py                                 MNIST, from $QCOMPILER_DATA
    python benchmarks/quartz.py --models FOLDER --mnist TRAIN.npz TEST.npz
    python benchmarks/quartz.py --models FOLDER --cifar10 FOLDER --imagenet FOLDER

Ours are whole networks in spikes, first layer and pools included, calibrated on training images.
What is not given is not run: the published rows are printed, and what to download.

Operations are counted as in the paper, for one spike per neuron: an update of every neuron at each
of 2 t_max steps, and one for every neuron and step at which data arrive that do not cancel.
Synaptic events, one for each spike and each synapse that it reaches, are more.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from quartz_published import NETWORKS, Published

import qcompiler
from qcompiler.backends.loihi.netlist.build_netlist import build_netlist
from qcompiler.backends.loihi.netlist.netlist import Netlist
from qcompiler.backends.loihi.netlist.synapse_matrices import weight_matrices
from qcompiler.data import Data, read
from qcompiler.explain.measure.onnx_reference import run_onnx
from qcompiler.ir import DataError, ProgramError

DATA = Path(os.environ.get("QCOMPILER_DATA", Path(__file__).parents[1] / "../shared/data"))
HEAD = "| network | whose | t_max | accuracy | lost | neurons | known | last | every "
HEAD += "| operations | events |"
CALIBRATION = 2000  # training images at most
COUNTED = 8  # test images whose operations are counted
MOST_SYNAPSES = 20_000_000  # of a network whose operations are counted


def main() -> None:
    """Print the published rows of each network, and ours behind them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--models", metavar="FOLDER", type=Path, default=DATA / "mnist", help="ONNX files")
    add("--mnist", metavar=("TRAIN", "TEST"), nargs=2, type=Path, help=".npz or .npy files")
    add("--cifar10", metavar="FOLDER", type=Path, help="cifar-10-batches-bin")
    add("--imagenet", metavar="FOLDER", type=Path, help="train.npz and val.npz")
    add("--t-max", metavar="N,..", default="", help="levels (those published)")
    add("--limit", metavar="N", type=int, help="test images (all)")
    given = parser.parse_args()
    print(HEAD, f"|{'---|' * (HEAD.count('|') - 1)}", sep="\n")
    missing = []
    for name, network in NETWORKS.items():
        for t_max, row in network.rows.items():
            steps, count = (" " if n is None else f"{n:,.0f}" for n in row[1:])
            lost = f"{network.ann - row.accuracy:.2f}"
            cells = (t_max, f"{row.accuracy:.2f}", lost, f"{network.neurons:,}", steps, " ", " ")
            print_row(network.title, "paper", *cells, count, " ")
        try:
            model = existing(given.models / network.model)
            train, test = data_of(name, given)
        except FileNotFoundError as error:
            missing.append(f"{network.title} is not run, {error}. Needed: {network.download}.")
            continue
        levels = [int(n) for n in given.t_max.split(",") if n] or [*network.rows]
        for cells in ours(network, model, train, test.head(given.limit), levels):
            print_row(network.title, "ours", *cells)
    print(*("", *missing), sep="\n")


def print_row(*cells: Any) -> None:
    print("|", " | ".join(map(str, cells)), "|", flush=True)


def existing(path: Path) -> Path:
    if not path.exists():
        raise FileNotFoundError(f"there is no {path}")
    return path


def data_of(name: str, given: argparse.Namespace) -> tuple[Data, Data]:
    """Training and test images as the network takes them; FileNotFoundError without them."""
    place = getattr(given, name)
    if name == "mnist":
        files = place or (DATA / "mnist_train_2000.npz", DATA / "mnist_test_first5000.npz")
        if place is None:
            files = [DATA / "mnist" / path.name for path in files]
        train, test = (read(existing(path), [("image", (1, 28, 28))], "nchw") for path in files)
        return train, test
    if place is None:
        raise FileNotFoundError(f"as --{name} is not given")
    if name == "cifar10":
        return cifar10(place / "data_batch_1.bin"), cifar10(place / "test_batch.bin")
    shape = ("image", (3, 224, 224))
    files = (existing(place / f"{part}.npz") for part in ("train", "val"))
    train, test = (read(path, [shape], "nchw") for path in files)
    return train, test


def cifar10(path: Path) -> Data:
    """Records of a label and 3x32x32 pixels."""
    records = np.fromfile(existing(path), np.uint8).reshape(-1, 1 + 3 * 32 * 32)
    return Data((records[:, 1:].reshape(-1, 3, 32, 32),), records[:, 0].astype(np.int64))


def ours(
    network: Published, model: Path, train: Data, test: Data, levels: list[int]
) -> Iterator[tuple[Any, ...]]:
    """A row for each number of levels: the cells behind the names."""
    if test.labels is None:
        raise DataError(f"the test images of {network.title} have no labels")
    for t_max in levels:
        program = qcompiler.compile(
            model,
            target="reference",
            calibration=train.spread(CALIBRATION).arrays[0],
            t_max=t_max,
            code="one-spike",
            **network.options,
        )
        ann = run_onnx(model, test, program.manifest).argmax(axis=1) == test.labels
        measured = program.measure(*test.arrays)
        right = measured.outputs[next(iter(measured.outputs))].argmax(axis=1) == test.labels
        counters, report = measured.counters, program.report()
        yield (
            t_max,
            f"{100 * right.mean():.2f}",
            f"{100 * (ann.mean() - right.mean()):.2f}",
            f"{report.neurons:,}",
            f"{counters.first / counters.frames:.1f}",
            counters.last,
            report.frame_interval_steps,
            operations(program, test, t_max),
            f"{counters.events / counters.frames:,.0f}",
        )


def operations(program: qcompiler.Program, test: Data, t_max: int) -> str:
    """Operations of a frame, counted as in the paper; nothing for a network that is too large."""
    if program.wiring.synapses > MOST_SYNAPSES:
        return " "
    netlist = build_netlist(program.graph)
    updates = 2 * t_max * sum(group.size for group in netlist.populations)
    return f"{updates + arrivals(netlist, program.spikes(*test.head(COUNTED).arrays)):,.0f}"


def arrivals(netlist: Netlist, spikes: dict[str, Any]) -> float:
    """Neurons and steps of a frame at which the data that arrive add up to a current."""
    groups = {group.name: group for group in netlist.populations}
    flat = {name: steps.reshape(len(steps), -1).T for name, steps in spikes.items()}
    currents: dict[tuple[str, int], Any] = {}
    for row in netlist.synapses:
        if row.kind == "clock" or row.source == row.target:
            continue
        sent, group = flat[row.source], groups[row.target]
        ((matrix, _),) = weight_matrices(row, (), (group.size, len(sent)), group, False)
        for step in np.unique(sent[sent >= 0]):
            key = row.target, int(step) + row.delay
            current = matrix @ (sent == step).astype(np.float64)
            currents[key] = currents.get(key, 0) + current
    total = sum(np.count_nonzero(current) for current in currents.values())
    return float(total) / len(next(iter(spikes.values())))


if __name__ == "__main__":
    try:
        main()
    except (DataError, ProgramError) as error:
        sys.exit(str(error))
