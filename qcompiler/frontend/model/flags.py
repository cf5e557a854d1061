"""Attributes that ONNX defines as 0 or 1; other numbers mean nothing, and engines disagree."""

from __future__ import annotations

import onnx

from .node_errors import InvalidNode

_FLAG_NAMES = """
    allowzero antialias as_float ceil_mode count_include_pad detect_negative detect_positive
    exclude_outside exclusive fmod inclusive input_forget is_causal keepdims largest layout
    linear_before_reset merge_repeated noop_with_empty_axes onesided reverse saturate
    select_last_index sorted storage_order transA transB upper
"""
_FLAGS = frozenset(_FLAG_NAMES.split())
_STANDARD = ("", "ai.onnx")


def check_flags(node: onnx.NodeProto) -> None:
    """Raise InvalidNode if a flag of a standard operator is neither 0 nor 1."""
    if node.domain not in _STANDARD:
        return
    for attribute in node.attribute:
        single = attribute.name in _FLAGS and attribute.type == onnx.AttributeProto.INT
        given = [attribute.i] if single else []
        if attribute.name.endswith("_directions"):  # of Scan
            given = list(attribute.ints)
        if wrong := [number for number in given if number not in (0, 1)]:
            raise InvalidNode(f"has {attribute.name}={wrong[0]}, which must be 0 or 1")
