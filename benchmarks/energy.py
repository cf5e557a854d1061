"""Energy, delay and accuracy of compiled networks by a cost model, as a table.

    python benchmarks/energy.py [digits] [mnist] [resnet20] [squeezenet] [--search PERCENT ...]

Each network is compiled for Loihi 2, SqueezeNet for the reference, as the rows name it: `before`
without the passes that save energy, `default` as `qcompile` does, `energy` with `--objective
energy` and the options of its plan, `energy P` with `--objective energy --max-drift P` for each P
of --search (for networks on Loihi). Activity is that on the test
images, of which calibration uses none; accuracy is in percent of all of them, and for SqueezeNet
the share of predictions that equal those of the trained network. The digits are in the repository,
the other networks need the data folder. Last come the published measurements of the method on
boards of Loihi 1, beside what the model says of their network.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import quartz_energy as quartz
from accuracy import DATA, NETWORKS, Network, known_answers

import qcompiler
from qcompiler.backends import LOIHI, REFERENCE
from qcompiler.backends.energy.cost_model import CostModel
from qcompiler.cli.energy import chosen_model
from qcompiler.cli.options import add_energy_model
from qcompiler.terminal.amounts import number

_DIGITS = Path(__file__).parents[1] / "examples" / "digits"
SAVING = ("refine-outputs", "split-windows", "choose-codes")  # save energy, or cost none with them
COLUMNS = (
    *("network", "program", "accuracy", "interval", "last", "neurons", "events", "spikes a neuron"),
    *("uJ a frame", "updates", "data", "zeros", "us a frame", "latency us", "EDP uJs", "alone"),
)


class Plan(NamedTuple):
    """A network's files and options, and the target that it is compiled for."""

    files: Network
    target: str = "loihi"
    cheap: dict[str, Any] | None = None  # options beside the objective, without a search

    def compiled(self, passes: str | None = None, **options: Any) -> qcompiler.Program:
        """The program that these passes make, or the target's."""
        return qcompiler.compile(
            DATA / self.files.model,
            calibration=DATA / self.files.calibration,
            target=self.target,
            passes=passes,
            **self.files.options,
            **options,
        )


DIGITS = Network(
    str(_DIGITS / "digits.onnx"),
    str(_DIGITS / "digits_calibration.npz"),
    str(_DIGITS / "digits_test.npz"),
    {"scale_values": (16,)},
    (16,),
)
PLANS = {
    "digits": Plan(DIGITS),
    "mnist": Plan(NETWORKS["mnist"]),
    "resnet20": Plan(NETWORKS["resnet20"], cheap={"t_max": 8}),
    "squeezenet": Plan(NETWORKS["squeezenet"], "reference", {"t_max": 16, "effort": 2}),
}


def main() -> None:
    """Print one row per network and program, then the published measurements."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("networks", nargs="*", help=f"out of {', '.join(PLANS)} (all)")
    parser.add_argument("--packed", type=Path, help="SqueezeNet's unpacked calibration images")
    parser.add_argument(
        "--search", type=float, nargs="+", default=[], help="search with these --max-drift, too"
    )
    add_energy_model(parser)
    given = parser.parse_args()
    model = chosen_model(given) or LOIHI.energy
    print(f"model: {model.name} ({model.basis})\n")
    print(table_row(COLUMNS), table_row(["---"] * len(COLUMNS)), sep="\n")
    for name in given.networks or PLANS:
        plan = PLANS[name]._replace(files=PLANS[name].files.at(given.packed))
        if not (DATA / plan.files.calibration).is_file():
            print(table_row([name, "skipped: no data"]))
            continue
        for row in rows(name, plan, model, given.search):
            print(table_row(row), flush=True)
    print_published(model)


def rows(name: str, plan: Plan, model: CostModel, search: list[float]) -> Iterator[list[str]]:
    """A row for each program of a network."""
    images, answers = known_answers(plan.files)
    text = {"loihi": LOIHI, "reference": REFERENCE}[plan.target].pipeline
    for way, passes in (("before", without_savings(text)), ("default", None)):
        if passes != text:  # else there is nothing to compare with
            yield [name, way, *figures(plan.compiled(passes), images, answers, model)]
    if plan.cheap:
        cheapest = plan.compiled(objective="energy", **plan.cheap)
        yield [name, "energy", *figures(cheapest, images, answers, model)]
    for drift in search if plan.target == "loihi" else ():
        cheapest = plan.compiled(objective="energy", max_drift=drift)
        yield [name, f"energy {drift:g}", *figures(cheapest, images, answers, model)]


def without_savings(pipeline: str) -> str:
    """A pipeline's text without the passes that save energy."""
    names = "|".join(SAVING)
    return re.sub(rf",({names})(\{{[^}}]*\}})?(?=,|$)", "", pipeline)


def figures(program: qcompiler.Program, images: Any, answers: Any, model: CostModel) -> list[str]:
    """The figures of a program on test images, as text."""
    shape = program.graph.inputs[0].type.shape
    found = program.measure(images.reshape(len(images), *shape))
    counters, outputs = found.counters, next(iter(found.outputs.values()))
    predicted = outputs.reshape(len(outputs), -1).argmax(axis=1)
    energy = program.energy(counters, model)
    data, causes, wiring = energy.to_dict(), energy.causes, energy.wiring
    neurons = wiring.sending_neurons
    edp = data["edp_ujs"] or {"streaming": None, "single": None}
    times = (data["frame_us"], data["latency_us"], edp["streaming"], edp["single"])
    return [
        f"{100 * np.mean(predicted == answers):.2f}",
        f"{wiring.interval}",
        f"{counters.last}",
        f"{neurons:,}",
        f"{energy.events:,.0f}",
        f"{counters.spikes / counters.frames / neurons:.2f}",
        *map(number, (causes.total, causes.updates, causes.data, causes.zeros)),
        *("" if value is None else number(value) for value in times),
    ]


def print_published(model: CostModel) -> None:
    """What boards needed for the method's own network, and what a model says."""
    print(
        f"\nQuartz on Loihi, measured by its authors, and the {model.name} model of its network\n"
    )
    columns = ("t_max", "steps", "uJ of cores", "model", "measured / model", "uJ of all", "EDP uJs")
    print(table_row((*columns, "accuracy")), table_row(["---"] * (len(columns) + 1)), sep="\n")
    for row in quartz.MEASURED:
        says = quartz.predicted(row.steps, model).causes.total
        values = (row.cores_uj, says, row.cores_uj / says, row.all_uj, row.edp_ujs)
        accuracy = f"{100 - row.error_percent:.2f}"
        print(table_row([str(row.t_max), str(row.steps), *map(number, values), accuracy]))


def table_row(cells: Any) -> str:
    """A row of a table in Markdown."""
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
