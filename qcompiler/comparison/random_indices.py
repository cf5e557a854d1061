"""A network behind tables, compiled without data, beside its model on random rows."""

from __future__ import annotations

import numpy as np

from qcompiler.backends.program.program import Program
from qcompiler.ir import DataError, Diagnostic, Graph, Range, Value
from qcompiler.ir.ann import Embed, Integer
from qcompiler.ir.kernels import Array
from qcompiler.ir.prologue import run_prologue

from .compared_outputs import compared_outputs, spread_frames
from .errors.judge import TOLERATED
from .errors.output_error import output_error

_FRAMES = 256
_MOST = 1 << 16  # of what indices are compared with
_CALIBRATE = "give calibration data, whose rows tell the ranges (--calibration)"


def error_on_random_indices(
    prologue: Graph, graph: Graph, program: Program, bounds: Range
) -> Diagnostic | None:
    """The warning on outputs that ranges of tables make too coarse; None if no output is.

    ``graph`` is what was compiled, ``bounds`` are those of inputs that are no indices.
    """
    frames = len(spread_frames(graph, _FRAMES))
    data = _random_data(prologue, frames, bounds)
    if data is None:
        return None
    compared, _ = compared_outputs(graph, program, data)
    errors = [output_error(one.name, *one.centred()) for one in compared]
    worst = max(errors, key=lambda one: one.error or 0.0, default=None)
    if worst is None or worst.error is None or worst.error <= TOLERATED:
        return None
    return Diagnostic(
        f'no calibration data: the error of output "{worst.name}" is {worst.error:,.0%} of its '
        f"spread on {frames} frames of random indices",
        help=_CALIBRATE,
    )


def _random_data(prologue: Graph, frames: int, bounds: Range) -> tuple[Array, ...] | None:
    """What the network reads of random data; None if no random numbers are found to be indices.

    Indices are below the rows of the smallest table that they may reach; arithmetic on the way may
    take them beyond it, then they are drawn from half as many numbers.
    """
    rng, rows = np.random.default_rng(0), _rows(prologue)
    while True:
        drawn = (
            rng.integers(0, rows[value.name], (frames, *value.type.shape))
            if value.name in rows
            else rng.uniform(*bounds, (frames, *value.type.shape)).astype(np.float32)
            for value in prologue.inputs
        )
        try:
            return run_prologue(prologue, *drawn)
        except DataError:
            if max(rows.values(), default=0) < 2:
                return None
            rows = {name: -(-count // 2) for name, count in rows.items()}


def _rows(prologue: Graph) -> dict[str, int]:
    """Of how many numbers each value may be: the fewest rows of a table, or those compared with."""
    found: dict[str, int] = {}
    for node in reversed(prologue.nodes):
        least = found.get(node.result.name)
        if isinstance(node.op, Embed):
            least = len(node.arrays[0])
        elif least is None and isinstance(node.op, Integer):
            least = 2 + max((_largest(array) for array in node.arrays), default=0)
        for source in (operand.name for operand in node.operands if isinstance(operand, Value)):
            if least is not None:
                found[source] = min(least, found.get(source, least))
    return found


def _largest(array: Array) -> int:
    """The largest number of a constant, as far as indices reach."""
    return int(np.clip(np.nan_to_num(array), 0, _MOST).max())
