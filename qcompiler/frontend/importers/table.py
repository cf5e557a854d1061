"""Which function imports which ONNX operator: each takes a `NodeContext`, returns its results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias

from qcompiler.frontend.importers.elementwise.activations import arg_max, clip, neg, relu, softmax
from qcompiler.frontend.importers.elementwise.arithmetic import add, concat, mean, sub, total
from qcompiler.frontend.importers.elementwise.functions import (
    absolute,
    div,
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
from qcompiler.frontend.importers.layers.einsum import cumulative, einsum
from qcompiler.frontend.importers.layers.linear import batchnorm, conv, gemm, matmul
from qcompiler.frontend.importers.layers.pooling import (
    average_pool,
    global_average_pool,
    global_max_pool,
    max_pool,
    reduce,
)
from qcompiler.frontend.importers.layers.recurrent import recurrent
from qcompiler.frontend.importers.layers.resize import resize
from qcompiler.frontend.importers.layers.sklearn import (
    array_feature_extractor,
    linear_classifier,
    linear_regressor,
    normalizer,
    scaler,
)
from qcompiler.frontend.importers.layers.transposed_conv import conv_transpose
from qcompiler.frontend.importers.views.movement import move, put
from qcompiler.frontend.importers.views.passthrough import cast, cast_like, dropout, identity, pad
from qcompiler.frontend.importers.views.reshape import (
    flatten,
    mixes_batch,
    reshape,
    squeeze,
    unsqueeze,
)
from qcompiler.frontend.importers.views.slicing import gather, slice_, split
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.ir import Value

from . import batch_axis

Importer: TypeAlias = Callable[[NodeContext], "Value | tuple[Value, ...]"]

# Done on the decoded outputs, so nothing but views may follow.
HOST: Mapping[str, Importer] = {
    "ArgMax": arg_max,
    "LogSoftmax": softmax,
    "Softmax": softmax,
    "ai.onnx.ml.LinearClassifier": linear_classifier,
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
    "Transpose": batch_axis.transpose,
    "Unsqueeze": unsqueeze,
    "ai.onnx.ml.ArrayFeatureExtractor": array_feature_extractor,
    "ai.onnx.ml.Normalizer": normalizer,
}

# Functions of one variable.
FUNCTIONS: Mapping[str, Importer] = {
    "Abs": absolute,
    "Acos": plain,
    "Acosh": plain,
    "Asin": plain,
    "Asinh": plain,
    "Atan": plain,
    "Atanh": plain,
    "Celu": elu,
    "Cosh": plain,
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
    "Sinh": plain,
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
    "ReduceMin": reduce,
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
    "ai.onnx.ml.LinearRegressor": linear_regressor,
    "ai.onnx.ml.Scaler": scaler,
}

UNROLLED = frozenset({"If", "Loop", "Scan"})  # whose bodies are imported

IMPORTERS: Mapping[str, Importer] = {**FUNCTIONS, **LAYERS, **VIEWS, **HOST}

_ELEMENTWISE = [
    "Add",
    "Cast",
    "CastLike",
    "Clip",
    "Div",
    "Max",
    "Mean",
    "Min",
    "Mul",
    "Neg",
    "Relu",
    "Sub",
    "Sum",
]

ALIKE = frozenset({*FUNCTIONS, *_ELEMENTWISE, "Dropout", "Identity"})

# How what is read is rearranged if its batch axis does not stand first.
_MOVED: Mapping[str, Callable[[Importer, NodeContext], batch_axis.Results]] = {
    **dict.fromkeys(FUNCTIONS, batch_axis.elementwise),
    **dict.fromkeys(_ELEMENTWISE, batch_axis.elementwise),
    **dict.fromkeys((name for name, found in VIEWS.items() if found is move), batch_axis.arranged),
    "Concat": batch_axis.concat,
    "Dropout": batch_axis.arranged,
    "Flatten": batch_axis.anywhere,
    "GRU": batch_axis.anywhere,
    "Gather": batch_axis.gather,
    "Identity": batch_axis.arranged,
    "LSTM": batch_axis.anywhere,
    "MatMul": batch_axis.matmul,
    "RNN": batch_axis.anywhere,
    "ReduceMax": batch_axis.reduce,
    "ReduceMean": batch_axis.reduce,
    "ReduceMin": batch_axis.reduce,
    "ReduceSum": batch_axis.reduce,
    "Reshape": batch_axis.anywhere,
    "Slice": batch_axis.slice_,
    "Split": batch_axis.split,
    "Squeeze": batch_axis.anywhere,
    "Transpose": batch_axis.anywhere,
    "Unsqueeze": batch_axis.anywhere,
}


def importer(op_type: str, node: NodeContext) -> Importer:
    """The importer of an operator, wherever the batch axis of its inputs stands."""
    found = IMPORTERS[op_type]
    values = [item for item in node.inputs if isinstance(item, Value)]
    elsewhere = any(map(node.position, values))
    wrapper = _MOVED.get(op_type, _mixes)
    if wrapper is batch_axis.elementwise:
        elsewhere = elsewhere or batch_axis.enlarged(node)
    return partial(wrapper, found) if elsewhere else found


def _mixes(inner: Importer, node: NodeContext) -> Value:
    raise mixes_batch(node)
