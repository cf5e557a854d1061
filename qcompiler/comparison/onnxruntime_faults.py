"""Nodes that onnxruntime computes otherwise than others do: it is no reference for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from qcompiler.frontend.model.node_context import attributes_of
from qcompiler.frontend.model.onnx_file import Model, read_model
from qcompiler.frontend.model.type_inference import declared_type
from qcompiler.ir import Diagnostic, InvalidModel
from qcompiler.ir.kernels import Array

_Attributes = Mapping[str, Any]
_Check = Callable[[_Attributes, int, "list[Array | None]"], bool]
_SAME = (b"SAME_UPPER", b"SAME_LOWER")
_ROUNDED = 1e-4  # of a pixel, by which a scale in single precision misses it
_HELP = "compare with another engine, or replace the node; the program follows ONNX"


def onnxruntime_faults(path: Path) -> tuple[Diagnostic, ...]:
    """A finding for each kind of node that onnxruntime is known to compute in a way of its own.

    None for a model that cannot be read: running it says why.
    """
    try:
        model = read_model(path)
    except InvalidModel:
        return ()
    found = []
    for op_type, what, wrong in _KNOWN:
        names = _nodes(model, op_type, wrong)
        if names:
            text = f"onnxruntime is known to compute {op_type} with {what}"
            text += "" if op_type in _ALLOWED else " otherwise than ONNX"
            found.append(Diagnostic(f"{text}: its outputs are no reference", names, _HELP))
    return tuple(found)


def _nodes(model: Model, op_type: str, wrong: _Check) -> tuple[str, ...]:
    found = []
    known: dict[str, Array] | None = None
    for index, node in enumerate(model.graph.node):
        if node.op_type == op_type and node.domain in ("", "ai.onnx"):
            known = _shaped(model) | model.arrays if known is None else known
            operands = [known.get(name) for name in node.input]
            with suppress(TypeError, ValueError):  # a broken node: running the model says why
                if wrong(attributes_of(node), model.opset or 0, operands):
                    found.append(node.name or f"{op_type}_{index}")
    return tuple(found)


def _shaped(model: Model) -> dict[str, Array]:
    """Arrays of the shapes that the model declares; an open axis has the length 1."""
    found = {}
    for value in (*model.graph.input, *model.graph.value_info):
        if type_ := declared_type(value):
            lengths = (axis if isinstance(axis, int) and axis > 0 else 1 for axis in type_.axes)
            found[value.name] = np.broadcast_to(np.float32(0), tuple(lengths))
    return found


def _counts_what_is_rounded_up(
    given: _Attributes, opset: int, operands: list[Array | None]
) -> bool:
    return opset < 19 and given.get("ceil_mode", 0) == given.get("count_include_pad", 0) == 1


def _counts_other_padding(given: _Attributes, opset: int, operands: list[Array | None]) -> bool:
    """Whether padding counts, of which axes or ends may have more than others."""
    uneven = len(set(given.get("pads", ()))) > 1 and len(given["pads"]) > 2
    counts = opset >= 19 and given.get("count_include_pad", 0) == 1
    return counts and (uneven or given.get("auto_pad", b"") in _SAME)


def _rounds_up_without_padding(
    given: _Attributes, opset: int, operands: list[Array | None]
) -> bool:
    return bool(given.get("ceil_mode", 0) == 1 and given.get("auto_pad", b"") == b"VALID")


def _pads_dilated(given: _Attributes, opset: int, operands: list[Array | None]) -> bool:
    return given.get("auto_pad", b"") in _SAME and max(given.get("dilations", ()), default=1) > 1


def _cuts_out_of_what_stays(given: _Attributes, opset: int, operands: list[Array | None]) -> bool:
    """Whether a region may be cut out along an axis whose scale is 1, which onnxruntime keeps."""
    if given.get("coordinate_transformation_mode") != b"tf_crop_and_resize":
        return False
    region, scales = (operands[at] if len(operands) > at else None for at in (1, 2))
    if region is None or scales is None or region.size != 2 * scales.size:
        return True
    whole = (region.reshape(2, -1) == [[0], [1]]).all(axis=0)
    return bool((~whole & (scales == 1)).any())


def _scales_to_parts(given: _Attributes, opset: int, operands: list[Array | None]) -> bool:
    """Whether a length times its scale is no whole number, of which onnxruntime takes the floor."""
    if given.get("coordinate_transformation_mode") != b"align_corners":
        return False
    scales = operands[2] if len(operands) > 2 else None
    if scales is None or not scales.size:
        return bool(given.get("keep_aspect_ratio_policy", b"stretch") != b"stretch")
    x = operands[0]
    lengths = np.array(x.shape if x is not None and x.ndim == scales.size else 1)
    sizes = lengths * scales.reshape(-1).astype(np.float64)
    return bool((abs(sizes - np.rint(sizes)) > _ROUNDED).any())


def _keeps_what_is_scaled(given: _Attributes, opset: int, operands: list[Array | None]) -> bool:
    """Whether scales other than 1 leave every length, for which onnxruntime copies the value."""
    at = 1 if opset < 11 else 2
    x, scales = (operands[place] if len(operands) > place else None for place in (0, at))
    way = given.get("coordinate_transformation_mode")
    if way in (b"align_corners", b"tf_crop_and_resize") or x is None or scales is None:
        return False
    axes = [*given.get("axes", range(x.ndim))]
    lengths = np.array(x.shape, np.float32)[axes]
    scaled = (scales != 1) & (lengths > 1)
    return bool(scaled.any() and (np.floor(lengths * scales) == lengths).all())


def _pads_beyond_stride(given: _Attributes, opset: int, operands: list[Array | None]) -> bool:
    more = given.get("output_padding", ())
    return any(n >= s for n, s in zip(more, given.get("strides") or [1] * len(more), strict=False))


def _leaves_unsorted(given: _Attributes, opset: int, operands: list[Array | None]) -> bool:
    count = operands[1] if len(operands) > 1 else None
    return given.get("sorted", 1) == 0 and (count is None or count.tolist() not in (1, [1]))


def _pads_beyond_axis(given: _Attributes, opset: int, operands: list[Array | None]) -> bool:
    """Whether more is padded than an axis holds, for which onnxruntime reads beside the value."""
    mode = given.get("mode", b"constant")
    x, pads, _, axes = (*operands, None, None, None, None)[:4]
    pads = np.asarray(given["pads"]) if opset < 11 else pads
    if mode not in (b"reflect", b"wrap") or x is None or pads is None:
        return False
    lengths = np.array(x.shape)[slice(None) if axes is None else axes]
    begins, ends = pads.reshape(2, -1)
    if mode == b"wrap":
        return bool((begins > lengths).any())
    return bool(((begins >= lengths) | (ends >= lengths + begins)).any())


def _caps_what_is_hidden(given: _Attributes, opset: int, operands: list[Array | None]) -> bool:
    """Whether scores are capped beside a mask, which onnxruntime adds first: it shows what hides.

    An empty name in the place of the mask comes with a cache only, which no importer takes.
    """
    masked = given.get("is_causal", 0) or len(operands) > 3
    return bool(masked and given.get("softcap", 0.0))


_ALLOWED = {"TopK"}  # by ONNX, which leaves the order open
_KNOWN: tuple[tuple[str, str, _Check], ...] = (
    (
        "AveragePool",
        "ceil_mode=1 and count_include_pad=1 before opset 19",
        _counts_what_is_rounded_up,
    ),
    (
        "AveragePool",
        "count_include_pad=1 and uneven pads from opset 19 on",
        _counts_other_padding,
    ),
    ("AveragePool", "ceil_mode=1 and auto_pad=VALID", _rounds_up_without_padding),
    ("MaxPool", "ceil_mode=1 and auto_pad=VALID", _rounds_up_without_padding),
    ("AveragePool", "auto_pad and dilations", _pads_dilated),
    ("MaxPool", "auto_pad and dilations", _pads_dilated),
    (
        "Resize",
        "align_corners and scales that give parts of a pixel otherwise than ONNX",
        _scales_to_parts,
    ),
    ("Resize", "scales other than 1 that leave every length", _keeps_what_is_scaled),
    ("Resize", "tf_crop_and_resize of axes whose scale is 1", _cuts_out_of_what_stays),
    (
        "ConvTranspose",
        "output_padding not below the stride otherwise than ONNX",
        _pads_beyond_stride,
    ),
    ("Pad", "mode reflect or wrap and more than the axis holds", _pads_beyond_axis),
    ("Attention", "softcap and a mask or is_causal", _caps_what_is_hidden),
    ("TopK", "sorted=0 in an order of its own", _leaves_unsorted),
)
