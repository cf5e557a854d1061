"""Nodes that onnxruntime computes otherwise than others do: it is no reference for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from qcompiler.frontend.model.node_context import attributes_of
from qcompiler.frontend.model.onnx_file import Model, read_model
from qcompiler.ir import Diagnostic, InvalidModel
from qcompiler.ir.kernels import Array

_Attributes = Mapping[str, Any]
_Check = Callable[[_Attributes, int, "list[Array | None]"], bool]
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
    for index, node in enumerate(model.graph.node):
        if node.op_type == op_type and node.domain in ("", "ai.onnx"):
            operands = [model.arrays.get(name) for name in node.input]
            with suppress(TypeError, ValueError):  # a broken node: running the model says why
                if wrong(attributes_of(node), model.opset or 0, operands):
                    found.append(node.name or f"{op_type}_{index}")
    return tuple(found)


def _counts_what_is_rounded_up(
    given: _Attributes, opset: int, operands: list[Array | None]
) -> bool:
    return opset < 19 and given.get("ceil_mode", 0) == given.get("count_include_pad", 0) == 1


def _pads_dilated(given: _Attributes, opset: int, operands: list[Array | None]) -> bool:
    same = given.get("auto_pad", b"") in (b"SAME_UPPER", b"SAME_LOWER")
    return same and max(given.get("dilations", ()), default=1) > 1


def _shrinks_cubic(given: _Attributes, opset: int, operands: list[Array | None]) -> bool:
    mode, place = given.get("mode"), given.get("coordinate_transformation_mode")
    scales = operands[2] if len(operands) > 2 else None
    grows = scales is not None and scales.size and min(scales.reshape(-1)) >= 1
    return mode == b"cubic" and place == b"align_corners" and not grows


def _pads_beyond_stride(given: _Attributes, opset: int, operands: list[Array | None]) -> bool:
    more = given.get("output_padding", ())
    return any(n >= s for n, s in zip(more, given.get("strides") or [1] * len(more), strict=False))


def _leaves_unsorted(given: _Attributes, opset: int, operands: list[Array | None]) -> bool:
    count = operands[1] if len(operands) > 1 else None
    return given.get("sorted", 1) == 0 and (count is None or count.tolist() not in (1, [1]))


_ALLOWED = {"TopK"}  # by ONNX, which leaves the order open
_KNOWN: tuple[tuple[str, str, _Check], ...] = (
    (
        "AveragePool",
        "ceil_mode=1 and count_include_pad=1 before opset 19",
        _counts_what_is_rounded_up,
    ),
    ("AveragePool", "auto_pad and dilations", _pads_dilated),
    ("MaxPool", "auto_pad and dilations", _pads_dilated),
    (
        "Resize",
        "mode cubic and align_corners to a smaller size otherwise than ONNX",
        _shrinks_cubic,
    ),
    (
        "ConvTranspose",
        "output_padding not below the stride otherwise than ONNX",
        _pads_beyond_stride,
    ),
    ("TopK", "sorted=0 in an order of its own", _leaves_unsorted),
)
