"""Resize and Upsample: nearest moves values, linear and cubic are sums of moved values."""

from __future__ import annotations

from itertools import product
from math import prod

import numpy as np

from qcompiler.frontend.importers.views.reshape import axis_of, mixes_batch
from qcompiler.frontend.importers.views.slicing import take_indices
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.frontend.model.scope import Shape
from qcompiler.ir import Diagnostic, Value
from qcompiler.ir.ann import Add, Affine
from qcompiler.ir.view import Take

from .interpolation import Axis, Taps, taps_of

_MOST_TERMS = 64
_MOST_WEIGHTS = 1 << 24  # of all values that are summed
_LONGEST = 1 << 22  # elements of an axis: each is an index
_ROUNDED = 1e-4  # of a pixel, by which a scale in single precision misses it
_SIZES = "give sizes in place of scales, and no policy for the aspect ratio: all read these alike"
_FEW_MODES = ("nearest", "linear", "cubic")


def resize(node: NodeContext) -> Value:
    """Resize and Upsample along axes of the sample."""
    x = node.activation()
    lines = [(axis, line) for axis, line in _axes(node, x) if not _stays(line)]
    for axis, line in lines:
        x = _along(node, x, axis, line) if line.mode == "nearest" else x
    weighted = [(axis, taps_of(line)) for axis, line in lines if line.mode != "nearest"]
    return _weighted(node, x, weighted)


def _stays(line: Axis) -> bool:
    """Whether an axis is as before: one that is not scaled, and of which no region is cut out."""
    same = abs(line.scale - 1) < 1e-9 and line.out == line.length
    return same and line.coordinates != "tf_crop_and_resize"


def _along(node: NodeContext, x: Value, axis: int, line: Axis) -> Value:
    places, weights = taps_of(line)
    if not (weights == 1).all():
        raise Refused(f"{node.op_type} beyond the borders of the image is not supported")
    return take_indices(node, x, axis, places[:, 0].tolist())


def _axes(node: NodeContext, x: Value) -> list[tuple[int, Axis]]:
    """The axes of a sample that are resized, and how."""
    mode = node.text("mode", "nearest")
    if mode not in _FEW_MODES or (node.integer("antialias", 0) and mode == "nearest"):
        raise Refused(f"{node.op_type} in mode {mode} is not supported", "use nearest or linear")
    shape = x.type.shape
    chosen = node.integers("axes") or tuple(range(len(shape) + 1))
    at = [axis_of(axis, len(shape) + 1) - 1 for axis in chosen]
    scales, sizes = _targets(node, len(chosen))
    lengths = [1 if a < 0 else shape[a] for a in at]
    if scales is None:
        assert sizes is not None
        sizes, scales = _kept(node, lengths, sizes, at)
    roi = node.fixed(1, "region") if node.op_type == "Resize" and node.opset >= 11 else None
    if roi is not None and not (np.abs(roi) < _LONGEST).all():
        raise InvalidNode("has a region that ends at no place, or far outside of the image")
    found = []
    for index, axis in enumerate(at):
        out = sizes[index] if sizes else np.float32(lengths[index]) * np.float32(scales[index])
        if axis < 0:
            if abs(scales[index] - 1) > 1e-9:
                raise mixes_batch(node)
            continue
        if out < 1:
            raise Refused(f"the result of {node.op_type} is empty")
        if out > _LONGEST:
            raise Refused(f"{node.op_type} to more than {_LONGEST} elements is not supported")
        ends = (0.0, 1.0) if roi is None or not roi.size else (roi[index], roi[len(at) + index])
        found.append((axis, _line(node, lengths[index], int(out), scales[index], ends)))
    _tell_of_parts(node, [line for _, line in found])
    return found


def _tell_of_parts(node: NodeContext, lines: list[Axis]) -> None:
    """Warn of scales that give parts of a pixel: others leave these out for the corners."""
    parts = any(abs(line.length * line.scale - line.out) > _ROUNDED for line in lines)
    if parts and lines[0].coordinates == "align_corners":
        what = (
            "Resize with align_corners has scales that give parts of a pixel: ONNX counts these, "
            "onnxruntime and PyTorch do not"
        )
        node.scope.assumed.append(Diagnostic(what, (node.name,), _SIZES))


