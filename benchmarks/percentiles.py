"""Accuracy by the percentile at which ranges are clipped, as a table. Needs the data folder.

    python benchmarks/percentiles.py [mnist] [resnet20] [squeezenet] [--t-max N]

Columns: searched ranges (the default), then ranges clipped at percentiles from 99 to 100. Rows: the
default effort and effort 0. Calibration and test images are those of accuracy.py.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from accuracy import NETWORKS, answers_right, compiled, known_answers

PERCENTILES = (99.0, 99.5, 99.9, 99.95, 99.99, 100.0)


def main() -> None:
    """Print two rows per network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", help=f"out of {', '.join(NETWORKS)} (all)")
    parser.add_argument("--t-max", type=int, default=16, help="number of levels (16)")
    parser.add_argument("--packed", type=Path, help="SqueezeNet's unpacked calibration images")
    given = parser.parse_args()
    print("| network | t_max | effort | searched |", *(f"{p:g} |" for p in PERCENTILES))
    print("|---|---|---|---|" + "---|" * len(PERCENTILES))
    for name in given.networks or NETWORKS:
        network = NETWORKS[name].at(given.packed)
        images, answers = known_answers(network)
        for effort in (1, 0):
            found = []
            for percentile in (None, *PERCENTILES):
                options: dict[str, Any] = {"effort": effort, "percentile": percentile}
                program, _ = compiled(network, given.t_max, options)
                found.append(f"{answers_right(program, images, answers):.2f}")
            print(f"| {name} | {given.t_max} | {effort} | {' | '.join(found)} |", flush=True)


if __name__ == "__main__":
    main()
