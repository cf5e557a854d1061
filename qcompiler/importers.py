"""Which function imports which ONNX operator; every one takes a `Step` and gives its results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from qcompiler.ir import Value

from .importers_branch import add, concat, mean, sub, total
from .importers_linear import batchnorm, conv, gemm, matmul
from .importers_part import gather, slice_, split
from .importers_plain import cast, cast_like, dropout, identity, pad
from .importers_pool import (
    average_pool,
    global_average_pool,
    global_max_pool,
    max_pool,
    reduce,
)
from .importers_scalar import arg_max, clip, div, mul, neg, relu, softmax
from .importers_view import flatten, reshape, squeeze, transpose, unsqueeze
from .step import Step

Importer: TypeAlias = Callable[[Step], "Value | tuple[Value, ...]"]

# Done on the decoded outputs, so nothing but views may follow.
HOST: Mapping[str, Importer] = {
    "ArgMax": arg_max,
    "LogSoftmax": softmax,
    "Softmax": softmax,
}

# What may follow them.
VIEWS: Mapping[str, Importer] = {
    "Cast": cast,
    "CastLike": cast_like,
    "Concat": concat,
    "Dropout": dropout,
    "Flatten": flatten,
    "Gather": gather,
    "Identity": identity,
    "Reshape": reshape,
    "Slice": slice_,
    "Split": split,
    "Squeeze": squeeze,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}

LAYERS: Mapping[str, Importer] = {
    "Add": add,
    "AveragePool": average_pool,
    "BatchNormalization": batchnorm,
    "Clip": clip,
    "Conv": conv,
    "Div": div,
    "Gemm": gemm,
    "GlobalAveragePool": global_average_pool,
    "GlobalMaxPool": global_max_pool,
    "MatMul": matmul,
    "MaxPool": max_pool,
    "Mean": mean,
    "Mul": mul,
    "Neg": neg,
    "Pad": pad,
    "ReduceMax": reduce,
    "ReduceMean": reduce,
    "ReduceSum": reduce,
    "Relu": relu,
    "Sub": sub,
    "Sum": total,
}

IMPORTERS: Mapping[str, Importer] = {**LAYERS, **VIEWS, **HOST}
