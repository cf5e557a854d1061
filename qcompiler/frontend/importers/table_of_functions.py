"""Importers of functions of one variable, which are lowered to line segments."""

from __future__ import annotations

from collections.abc import Mapping

from qcompiler.frontend.importers.composites.fused import bias_gelu, quick_gelu
from qcompiler.frontend.importers.elementwise.choices import logic
from qcompiler.frontend.importers.elementwise.conditions import comparison
from qcompiler.frontend.importers.elementwise.equality import equality
from qcompiler.frontend.importers.elementwise.functions import (
    absolute,
    binarizer,
    elu,
    gelu,
    hard_sigmoid,
    leaky_relu,
    modulo,
    power,
    shrink,
    swish,
    thresholded_relu,
    unary_function,
)

from .batch_places import Importer

# Functions of one variable: lowered to line segments, element by element.
FUNCTIONS: Mapping[str, Importer] = {
    "Abs": absolute,
    "Acos": unary_function,
    "Acosh": unary_function,
    "And": logic,
    "Asin": unary_function,
    "Asinh": unary_function,
    "Atan": unary_function,
    "Atanh": unary_function,
    "Ceil": unary_function,
    "Celu": elu,
    "Cos": unary_function,
    "Cosh": unary_function,
    "Elu": elu,
    "Erf": unary_function,
    "Equal": equality,
    "Exp": unary_function,
    "Floor": unary_function,
    "Gelu": gelu,
    "Greater": comparison,
    "GreaterOrEqual": comparison,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": unary_function,
    "LeakyRelu": leaky_relu,
    "Less": comparison,
    "LessOrEqual": comparison,
    "Log": unary_function,
    "Mish": unary_function,
    "Mod": modulo,
    "Not": logic,
    "Or": logic,
    "PRelu": leaky_relu,
    "Pow": power,
    "Reciprocal": unary_function,
    "Round": unary_function,
    "Selu": elu,
    "Shrink": shrink,
    "Sigmoid": unary_function,
    "Sign": unary_function,
    "Sin": unary_function,
    "Sinh": unary_function,
    "Softplus": unary_function,
    "Softsign": unary_function,
    "Sqrt": unary_function,
    "Swish": swish,
    "Tanh": unary_function,
    "ThresholdedRelu": thresholded_relu,
    "Xor": logic,
    "ai.onnx.ml.Binarizer": binarizer,
    "com.microsoft.BiasGelu": bias_gelu,
    "com.microsoft.FastGelu": bias_gelu,
    "com.microsoft.Gelu": gelu,
    "com.microsoft.QuickGelu": quick_gelu,
}
