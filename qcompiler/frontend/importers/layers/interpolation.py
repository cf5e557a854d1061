"""Resizing along one axis, as ONNX defines it: each result sums a few elements."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from qcompiler.frontend.model.node_errors import Refused
from qcompiler.frontend.model.onnx_tensor import Array

_TIE = 1e-5  # of an element: the rounding of its place decides no tie


class Axis(NamedTuple):
    """One axis of a resize: lengths before and after, and the attributes of the operator."""

    length: int
    out: int
    scale: float
    mode: str
    coordinates: str
    nearest: str
    cubic: float
    exclude: bool
    antialias: bool
    region: tuple[float, float]
    beyond: float


class Taps(NamedTuple):
    """The elements that each result sums, and what these count, ``out x taps``; 0 for none."""

    places: Array
    weights: Array


def taps_of(line: Axis) -> Taps:
    """What each result sums along an axis; Refused if it is no sum."""
    at = _coordinates(line)
    found = _taps(line, at)
    outside = (at < 0) | (at > line.length - 1)
    if line.coordinates == "tf_crop_and_resize" and outside.any():
        if line.beyond:
            raise Refused("Resize with an extrapolation_value is not supported")
        found.weights[outside] = 0
    return _first(found)


def _coordinates(line: Axis) -> Any:
    """Where in the source each result lies.

    The nearest elements are found in single precision, as onnxruntime and the exporters do: there
    a third of 9 is 3.
    """
    real = np.float32 if line.mode == "nearest" else np.float64
    scale: Any = real(line.scale)
    at: Any = np.arange(line.out, dtype=real)
    match line.coordinates:
        case "half_pixel":
            return (at + 0.5) / scale - 0.5
        case "pytorch_half_pixel":
            return (at + 0.5) / scale - 0.5 if line.out > 1 else at * 0
        case "half_pixel_symmetric":
            share = real(line.out) / (scale * real(line.length))
            offset = real(line.length / 2) * (real(1) - share)
            # as onnxruntime has it, which only rounds the offset and the sum: ties depend on that
            exact = float(offset) + (at.astype(np.float64) + 0.5) / float(scale) - 0.5
            return exact.astype(real)
        case "align_corners":
            width = scale * line.length
            width = line.out if abs(width - line.out) < 1e-4 else width
            return at * (line.length - 1) / (width - 1) if width != 1 else at * 0
        case "asymmetric":
            return at / scale
        case "tf_half_pixel_for_nn":
            return (at + 0.5) / scale
        case "tf_crop_and_resize":
            begin, end = line.region
            if line.out == 1:
                return at + 0.5 * (begin + end) * (line.length - 1)
            step = (end - begin) * (line.length - 1) / (line.out - 1)
            return begin * (line.length - 1) + at * step
    raise Refused(f"Resize with the coordinates {line.coordinates} is not supported")


def _taps(line: Axis, at: Array) -> Taps:
    if line.mode == "nearest":
        return _inside(line, _rounded(line, at)[:, None], np.ones((len(at), 1)))
    shrink = min(1.0, line.scale) if line.antialias else 1.0
    reach = 1 if line.mode == "linear" else 2
    count = int(np.ceil(reach / shrink))
    taps = np.floor(at).astype(np.int64)[:, None] + np.arange(1 - count, count + 1)
    distance = np.abs(taps - at[:, None]) * shrink
    weights = np.maximum(1 - distance, 0) if reach == 1 else _cubic(distance, line.cubic)
    if line.exclude:
        weights = np.where((taps >= 0) & (taps < line.length), weights, 0)
    return _inside(line, taps, weights / weights.sum(axis=1, keepdims=True))


def _cubic(distance: Array, a: float) -> Array:
    near = ((a + 2) * distance - (a + 3)) * distance * distance + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    found: Array = np.where(distance <= 1, near, np.where(distance < 2, far, 0))
    return found


def _rounded(line: Axis, at: Array) -> Array:
    match line.nearest:
        case "round_prefer_floor":
            found: Array = np.ceil(at - 0.5 - _TIE)
        case "round_prefer_ceil":
            found = np.floor(at + 0.5 + _TIE)
        case "floor":
            found = np.floor(at)
        case "ceil":
            found = np.ceil(at)
        case _:
            raise Refused(f"Resize with nearest_mode {line.nearest} is not supported")
    whole: Array = found.astype(np.int64)
    return whole


def _inside(line: Axis, taps: Array, weights: Array) -> Taps:
    """Taps in order, of which those beyond the borders count at the borders."""
    places = np.clip(taps, 0, line.length - 1)
    for k in range(1, places.shape[1]):
        same = places[:, k] == places[:, k - 1]
        weights[same, k] += weights[same, k - 1]
        weights[same, k - 1] = 0
    return Taps(places, weights)


def _first(taps: Taps) -> Taps:
    """The same with those that count in front, and no more than the most of a result."""
    count = max(1, int((taps.weights != 0).sum(axis=1).max()))
    order = np.argsort(taps.weights == 0, axis=1, kind="stable")[:, :count]
    places, weights = (np.take_along_axis(array, order, axis=1) for array in taps)
    return Taps(np.where(weights != 0, places, places[:, :1]), weights)
