"""The errors of recurrent cells that run frame by frame, as a table.

    PYTHONPATH=. python benchmarks/cells.py [--sequences 32]

The root mean square error of the output of each cell, as a share of its spread over the sequences,
in the first 50 frames and in the 100 that follow.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np

from qcompiler.backends.program.stream import run_stream
from tests.support.cells import cell, compiled, run_recurrently, sequences

CELLS = {"elman": "RNNCell", "gru": "GRUCell", "lstm": "LSTMCell"}
LEVELS = (16, 32, 64)
FRAMES = (slice(0, 50), slice(50, 150))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sequences", type=int, default=32)
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # random weights lose more than trained ones
    print(f"| cell | t_max {' | '.join(map(str, LEVELS))} |\n|{'---|' * (1 + len(LEVELS))}")
    for kind, name in CELLS.items():
        columns = (", ".join(errors(kind, t_max, given.sequences)) for t_max in LEVELS)
        print(f"| `{name}` | {' | '.join(columns)} |", flush=True)


def errors(kind: str, t_max: int, count: int) -> list[str]:
    """The error of a cell in each range of frames, in percent."""
    x = sequences(count, FRAMES[-1].stop, seed=1)
    wanted = run_recurrently(cell(kind), x)["y"]
    found = run_stream(compiled(kind, t_max=t_max), (x,), count=False).outputs["y"]
    lost = np.square(found.reshape(wanted.shape) - wanted)
    return [f"{100 * np.sqrt(lost[:, at].mean()) / wanted.std():.1f} %" for at in FRAMES]


if __name__ == "__main__":
    main()
