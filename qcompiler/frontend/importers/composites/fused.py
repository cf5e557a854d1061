"""Importers of operators that onnxruntime's optimiser makes of several."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qcompiler.frontend.importers.elementwise.activations import scaled_by
from qcompiler.frontend.importers.elementwise.arithmetic import add
from qcompiler.frontend.importers.elementwise.formulas import apply_formula
from qcompiler.frontend.importers.elementwise.functions import GELU_TANH, gelu, swish
from qcompiler.frontend.importers.elementwise.products import mul
from qcompiler.frontend.importers.views.reshape import mixes_batch
from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.scope import AbstractValue
from qcompiler.ir import Value
from qcompiler.ir.view import Transpose

from .matrices import matmul
from .normalization import layer_normalization


def bias_gelu(node: NodeContext) -> Value:
    """BiasGelu, and FastGelu, which is approximated by tanh; its bias may be left out."""
    inner = node
    if node.item(1) is not None:
        inner = replace(node, inputs=(add(node.within("biased")),))
    return gelu(inner) if node.op_type.endswith("BiasGelu") else apply_formula(inner, GELU_TANH)


def quick_gelu(node: NodeContext) -> Value:
    """QuickGelu: ``x sigmoid(alpha x)``."""
    return apply_formula(node, f"x x {node.real('alpha', 1.702)!r} * sigmoid *")


def swiglu(node: NodeContext) -> Value:
    """SwiGLU: the swish of one value, times another."""
    gate = swish(node.within("gate"))
    return mul(replace(node, inputs=(gate, node.item(1))))


def skip_layer_normalization(node: NodeContext) -> tuple[Value | KnownArray, ...]:
    """SkipLayerNormalization and its simplified form: of a sum, which is the fourth result."""
    simplified = "Simplified" in node.op_type
    bias = node.item(3 if simplified else 4)
    total = node.within("sum")
    if len(node.outputs) > 3 and node.outputs[3]:
        total = replace(node, outputs=(node.outputs[3],))
    inputs: tuple[AbstractValue, ...] = node.inputs[:2]
    if bias is not None:
        inputs = add(replace(total.within("skip"), inputs=inputs)), bias
    found = add(replace(total, inputs=inputs))
    kind = "RMSNormalization" if simplified else "LayerNormalization"
    given = (found, *node.inputs[2 : 3 if simplified else 4])
    inner = replace(node, op_type=kind, inputs=given, outputs=node.outputs[:1])
    (result, *_) = layer_normalization(inner)
    if len(node.outputs) < 4:
        return (result,)
    return result, found, found, found  # of which only the last one is told


def fused_matmul(node: NodeContext) -> Value:
    """FusedMatMul: the last two axes of a factor may be exchanged, and the product scaled."""
    flags = [bool(node.integer(f"trans{name}", 0)) for name in "AB"]
    given = (node.item(0), node.item(1))
    inputs = tuple(_turned(node, x) if turn else x for x, turn in zip(given, flags, strict=True))
    product = matmul(replace(node.within("product"), inputs=inputs))
    return scaled_by(node, product, np.asarray(node.real("alpha", 1.0), np.float32))


def _turned(node: NodeContext, x: AbstractValue) -> AbstractValue:
    if isinstance(x, KnownArray):
        return x.changed(lambda array: array.swapaxes(-1, -2), f"{x.name}.turned")
    if not isinstance(x, Value) or len(x.type.shape) < 2:
        raise mixes_batch(node)
    rank = len(x.type.shape)
    return node.part("turned", Transpose((*range(rank - 2), rank - 1, rank - 2)), x)
