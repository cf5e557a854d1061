"""What the fast engine's kernels cost, beside what its cost rule says.

    python benchmarks/kernels.py

A row is a layer: channels, outputs, kernel, size of the image. Columns: ns an output position for
float32 and for 8 bits, one output at a time, measured on one thread, and as `kernel_cost` has them;
only which of the two is less matters. The last column says whether the rule chooses the faster one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from qcompiler.backends.reference.kernels.byte_kernel import byte_kernel
from qcompiler.backends.reference.kernels.kernel_cost import byte_cost, real_cost
from qcompiler.backends.reference.kernels.level_forms import LevelForms
from qcompiler.backends.reference.kernels.sum_parts import SumPart
from qcompiler.ir.execution.session import OnnxWriter
from qcompiler.ir.execution.write_nodes import sliding, write_clip, write_synapse
from qcompiler.ir.snn import Convolve

_LAYERS = (
    (1, 6, 5, 28),
    (6, 12, 5, 12),
    (3, 16, 3, 32),
    (16, 16, 3, 32),
    (64, 64, 3, 8),
    (64, 16, 1, 54),
    (16, 64, 3, 54),
    (128, 128, 3, 28),
    (4, 4, 3, 8),
)
_FRAMES, _SECONDS = 8, 0.3


def main() -> None:
    """Print one row a layer."""
    print("| layer | float32 | 8 bits | rule: float32 | rule: 8 bits | faster chosen |")
    print("|---|---|---|---|---|---|")
    for layer in _LAYERS:
        times, costs = measured(*layer)
        cells = " | ".join(f"{n:.1f}" for n in (*times, *costs))
        right = (times[0] > times[1]) == (costs[0] > costs[1])
        print(f"| {layer} | {cells} | {'yes' if right else 'no'} |", flush=True)


def measured(channels: int, outputs: int, size: int, space: int) -> tuple[Any, Any]:
    """Ns of an output position, float32 and 8 bits: measured, then by the rule."""
    rng, pad = np.random.default_rng(0), size // 2
    op = Convolve((1, 1), (pad,) * 4, (1, 1))
    weight = rng.integers(-127, 128, (outputs, channels, size, size))
    levels = rng.integers(0, 16, (_FRAMES, channels, space, space))
    form = LevelForms(OnnxWriter(), levels.shape[1:], 15)
    part = SumPart(op, weight, form)
    kernel = byte_kernel([part], np.ones(outputs, np.int64))
    assert kernel is not None
    runs = floats(op, weight, levels), integers(op, weight, levels)
    places = _FRAMES * space * space
    found = [1e9 * seconds(run) / places for run in runs]
    return found, (real_cost([part], outputs, True), byte_cost(kernel))


def floats(op: Convolve, weight: Any, levels: Any) -> Callable[[], object]:
    """A layer in float32."""
    writer = OnnxWriter()
    x = writer.input("x", levels.shape[1:])
    total = writer.add("Relu", write_synapse(writer, op, x, weight / 512))
    end = writer.add("Floor", write_clip(writer, total, 0, 15.5))
    session = writer.session({end: np.float32}, 1)
    return lambda: session.run(None, {"x": levels.astype(np.float32)})


def integers(op: Convolve, weight: Any, levels: Any) -> Callable[[], object]:
    """A layer in 8 bits, one output at a time."""
    writer = OnnxWriter()
    x = writer.input("x", levels.shape[1:], np.uint8)
    one, zero = (writer.constant(np.array(n, t)) for n, t in ((1, np.float32), (0, np.uint8)))
    each = writer.constant(np.full(len(weight), 1 / 512, np.float32))
    zeros = writer.constant(np.zeros(len(weight), np.int8))
    matrix = writer.constant(weight.astype(np.int8))
    given = x, one, zero, matrix, each, zeros, one, zero
    whole = writer.add("QLinearConv", *given, **sliding(op))
    end = writer.add("Clip", whole, "", writer.constant(np.array(15, np.uint8)))
    session = writer.session({end: np.uint8}, 1)
    return lambda: session.run(None, {"x": levels.astype(np.uint8)})


def seconds(run: Callable[[], object]) -> float:
    """Median CPU time of a call."""
    run()
    found: list[float] = []
    while sum(found) < _SECONDS:
        begin = time.process_time()
        run()
        found.append(time.process_time() - begin)
    return float(np.median(found))


if __name__ == "__main__":
    main()