def _targets(node: NodeContext, rank: int) -> tuple[list[float] | None, list[int] | None]:
    """Scales or sizes, whichever are given."""
    if node.op_type == "Upsample":
        scales = node.fixed(1, "scales") if node.opset >= 9 else None
        given = node.attributes.get("scales") if scales is None else scales
    else:
        given = node.fixed(1 if node.opset < 11 else 2, "scales")
    if given is not None and len(given):
        if len(given) != rank:
            raise InvalidNode(f"has {len(given)} scales for {rank} axes")
        if not all(0 < scale < np.inf for scale in given):
            raise InvalidNode("has a scale that is no positive number")
        return [float(scale) for scale in given], None
    known = node.known(3, "sizes") if node.op_type == "Resize" else None
    if known is None:
        raise InvalidNode("has neither scales nor sizes")
    rows = [[int(n) for n in array] for array in known.arrays]
    if any(row[1:] != rows[0][1:] for row in rows) or len(rows[0]) != rank:
        raise InvalidNode(f"has the sizes {rows[0]} for {rank} axes")
    batches = [row[0] for row in rows]
    if not node.attributes.get("axes") and batches == list(node.scope.probes):
        return None, [1, *rows[0][1:]]
    return None, rows[0]


def _kept(
    node: NodeContext, lengths: list[int], sizes: list[int], at: list[int]
) -> tuple[list[int], list[float]]:
    """Sizes and scales under the policy for the aspect ratio."""
    policy = node.text("keep_aspect_ratio_policy", "stretch")
    scales = [size / length for size, length in zip(sizes, lengths, strict=True)]
    if policy != "stretch":
        one = min(scales) if policy == "not_larger" else max(scales)
        scales = [one] * len(sizes)
        sizes = [int(one * length + 0.5) for length in lengths]
    return sizes, scales


def _line(
    node: NodeContext, length: int, out: int, scale: float, ends: tuple[float, float]
) -> Axis:
    old = node.op_type == "Upsample" or node.opset < 11
    return Axis(
        length,
        out,
        scale,
        node.text("mode", "nearest"),
        "asymmetric" if old else node.text("coordinate_transformation_mode", "half_pixel"),
        "floor" if old else node.text("nearest_mode", "round_prefer_floor"),
        node.real("cubic_coeff_a", -0.75),
        bool(node.integer("exclude_outside", 0)),
        bool(node.integer("antialias", 0)),
        (float(ends[0]), float(ends[1])),
        node.real("extrapolation_value", 0.0),
    )


def _weighted(node: NodeContext, x: Value, found: list[tuple[int, Taps]]) -> Value:
    """Sum over all combinations of taps: moved values times what they count at each place."""
    moves = [(axis, taps) for axis, taps in found if not _stay(x.type.shape[axis], taps)]
    if not moves:
        return x
    if prod(taps.weights.shape[1] for _, taps in moves) > _MOST_TERMS:
        raise Refused(
            f"{node.op_type} that sums more than {_MOST_TERMS} values is not supported",
            "resize in smaller steps, or without antialiasing",
        )
    if prod(taps.weights.size for _, taps in moves) > _MOST_WEIGHTS:
        raise Refused(
            f"{node.op_type} with more than {_MOST_WEIGHTS} weights is not supported",
            "resize to fewer elements, or by mode nearest",
        )
    rank = len(x.type.shape)
    terms = []
    for chosen in product(*(range(taps.weights.shape[1]) for _, taps in moves)):
        value, scale = x, np.ones((1,) * rank)
        for (axis, taps), k in zip(moves, chosen, strict=True):
            value = _take(node, value, axis, tuple(taps.places[:, k].tolist()))
            scale = scale * taps.weights[:, k].reshape(-1, *(1,) * (rank - axis - 1))
        if scale.any():
            zero = node.constant("zero", np.zeros((1,) * rank))
            terms.append(node.part("term", Affine(), value, node.constant("scale", scale), zero))
    if not terms:
        raise Refused(f"{node.op_type} of a region outside of the image is not supported")
    return node.part("sum", Add(), *terms) if len(terms) > 1 else terms[0]


def _take(node: NodeContext, x: Value, axis: int, places: Shape) -> Value:
    if places == tuple(range(x.type.shape[axis])):
        return x
    return node.part("moved", Take(axis, places), x)


def _stay(length: int, taps: Taps) -> bool:
    """Whether each result is the element at its own place."""
    alone = taps.weights.shape[1] == 1 and bool((taps.weights == 1).all())
    return alone and np.array_equal(taps.places[:, 0], np.arange(length))
