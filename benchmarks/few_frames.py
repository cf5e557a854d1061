"""How much frames that calibration has not seen err, by how many it has.

    python benchmarks/few_frames.py [--frames N ..] [--t-max T ..]

Dense networks with random weights and normal inputs, three of each size: the root mean square
error of 1,500 unseen frames, as a share of the spread of outputs. These need most frames: each of
an image shows a channel many values.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import onnx
import onnxruntime
from networks import Writer

import qcompiler

_SIZES = ((10, 32, 32, 5), (20, 64, 64, 64, 10))
_SEEDS = range(3)


def main() -> None:
    """Print a row for each number of frames."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, nargs="+", default=[1, 8, 32, 200, 1000])
    parser.add_argument("--t-max", type=int, nargs="+", default=[16, 64, 256])
    given = parser.parse_args()
    warnings.simplefilter("ignore", qcompiler.CompileWarning)
    columns = [(t_max, effort) for t_max in given.t_max for effort in (0, 1)]
    head = " | ".join(f"{t_max}, effort {effort}" for t_max, effort in columns)
    print(f"| frames | {head} |", "|---" * (len(columns) + 1) + "|", sep="\n")
    for frames in given.frames:
        cells = [f"{100 * error(frames, *column):.1f} %" for column in columns]
        print(f"| {frames:,} | {' | '.join(cells)} |", flush=True)


def error(frames: int, t_max: int, effort: int) -> float:
    """The mean error of all networks."""
    found = []
    for sizes in _SIZES:
        for seed in _SEEDS:
            proto, rng = dense(sizes, seed), np.random.default_rng(100 + seed)
            seen, unseen = (
                rng.normal(size=(n, sizes[0])).astype(np.float32) for n in (frames, 1500)
            )
            session = onnxruntime.InferenceSession(proto.SerializeToString())
            (wanted,) = session.run(None, {session.get_inputs()[0].name: unseen})
            program = qcompiler.compile(
                proto, calibration=seen, t_max=t_max, effort=effort, target="reference"
            )
            found.append(np.sqrt(np.mean((program.run(unseen) - wanted) ** 2)) / wanted.std())
    return float(np.mean(found))


def dense(sizes: Sequence[int], seed: int) -> onnx.ModelProto:
    """Dense layers with ReLU, and one without."""
    writer, x = Writer(), "input"
    writer.rng = np.random.default_rng(seed)
    for before, wide in pairwise(sizes):
        if writer.nodes:
            x = writer.add("Relu", x)
        x = writer.add("Gemm", x, *writer.linear(wide, before), transB=1)
    return writer.model("dense", (sizes[0],))


if __name__ == "__main__":
    main()
