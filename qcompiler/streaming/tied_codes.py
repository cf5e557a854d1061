"""One code for both ends of a state: the same scale, zero point and number of levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import floor, isqrt

import numpy as np

from qcompiler.backends.program.states import State
from qcompiler.ir import Graph, PipelineError, Range, Tensor, Value
from qcompiler.ir.kernels import Array
from qcompiler.passes.calibration.histogram import Histogram
from qcompiler.passes.calibration.snap import snapped_range
from qcompiler.passes.quantization.level_codes import code_of
from qcompiler.passes.quantization.levels import map_values

from .clipped_ends import reaching
from .element_scales import costs_nothing, factors_of
from .ends import can_rescale, ends_of, layer_of, with_clip
from .factors import of_rank
from .in_front import Picks
from .picks import picks_of

_COARSE, _FINE = 64, 256  # levels; as two digits they take windows of 8 and of 16 steps
_ROOM = 1.25  # beyond what calibration shows: a state that is cut stays wrong for many frames
_FEW = 16  # t_max below which inputs have windows of 8


def tied(
    graph: Graph, states: Sequence[State], seen: Mapping[str, Array], t_max: int, own: bool = True
) -> Graph:
    """The graph in which both ends of every state have the code of the values that were seen.

    ``seen`` holds values of each state by the name of its input. An output becomes a clip with the
    code, which its layer merges with unless others read it. With ``own``, elements that differ in
    size have scales of their own. Raises PipelineError for an initial value that is out of all
    proportion to the others.
    """
    levels = state_levels(t_max)
    for state in states:
        values, what = seen[state.input], f"state {state}"
        bounds = state_range(values, (state.initial, state.initial), levels, what)
        _check_initial(state, values, (bounds[1] - bounds[0]) / (levels - 1))
        whole = _tied(graph, state, bounds, levels, states)
        factors = factors_of(values, state) if own and can_rescale(graph, state) else ()
        apart = (_with_own(graph, state, seen, factor, levels, states) for factor in factors)
        graph = next((made for made in apart if costs_nothing(made, whole)), whole)
    return graph


def _with_own(
    graph: Graph,
    state: State,
    seen: Mapping[str, Array],
    factor: Array,
    levels: int,
    states: Sequence[State],
) -> Graph:
    """The graph in which both ends of a state have the code of its values times a factor."""
    values, layer = seen[state.input], layer_of(graph, state)
    assert layer is not None  # as it can be rescaled
    begins = state.initial * float(factor.min()), state.initial * float(factor.max())
    ends = min(begins), max(begins)
    bounds = state_range(values * factor, ends, levels, f"state {state}")
    step = (bounds[1] - bounds[0]) / (levels - 1)
    factor = reaching(layer, factor, bounds, step, values)
    behind = of_rank(factor, values.shape[1:], layer.result.type.shape)
    picks = picks_of(graph, layer, behind, seen)
    return _tied(graph, state, bounds, levels, states, factor, picks)


def state_levels(t_max: int) -> int:
    """Levels of a state: what is lost in a frame would be lost in all that follow.

    More than ``_FINE`` need weights of more bits: those of a state near a decay of 1 are rounded.
    """
    if t_max < _FEW:
        return _COARSE
    return max(_FINE, (isqrt(t_max - 1) + 1) ** 2)


def state_range(seen: Array, initial: Range, levels: int, what: str) -> Range:
    """That of least squared error, wider, with the initial values in it; its ends are levels.

    UnsupportedModel, which says ``what`` has it, if it lies too far from zero.
    """
    histogram = Histogram()
    histogram.add(seen)
    low, high = snapped_range(histogram.least_squares(levels))
    low, high = min(low, low * _ROOM, initial[0]), max(high, high * _ROOM, initial[1])
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


def _tied(
    graph: Graph,
    state: State,
    bounds: Range,
    levels: int,
    states: Sequence[State],
    factor: Array | None = None,
    picks: Picks | None = None,
) -> Graph:
    graph = with_clip(graph, state, bounds, factor, states, picks)
    ends = set(ends_of(graph, state))

    def change(value: Value) -> Value:
        if value.name not in ends or not isinstance(value.type, Tensor):
            return value
        return replace(value, type=replace(value.type, range=bounds, t_max=levels, digits=1))

    return map_values(graph, change)
