"""Attributes that ONNX does not define, which every engine refuses or takes for something else."""

from __future__ import annotations

import onnx

from .message_checks import repeated
from .node_errors import InvalidNode

_FLAG_NAMES = """
    allowzero antialias as_float ceil_mode count_include_pad detect_negative detect_positive
    exclude_outside exclusive fmod inclusive input_forget is_causal keepdims largest layout
    linear_before_reset merge_repeated noop_with_empty_axes onesided reverse saturate
    select_last_index sorted storage_order transA transB upper
"""
_FLAGS = frozenset(_FLAG_NAMES.split())
_LISTS = frozenset({"dilations", "kernel_shape", "pads", "strides"})  # that none gives empty
_MAY_BE_EMPTY = {"ConvTranspose": frozenset({"dilations", "strides"})}  # as if not given
_WORDS = {
    "auto_pad": ("", "NOTSET", "SAME_LOWER", "SAME_UPPER", "VALID"),
    "DepthToSpace mode": ("CRD", "DCR"),
}
_STANDARD = ("", "ai.onnx")
_INTERNAL = "__"  # of names that ONNX does not check


def check_attributes(node: onnx.NodeProto, opset: int) -> None:
    """Raise InvalidNode if one is given twice, or is none of a standard operator in its opset.

    Flags are 0 or 1: other numbers mean nothing, nor do empty lists and unknown words.
    """
    if again := repeated(attribute.name for attribute in node.attribute):
        raise InvalidNode(f"has the attribute {again[0]} twice")
    if node.domain not in _STANDARD:
        return
    _check_names(node, opset)
    for attribute in node.attribute:
        _check_meaning(node.op_type, attribute)
        single = attribute.name in _FLAGS and attribute.type == onnx.AttributeProto.INT
        given = [attribute.i] if single else []
        if attribute.name.endswith("_directions"):  # of Scan
            given = list(attribute.ints)
        if wrong := [number for number in given if number not in (0, 1)]:
            raise InvalidNode(f"has {attribute.name}={wrong[0]}, which must be 0 or 1")


def _check_meaning(op_type: str, attribute: onnx.AttributeProto) -> None:
    name = attribute.name
    full = _LISTS - _MAY_BE_EMPTY.get(op_type, frozenset())
    if name in full and attribute.type == onnx.AttributeProto.INTS and not attribute.ints:
        raise InvalidNode(f"has an empty list of {name}")
    words = _WORDS.get(name) or _WORDS.get(f"{op_type} {name}")
    if words and attribute.type == onnx.AttributeProto.STRING:
        given = attribute.s.decode(errors="replace")
        if given not in words:
            raise InvalidNode(
                f"has the {name} {given!r:.40}, which is none of {', '.join(filter(None, words))}"
            )


def _check_names(node: onnx.NodeProto, opset: int) -> None:
    if not onnx.defs.has(node.op_type, opset):
        return
    schema = onnx.defs.get_schema(node.op_type, opset)
    for attribute in node.attribute:
        name = attribute.name
        if name in schema.attributes or name.startswith(_INTERNAL):
            continue
        given = any(one.name == name for one in schema.inputs)
        raise InvalidNode(
            f"has the attribute {name}, which opset {opset} does not know: "
            f"{'give it as an input' if given else 'remove it'}, or state the opset that the node "
            "was written for"
        )
