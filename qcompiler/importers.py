"""Which function imports which ONNX operator; every one takes a `Step` and gives its results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from qcompiler.ir import Value

from .importers_branch import add, concat, mean, sub, total
from .importers_function import (
    absolute,
    elu,
    extreme,
    gelu,
    hard_sigmoid,
    leaky_relu,
    mul,
    plain,
    power,
    swish,
)
from .importers_linear import batchnorm, conv, gemm, matmul
from .importers_ml import array_feature_extractor, scaler
from .importers_move import move, put
from .importers_part import gather, slice_, split
from .importers_plain import cast, cast_like, dropout, identity, pad
from .importers_pool import (
    average_pool,
    global_average_pool,
    global_max_pool,
    max_pool,
    reduce,
)
from .importers_recurrent import recurrent
from .importers_resize import resize
from .importers_scalar import arg_max, clip, div, neg, relu, softmax
from .importers_sums import cumulative, einsum
from .importers_transposed import conv_transpose
from .importers_view import flatten, mixes_batch, reshape, squeeze, unsqueeze
from .moved import MOVED, transpose
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
    "CenterCropPad": move,
    "Compress": move,
    "Concat": concat,
    "DepthToSpace": move,
    "Dropout": dropout,
    "Expand": move,
    "Flatten": flatten,
    "Gather": gather,
    "GatherElements": move,
    "GatherND": move,
    "Identity": identity,
    "Reshape": reshape,
    "ReverseSequence": move,
    "Slice": slice_,
    "SpaceToDepth": move,
    "Split": split,
    "Squeeze": squeeze,
    "Tile": move,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
    "ai.onnx.ml.ArrayFeatureExtractor": array_feature_extractor,
}

# Functions of one variable.
FUNCTIONS: Mapping[str, Importer] = {
    "Abs": absolute,
    "Celu": elu,
    "Elu": elu,
    "Erf": plain,
    "Exp": plain,
    "Gelu": gelu,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": plain,
    "LeakyRelu": leaky_relu,
    "Log": plain,
    "Mish": plain,
    "PRelu": leaky_relu,
    "Pow": power,
    "Reciprocal": plain,
    "Selu": elu,
    "Sigmoid": plain,
    "Softplus": plain,
    "Softsign": plain,
    "Sqrt": plain,
    "Swish": swish,
    "Tanh": plain,
}

LAYERS: Mapping[str, Importer] = {
    "Add": add,
    "AveragePool": average_pool,
    "BatchNormalization": batchnorm,
    "Clip": clip,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "CumSum": cumulative,
    "Div": div,
    "Einsum": einsum,
    "Gemm": gemm,
    "GlobalAveragePool": global_average_pool,
    "GRU": recurrent,
    "GlobalMaxPool": global_max_pool,
    "LSTM": recurrent,
    "MatMul": matmul,
    "MaxPool": max_pool,
    "Max": extreme,
    "Mean": mean,
    "Min": extreme,
    "Mul": mul,
    "Neg": neg,
    "Pad": pad,
    "RNN": recurrent,
    "ReduceMax": reduce,
    "ReduceMean": reduce,
    "ReduceSum": reduce,
    "Relu": relu,
    "Resize": resize,
    "ScatterElements": put,
    "ScatterND": put,
    "Sub": sub,
    "Sum": total,
    "Trilu": move,
    "Upsample": resize,
    "Where": put,
    "ai.onnx.ml.Scaler": scaler,
}

IMPORTERS: Mapping[str, Importer] = {**FUNCTIONS, **LAYERS, **VIEWS, **HOST}

_CELLS = frozenset({"GRU", "LSTM", "RNN"})


def importer(op_type: str, moved: bool) -> Importer:
    """The importer of an operator; ``moved`` says that the batch axis of an input is not first."""
    if not moved or op_type in _CELLS:
        return IMPORTERS[op_type]
    return MOVED.get(op_type, _mixes)


def _mixes(step: Step) -> Value:
    raise mixes_batch(step)
