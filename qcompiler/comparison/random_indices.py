"""A network behind tables, compiled without data, beside its model on random rows."""

from __future__ import annotations

import numpy as np

from qcompiler.backends.program.program import Program
from qcompiler.ir import Diagnostic, Graph, Range, Value
from qcompiler.ir.ann import Embed
from qcompiler.ir.kernels import Array
from qcompiler.ir.prologue import run_prologue

from .compared_outputs import compared_outputs, spread_frames
from .errors.judge import TOLERATED
from .errors.output_error import output_error

_FRAMES = 256
_CALIBRATE = "give calibration data, whose rows tell the ranges (--calibration)"


def error_on_random_indices(
    prologue: Graph, graph: Graph, program: Program, bounds: Range
) -> Diagnostic | None:
    """The warning on outputs that ranges of tables make too coarse; None if no output is.

    ``graph`` is what was compiled, ``bounds`` are those of inputs that are no indices.
    """
    frames = len(spread_frames(graph, _FRAMES))
    data = run_prologue(prologue, *_random_inputs(prologue, frames, bounds))
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


def _random_inputs(prologue: Graph, frames: int, bounds: Range) -> list[Array]:
    """Rows of the smallest table that an input is looked up in; uniform numbers of the others."""
    rng = np.random.default_rng(0)
    rows = _rows(prologue)
    return [
        rng.integers(0, rows[value.name], (frames, *value.type.shape))
        if value.name in rows
        else rng.uniform(*bounds, (frames, *value.type.shape)).astype(np.float32)
        for value in prologue.inputs
    ]


def _rows(prologue: Graph) -> dict[str, int]:
    """The fewest rows of the tables that each value is an index of."""
    found: dict[str, int] = {}
    for node in reversed(prologue.nodes):
        (source,) = (operand for operand in node.operands if isinstance(operand, Value))
        least = len(node.arrays[0]) if isinstance(node.op, Embed) else found[node.result.name]
        found[source.name] = min(least, found.get(source.name, least))
    return found
