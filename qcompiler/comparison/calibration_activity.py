"""How active the neurons of a compiled program are on some of the calibration data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from qcompiler.backends.energy.activity import to_json
from qcompiler.backends.program.program import Program
from qcompiler.ir import Graph
from qcompiler.ir.kernels import Array

from .compared_outputs import spread_frames


def calibration_activity(graph: Graph, program: Program, data: Sequence[Array]) -> dict[str, Any]:
    """What the program's manifest keeps of it; ``graph`` is the model's, as imported."""
    places = spread_frames(graph, len(data[0]))
    counters = program.measure(*(array[places].astype(np.float32) for array in data)).counters
    return to_json(counters.activity or {}, counters.frames)
