"""Importers of functions of one variable, and of maxima and products of several values."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from math import pi

import numpy as np

from qcompiler.frontend.model.constant_folding import Known, merge
from qcompiler.frontend.model.node_context import Broken, Refused, Step
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.frontend.model.refusals import TWO
from qcompiler.ir import Value
from qcompiler.ir.ann import Add, Clip, Function, Multiply
from qcompiler.passes.lower_activations import product_neurons

from .activations import affine_by, constant_for, pair
from .arithmetic import affine, spread
from .formulas import applied, formulas

_GELU = "x 0.5 * x {} * erf 1 + *"
_GELU_TANH = "x 0.5 * x x x * x * 0.044715 * + 0.7978845608028654 * tanh 1 + *"
_ONE_NUMBER = "use one constant for all elements"
_EXP = "x 0 min {} exp 1 - {} * x 0 max + {} *"

# Functions without attributes that matter.
_PLAIN = {
    "Acos": f"{pi / 2!r} x asin -",
    "Acosh": "x x x * 1 - sqrt + log",
    "Asin": "x asin",
    "Asinh": "x asinh",
    "Atan": "x atan",
    "Atanh": "1 x + 1 x - / log 0.5 *",
    "Cosh": "x exp 0 x - exp + 0.5 *",
    "Erf": "x erf",
    "Exp": "x exp",
    "HardSwish": "x x 6 / 0.5 + 0 max 1 min *",
    "Log": "x log",
    "Mish": "x x softplus tanh *",
    "Reciprocal": "1 x /",
    "Sigmoid": "x sigmoid",
    "Sinh": "x exp 0 x - exp - 0.5 *",
    "Softplus": "x softplus",
    "Softsign": "x x abs 1 + /",
    "Sqrt": "x sqrt",
    "Tanh": "x tanh",
}


def plain(step: Step) -> Value:
    """A function without attributes."""
    return applied(step, _PLAIN[step.op_type])


def elu(step: Step) -> Value:
    """Elu, Selu and Celu: ``gamma (max(x, 0) + alpha (exp(min(x, 0)) - 1))``."""
    if step.op_type == "Selu":
        alpha, gamma = step.real("alpha", 1.67326319), step.real("gamma", 1.05070102)
    else:
        alpha, gamma = step.real("alpha", 1.0), 1.0
    inner = f"{alpha!r} /" if step.op_type == "Celu" else ""
    return applied(step, _EXP.format(inner, repr(alpha), repr(gamma)))


def gelu(step: Step) -> Value:
    """Gelu, exact or approximated by tanh."""
    if step.text("approximate", "none") == "tanh":
        return applied(step, _GELU_TANH)
    return applied(step, _GELU.format(repr(0.5**0.5)))


def swish(step: Step) -> Value:
    """Swish: ``x sigmoid(alpha x)``."""
    return applied(step, f"x x {step.real('alpha', 1.0)!r} * sigmoid *")


def power(step: Step) -> Value:
    """Pow of the data to a constant exponent, or of a constant to the data."""
    if all(isinstance(step.item(index), Value) for index in (0, 1)):
        raise Refused("Pow of two values that depend on the data is not supported")
    exponent = step.item(1)
    if isinstance(exponent, Known) and exponent.arrays[0].dtype.kind in "iu":
        real = merge([array.astype(np.float32) for array in exponent.arrays], exponent.name)
        step = replace(step, inputs=(step.item(0), real))
    first, array, _ = pair(step)
    if array.size != 1:
        raise Refused("Pow with several exponents is not supported", "use one exponent for all")
    number = float(array.reshape(-1)[0])
    if not first and number == 2:
        return applied(step, "x x *", 0)
    return applied(step, f"{number!r} x ^" if first else f"x {number!r} ^", int(first))


def leaky_relu(step: Step) -> Value:
    """LeakyRelu and PRelu: ``max(x, 0) + slope min(x, 0)``."""
    x = step.activation()
    if step.op_type == "PRelu":
        known, array = step.weight(1, "slope")
        channels, *space = x.type.shape
        if array.shape == (channels,) and space and space[-1] != channels:
            array = array.reshape(-1, *(1 for _ in space))  # as PRelu had it before opset 7
            known = Known((array,) * len(known.arrays), known.name)
        slope = constant_for(step, known, x)
    else:
        slope = np.asarray(step.real("alpha", 0.01), np.float32)
    return _two_slopes(step, x, slope)


def absolute(step: Step) -> Value:
    """Abs: ``max(x, 0) - min(x, 0)``."""
    return _two_slopes(step, step.activation(), np.asarray(-1, np.float32))


def _two_slopes(step: Step, x: Value, slope: Array) -> Value:
    above = step.part("above", Clip(0.0), x)
    below = step.part("below", Clip(None, 0.0), x)
    return step.add(Add(), above, affine_by(step, below, slope, "slope"))


def hard_sigmoid(step: Step) -> Value:
    """HardSigmoid: a clip between an affine map and the next layer."""
    alpha, beta = step.real("alpha", 0.2), step.real("beta", 0.5)
    x = affine(step, step.activation(), alpha, np.asarray(beta, np.float32), "line")
    return step.add(Clip(0.0, 1.0), x)


def extreme(step: Step) -> Value:
    """Max and Min of values and constants: ``max(a, b) = b + max(a - b, 0)``."""
    values = [item for item in step.inputs if isinstance(item, Value)]
    known = [item for item in step.inputs if isinstance(item, Known)]
    if len(values) + len(known) != len(step.inputs):
        raise Broken("has an input that is not given")
    shape = np.broadcast_shapes(*(value.type.shape for value in values))
    if any(len(value.type.shape) != len(shape) for value in values):
        raise Refused(f"{step.op_type} of values of different rank is not supported")
    grown = list(dict.fromkeys(spread(step, value, shape) for value in values))
    found = reduce(lambda a, b: _larger(step, a, b), grown)
    for item in known:
        found = _bounded(step, found, constant_for(step, item, found))
    return found


def _half(step: Step) -> Clip:
    return Clip(0.0) if step.op_type == "Max" else Clip(None, 0.0)


def _larger(step: Step, a: Value, b: Value) -> Value:
    minus = affine(step, b, -1.0, np.zeros((), np.float32), "minus")
    clipped = step.part("beyond", _half(step), step.part("difference", Add(), a, minus))
    return step.part("chosen", Add(), b, clipped)


def _bounded(step: Step, x: Value, bound: Array) -> Value:
    if bound.size == 1:
        number = float(bound.reshape(-1)[0])
        return step.part("bound", Clip(number) if step.op_type == "Max" else Clip(None, number), x)
    below = affine(step, x, 1.0, -bound, "below")
    return affine(step, step.part("clip", _half(step), below), 1.0, bound, "bounded")


def mul(step: Step) -> Value:
    """Mul by a constant, of two functions of one variable, or of two values if allowed."""
    a, b = step.item(0), step.item(1)
    if not (isinstance(a, Value) and isinstance(b, Value)):
        _, array, x = pair(step)
        return affine_by(step, x, array)
    (root, first), (other, second) = formulas(step, a), formulas(step, b)
    if root == other:
        return step.add(Function(f"{first} {second} *"), root)
    shape = np.broadcast_shapes(a.type.shape, b.type.shape)
    if not step.scope.allow_products:
        raise _no_product(step, int(np.prod(shape)))
    if len(a.type.shape) != len(shape) or len(b.type.shape) != len(shape):
        raise Refused("Mul of values of different rank is not supported")
    return step.add(Multiply(), spread(step, a, shape), spread(step, b, shape))


def div(step: Step) -> Value:
    """Div by a constant, of a constant by a value, or of two functions of one value."""
    a, b = step.item(0), step.item(1)
    if isinstance(a, Value) and isinstance(b, Value):
        (root, first), (other, second) = formulas(step, a), formulas(step, b)
        if root != other:
            raise Refused(*TWO["Div"])
        return step.add(Function(f"{first} {second} /"), root)
    first_is_constant, array, x = pair(step)
    if first_is_constant:
        if array.size != 1:
            raise Refused("Div of several constants by a value is not supported", _ONE_NUMBER)
        return applied(step, f"{float(array.reshape(-1)[0])!r} x /", 1)
    if not array.all():
        raise Broken("divides by zero")
    return affine_by(step, x, 1 / array.astype(np.float64))


def _no_product(step: Step, size: int) -> Refused:
    return Refused(
        f"{step.op_type} of two values that depend on the data is not supported",
        "--allow-products builds the product from squares, which takes about "
        f"{product_neurons(16) * size:,} neurons for this node at 16 levels and "
        f"{product_neurons(64) * size:,} at 64; or cut the model before this node",
    )
