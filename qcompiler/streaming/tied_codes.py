"""One code for both ends of a state: the same scale, zero point and number of levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import floor, isqrt

import numpy as np

from qcompiler.backends.program.states import State
from qcompiler.ir import Graph, Node, PipelineError, Range, Tensor, Value
from qcompiler.ir.ann import Clip
from qcompiler.ir.kernels import Array
from qcompiler.passes.calibration.histogram import Histogram
from qcompiler.passes.calibration.snap import snapped_range
from qcompiler.passes.quantization.level_codes import code_of
from qcompiler.passes.quantization.levels import map_values

_COARSE, _FINE = 64, 256  # levels; as two digits they take windows of 8 and of 16 steps
_ROOM = 1.25  # beyond what calibration shows: a state that is cut stays wrong for many frames
_FEW = 16  # t_max below which inputs have windows of 8


def tied(graph: Graph, states: Sequence[State], seen: Mapping[str, Array], t_max: int) -> Graph:
    """The graph in which both ends of every state have the code of the values that were seen.

    ``seen`` holds values of each state by the name of its input. An output becomes a clip with the
    code, which its layer merges with unless others read it. Raises PipelineError for an initial
    value that is out of all proportion to the others.
    """
    for state in states:
        levels = state_levels(t_max)
        bounds = state_range(seen[state.input], state.initial, levels, f"state {state}")
        _check_initial(state, seen[state.input], (bounds[1] - bounds[0]) / (levels - 1))
        graph = _tied(graph, state, bounds, levels)
    return graph


def state_levels(t_max: int) -> int:
    """Levels of a state: what is lost in a frame would be lost in all that follow."""
    if t_max < _FEW:
        return _COARSE
    return max(_FINE, (isqrt(t_max - 1) + 1) ** 2)


def state_range(seen: Array, initial: float, levels: int, what: str) -> Range:
    """That of least squared error, wider, with the initial value in it; its ends are levels.

    UnsupportedModel, which says ``what`` has it, if it lies too far from zero.
    """
    histogram = Histogram()
    histogram.add(seen)
    low, high = snapped_range(histogram.least_squares(levels))
    low, high = min(low, low * _ROOM, initial), max(high, high * _ROOM, initial)
    scale = code_of((), levels, (low, high), what=what).scale
    zero = floor(-low / scale + 0.5)
    return -zero * scale, (levels - 1 - zero) * scale


def _check_initial(state: State, seen: Array, step: float) -> None:
    """PipelineError if a state begins so far off that its other values become one level."""
    others = seen[seen != np.float32(state.initial)]
    if not others.size:
        return
    low, high = float(others.min()), float(others.max())
    if not low <= state.initial <= high and high - low < step:
        raise PipelineError(
            f"state {state}: its values lie from {low:.4g} to {high:.4g} on the calibration data, "
            f"less than a level of a code that holds {state.initial:g}: begin nearer to them"
        )


def with_clip(graph: Graph, state: State, bounds: Range) -> Graph:
    """The graph in which a clip of its own ends a state's output."""
    at = graph.output_names.index(state.output)
    whole = graph.outputs[at]
    clipped = Value(graph.fresh(f"{whole.name}:state"), whole.type)
    origin = made.origin if (made := graph.producer(whole)) else ()
    clip = Node(Clip(*bounds), (whole,), clipped, origin)
    outputs = (*graph.outputs[:at], clipped, *graph.outputs[at + 1 :])
    return replace(graph, nodes=(*graph.nodes, clip), outputs=outputs)


def _tied(graph: Graph, state: State, bounds: Range, levels: int) -> Graph:
    graph = with_clip(graph, state, bounds)
    ends = {graph.outputs[graph.output_names.index(state.output)].name, state.input}

    def change(value: Value) -> Value:
        if value.name not in ends or not isinstance(value.type, Tensor):
            return value
        return replace(value, type=replace(value.type, range=bounds, t_max=levels, digits=1))

    return map_values(graph, change)
