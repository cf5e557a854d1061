"""Importers of functions of one variable."""

from __future__ import annotations

from dataclasses import replace
from math import pi

import numpy as np

from qcompiler.frontend.model.constant_folding import KnownArray, merge
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import Refused
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.ir import Value
from qcompiler.ir.ann import Add, Clip

from .activations import constant_and_value, constant_for, scaled_by, spread
from .arithmetic import affine
from .formulas import apply_formula

_GELU = "x 0.5 * x {} * erf 1 + *"
GELU_TANH = "x 0.5 * x x x * x * 0.044715 * + 0.7978845608028654 * tanh 1 + *"
_EXP = "x 0 min {} exp 1 - {} * x 0 max + {} *"

# Functions without attributes that matter.
_UNARY = {
    "Acos": f"{pi / 2!r} x asin -",
    "Acosh": "x x x * 1 - sqrt + log",
    "Asin": "x asin",
    "Asinh": "x asinh",
    "Atan": "x atan",
    "Ceil": "x ceil",
    "Atanh": "1 x + 1 x - / log 0.5 *",
    "Cos": "x cos",
    "Cosh": "x exp 0 x - exp + 0.5 *",
    "Erf": "x erf",
    "Exp": "x exp",
    "Floor": "x floor",
    "HardSwish": "x x 6 / 0.5 + 0 max 1 min *",
    "Log": "x log",
    "Mish": "x x softplus tanh *",
    "Reciprocal": "1 x /",
    "Round": "x round",
    "Sigmoid": "x sigmoid",
    "Sign": "x 0 > 0 x > -",
    "Sin": "x sin",
    "Sinh": "x exp 0 x - exp - 0.5 *",
    "Softplus": "x softplus",
    "Softsign": "x x abs 1 + /",
    "Sqrt": "x sqrt",
    "Tanh": "x tanh",
}


def unary_function(node: NodeContext) -> Value:
    """A function without attributes."""
    return apply_formula(node, _UNARY[node.op_type])


def elu(node: NodeContext) -> Value:
    """Elu, Selu and Celu: ``gamma (max(x, 0) + alpha (exp(min(x, 0)) - 1))``."""
    if node.op_type == "Selu":
        alpha, gamma = node.real("alpha", 1.67326319), node.real("gamma", 1.05070102)
    else:
        alpha, gamma = node.real("alpha", 1.0), 1.0
    inner = f"{alpha!r} /" if node.op_type == "Celu" else ""
    return apply_formula(node, _EXP.format(inner, repr(alpha), repr(gamma)))


def gelu(node: NodeContext) -> Value:
    """Gelu, exact or approximated by tanh."""
    if node.text("approximate", "none") == "tanh":
        return apply_formula(node, GELU_TANH)
    return apply_formula(node, _GELU.format(repr(0.5**0.5)))


def swish(node: NodeContext) -> Value:
    """Swish: ``x sigmoid(alpha x)``."""
    return apply_formula(node, f"x x {node.real('alpha', 1.0)!r} * sigmoid *")


def shrink(node: NodeContext) -> Value:
    """Shrink: zero within ``lambd`` of zero; beyond it the bias brings values nearer to zero."""
    edge, bias = node.real("lambd", 0.5), node.real("bias", 0.0)
    if edge == bias >= 0:  # nothing jumps
        return apply_formula(node, f"x {edge!r} - 0 max x {edge!r} + 0 min +")
    above = f"x {edge!r} > x {bias!r} - 0 where"
    return apply_formula(node, f"{-edge!r} x > x {bias!r} + {above} where")


def thresholded_relu(node: NodeContext) -> Value:
    """ThresholdedRelu: values above ``alpha``, else zero."""
    return apply_formula(node, f"x {node.real('alpha', 1.0)!r} > x 0 where")


def binarizer(node: NodeContext) -> Value:
    """Binarizer of scikit-learn: 1 above the threshold, else 0."""
    return apply_formula(node, f"x {node.real('threshold', 0.0)!r} >")


def modulo(node: NodeContext) -> Value:
    """Mod by a constant, with the sign of the dividend as in C, or without fmod of the divisor."""
    _, divisor = node.weight(1, "divisor")
    if divisor.size != 1 or not (number := float(divisor.reshape(-1)[0])):
        raise Refused("Mod is only supported by one number that is not 0")
    share = f"x {number!r} /"
    whole = f"{share} floor"
    if node.integer("fmod", 0):
        whole = f"{share} 0 >= {whole} {share} ceil where"
    return apply_formula(node, f"x {whole} {number!r} * -")


def power(node: NodeContext) -> Value:
    """Pow of the data to a constant exponent, or of a constant to the data."""
    if all(isinstance(node.item(index), Value) for index in (0, 1)):
        raise Refused("Pow of two values that depend on the data is not supported")
    exponent = node.item(1)
    if isinstance(exponent, KnownArray) and exponent.arrays[0].dtype.kind in "iu":
        real = merge([array.astype(np.float32) for array in exponent.arrays], exponent.name)
        node = replace(node, inputs=(node.item(0), real))
    first, array, x = constant_and_value(node)
    if array.size != 1:
        raise Refused("Pow with several exponents is not supported", "use one exponent for all")
    number, alone = float(array.reshape(-1)[0]), replace(node, inputs=(x,))
    if not first and number == 2:
        return apply_formula(alone, "x x *")
    return apply_formula(alone, f"{number!r} x ^" if first else f"x {number!r} ^")


def leaky_relu(node: NodeContext) -> Value:
    """LeakyRelu and PRelu: ``max(x, 0) + slope min(x, 0)``."""
    x = node.activation()
    if node.op_type == "PRelu":
        known, array = node.weight(1, "slope")
        channels, *space = x.type.shape
        if array.shape == (channels,) and space and space[-1] != channels:
            array = array.reshape(-1, *(1 for _ in space))  # as PRelu had it before opset 7
            known = KnownArray((array,) * len(known.arrays), known.name)
        slope, shape = constant_for(node, known, x)
        x = spread(node, x, shape)
    else:
        slope = np.asarray(node.real("alpha", 0.01), np.float32)
    return _two_slopes(node, x, slope)


def absolute(node: NodeContext) -> Value:
    """Abs: ``max(x, 0) - min(x, 0)``."""
    return _two_slopes(node, node.activation(), np.asarray(-1, np.float32))


def _two_slopes(node: NodeContext, x: Value, slope: Array) -> Value:
    above = node.part("above", Clip(0.0), x)
    below = node.part("below", Clip(None, 0.0), x)
    return node.add(Add(), above, scaled_by(node, below, slope, "slope"))


def hard_sigmoid(node: NodeContext) -> Value:
    """HardSigmoid: a clip between an affine map and the next layer."""
    alpha, beta = node.real("alpha", 0.2), node.real("beta", 0.5)
    x = affine(node, node.activation(), alpha, np.asarray(beta, np.float32), "line")
    return node.add(Clip(0.0, 1.0), x)
