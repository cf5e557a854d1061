"""A searched schedule and the best uniform t_max, compared. Needs the data folder.

    python benchmarks/schedules.py [mnist|resnet20] [--max-drop 0.5]

Prints every schedule that the search measures, then uniform values of t_max until one stays within
the same budget by the same estimate. A table shows the accuracy of both on separate test images.
"""

from __future__ import annotations

import argparse

from accuracy import DATA, NETWORKS, Network, answers_right, known_answers

from qcompiler import Program, api, data
from qcompiler.backends import REFERENCE
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import Graph
from qcompiler.search.pareto import Budget, Point
from qcompiler.search.search import search
from qcompiler.search.trials import Trials


def main() -> None:
    """Print what is tried, then a table of two rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", nargs="?", choices=("mnist", "resnet20"), default="resnet20")
    parser.add_argument("--max-drop", type=float, default=0.5, help="percentage points")
    given = parser.parse_args()
    network = NETWORKS[given.network]
    before = api.preprocessing(**network.options)
    graph = import_model(DATA / network.model, before).graph
    trials = trials_of(graph, network, given.max_drop)
    searched = search(trials).chosen
    best = uniform(trials)
    print("\n| schedule | last spike | frame interval | lost | changed | accuracy on test images |")
    print("|---|---|---|---|---|---|")
    for point in (searched, best):
        program = Program(trials.pipeline(point).run(graph), REFERENCE, {})
        accuracy = answers_right(program, *known_answers(network))
        print(row(trials, point, accuracy), flush=True)


def trials_of(graph: Graph, network: Network, percent: float) -> Trials:
    """Trials as `qcompile --max-drop` makes them."""
    found = data.read(DATA / network.calibration, api.inputs_of(graph))
    options = {"t_max": 16, "effort": 1, "calibration": found.arrays}
    steps = api.pipeline("reference", None, options)
    budget = Budget("drop", percent)
    return Trials(graph, steps, REFERENCE, found.arrays, found.labels, budget, print)


def uniform(trials: Trials) -> Point:
    """The smallest uniform t_max within the budget. Raises SystemExit if none up to 128 is."""
    tried = [point.uniform for point in trials.points if point.uniform and not point.fits]
    for t_max in range(max(tried, default=1) + 1, 129):
        point, _ = trials.measure(trials.uniform_levels(t_max), t_max)
        if point.fits:
            return point
    raise SystemExit("no t_max up to 128 keeps within the budget")


def row(trials: Trials, point: Point, accuracy: float) -> str:
    """A schedule, as estimated with all trials known, and its accuracy on test images."""
    estimate = next(p.estimate for p in trials.points if p.levels == point.levels)
    assert estimate is not None
    name = f"`--t-max {point.uniform}`" if point.uniform else "searched"
    return (
        f"| {name} | {point.latency} | {point.interval} | {estimate.drop:.2f} | "
        f"{estimate.drift:.2f} | {accuracy:.2f} |"
    )


if __name__ == "__main__":
    main()
