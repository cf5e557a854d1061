"""The scale and zero point of the levels that span a range."""

from __future__ import annotations

from math import floor

from qcompiler.ir import Diagnostic, Graph, Range, Spikes, UnsupportedModel, Value

_NARROW = 1e-25  # ranges narrower than this count as one value
_FAR_OFF = 1 << 30  # levels that a range may lie from zero


def code_of(
    shape: tuple[int, ...],
    t_max: int,
    bounds: Range,
    highest: float | None = None,
    what: str = "a value",
    origin: tuple[str, ...] = (),
) -> Spikes:
    """Scale and zero point whose levels span a range; 0 is a level if the range contains it.

    ``highest`` is the upper bound of the clip in front, if any. Raises UnsupportedModel, which says
    ``what`` has the range, and the ONNX nodes it is of, if that is too wide or too far from zero.
    """
    low, high = bounds
    if not high - low > _NARROW:
        low, high = _around(low, t_max - 1, highest is not None and high >= highest)
    scale = (high - low) / (t_max - 1)
    text = f"the range {low:.10g} to {high:.10g} of {what} is too"
    smaller = "use smaller weights, biases or bounds there, or " if origin else ""
    if not scale < 1 / _NARROW:
        help_ = f"{smaller}scale the data down"
        raise UnsupportedModel(Diagnostic(f"{text} wide for levels", origin, help_))
    if not abs(low) < scale * _FAR_OFF:
        help_ = f"{smaller}subtract an offset from the data outside of the network"
        raise UnsupportedModel(Diagnostic(f"{text} far from zero for levels", origin, help_))
    return Spikes(shape, t_max, scale, floor(-low / scale + 0.5))


def code_in(graph: Graph, value: Value, levels: int, bounds: Range) -> Spikes:
    """The code of a value in a graph, which errors tell with the ONNX node that makes it."""
    made = graph.producer(value)
    origin = made.origin if made else ()
    return code_of(value.type.shape, levels, bounds, what=f"%{value.name}", origin=origin)


def _around(value: float, top: int, is_bound: bool) -> Range:
    """A range about 1 wide in which a single value is a level: the lowest, or a clip's bound."""
    size = abs(value)
    width = top * size / max(1, round(top * size)) if size > _NARROW else 1.0
    return (value - width, value) if is_bound else (value, value + width)
