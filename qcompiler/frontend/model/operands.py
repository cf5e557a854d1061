"""Operands that ONNX requires: without them its own inference of types may end the process."""

from __future__ import annotations

import onnx
from onnx.defs import OpSchema

_DOMAINS = {"": "", "ai.onnx": "", "ai.onnx.ml": "ai.onnx.ml"}
_OPTION = OpSchema.FormalParameterOption


def missing_operand(node: onnx.NodeProto, opset: int) -> int | None:
    """The place of the first operand that a standard operator lacks; None if it has all.

    What only some opsets require may be left out. An empty name gives no operand, nor one of any
    number of them.
    """
    schemas = _schemas(node, opset)
    longest = max([len(node.input), *(len(schema.inputs) for schema in schemas)])
    for place in range(longest if schemas else 0):
        named = place < len(node.input)
        if named and node.input[place]:
            continue
        if all(_requires(schema, place, named) for schema in schemas):
            return place
    return None


def _schemas(node: onnx.NodeProto, opset: int) -> list[OpSchema]:
    """What defines an operator in the model's opset, and in the newest."""
    domain, newest = _DOMAINS.get(node.domain), onnx.defs.onnx_opset_version()
    if domain is None:
        return []
    return [
        onnx.defs.get_schema(node.op_type, version, domain)
        for version in ({newest} if domain else {opset, newest})
        if onnx.defs.has(node.op_type, version, domain)
    ]


def _requires(schema: OpSchema, place: int, named: bool) -> bool:
    """Whether an operator cannot be without this operand, of which at most an empty name stands."""
    options = [operand.option for operand in schema.inputs]
    if place < len(options) and options[place] != _OPTION.Variadic:
        return bool(options[place] == _OPTION.Single)
    variadic = bool(options) and options[-1] == _OPTION.Variadic
    return variadic and (named or place < schema.min_input)
