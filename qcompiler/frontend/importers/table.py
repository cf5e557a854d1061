"""Which function imports which ONNX operator: each takes a `NodeContext`, returns its results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from qcompiler.frontend.importers.composites.attention import (
    attention,
    multi_head_attention,
    packed_attention,
)
from qcompiler.frontend.importers.composites.fused import (
    bias_gelu,
    fused_matmul,
    quick_gelu,
    skip_layer_normalization,
    swiglu,
)
from qcompiler.frontend.importers.composites.matrices import einsum, gemm, matmul, two_values
from qcompiler.frontend.importers.composites.normalization import (
    group_normalization,
    instance_normalization,
    layer_normalization,
    local_response_normalization,
    lp_normalization,
    mean_variance_normalization,
)
from qcompiler.frontend.importers.composites.softmax import behind_mask, softmax
from qcompiler.frontend.importers.elementwise.activations import arg_max, clip, neg, relu
from qcompiler.frontend.importers.elementwise.arithmetic import add, concat, mean, sub, total
from qcompiler.frontend.importers.elementwise.choices import comparison, logic, where
from qcompiler.frontend.importers.elementwise.equality import equality
from qcompiler.frontend.importers.elementwise.functions import (
    absolute,
    elu,
    gelu,
    hard_sigmoid,
    leaky_relu,
    minimum_maximum,
    modulo,
    power,
    shrink,
    swish,
    thresholded_relu,
    unary_function,
)
from qcompiler.frontend.importers.elementwise.masks import chooses_mask
from qcompiler.frontend.importers.elementwise.products import div, mul
from qcompiler.frontend.importers.layers.categories import label_encoder, one_hot_encoder
from qcompiler.frontend.importers.layers.einsum import cumsum
from qcompiler.frontend.importers.layers.linear import batchnorm, conv
from qcompiler.frontend.importers.layers.norms import reduce_function, reduce_log_sum_exp
from qcompiler.frontend.importers.layers.pooling import (
    average_pool,
    global_average_pool,
    global_max_pool,
    max_pool,
    reduce,
    sorts,
    top_k,
)
from qcompiler.frontend.importers.layers.recurrent import recurrent
from qcompiler.frontend.importers.layers.resize import resize
from qcompiler.frontend.importers.layers.sklearn import (
    array_feature_extractor,
    imputer,
    linear_classifier,
    linear_regressor,
    normalizer,
    scaler,
)
from qcompiler.frontend.importers.layers.transposed_conv import conv_transpose
from qcompiler.frontend.importers.quantised.linear import (
    conv_integer,
    dequantize_linear,
    dynamic_quantize_linear,
    mat_mul_integer,
    quantize_linear,
)
from qcompiler.frontend.importers.quantised.operators import (
    dynamic_quantize_matmul,
    mat_mul_integer_to_float,
    qgemm,
    qlinear_add,
    qlinear_average_pool,
    qlinear_concat,
    qlinear_conv,
    qlinear_global_average_pool,
    qlinear_leaky_relu,
    qlinear_matmul,
    qlinear_mul,
    qlinear_reduce_mean,
    qlinear_sigmoid,
    qlinear_softmax,
)
from qcompiler.frontend.importers.quantised.qonnx import bipolar_quant, quant, trunc
from qcompiler.frontend.importers.views.embedding import is_look_up
from qcompiler.frontend.importers.views.movement import rearrange, scatter_or_where
from qcompiler.frontend.importers.views.passthrough import cast, cast_like, dropout, identity, pad
from qcompiler.frontend.importers.views.reshape import (
    flatten,
    reshape,
    squeeze,
    unsqueeze,
)
from qcompiler.frontend.importers.views.slicing import gather, slice_, split
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.ir import Value

from . import batch_along_axes, batch_axis, batch_places, batch_rows_and_images

Importer: TypeAlias = batch_places.Importer

# Computed by the host on the decoded outputs, so nothing but views may follow.
HOST: Mapping[str, Importer] = {
    "ArgMax": arg_max,
    "ArgMin": arg_max,
    "LogSoftmax": softmax,
    "Softmax": softmax,
    "ai.onnx.ml.LinearClassifier": linear_classifier,
    "com.microsoft.QLinearSoftmax": qlinear_softmax,
}

# What only moves values: no neurons, and it may follow an operator of `HOST`.
VIEWS: Mapping[str, Importer] = {
    "Cast": cast,
    "CastLike": cast_like,
    "CenterCropPad": rearrange,
    "Compress": rearrange,
    "Concat": concat,
    "DepthToSpace": rearrange,
    "Dropout": dropout,
    "Expand": rearrange,
    "Flatten": flatten,
    "Gather": gather,
    "GatherElements": rearrange,
    "GatherND": rearrange,
    "Identity": identity,
    "Reshape": reshape,
    "ReverseSequence": rearrange,
    "Slice": slice_,
    "SpaceToDepth": rearrange,
    "Split": split,
    "Squeeze": squeeze,
    "Tile": rearrange,
    "Transpose": batch_axis.transpose,
    "Unsqueeze": unsqueeze,
    "ai.onnx.ml.ArrayFeatureExtractor": array_feature_extractor,
    "ai.onnx.ml.Normalizer": normalizer,
}

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
    "com.microsoft.BiasGelu": bias_gelu,
    "com.microsoft.FastGelu": bias_gelu,
    "com.microsoft.Gelu": gelu,
    "com.microsoft.QuickGelu": quick_gelu,
}

# Everything else: it becomes synapses and populations.
LAYERS: Mapping[str, Importer] = {
    "Add": add,
    "Attention": attention,
    "AveragePool": average_pool,
    "BatchNormalization": batchnorm,
    "Clip": clip,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "CumSum": cumsum,
    "Div": div,
    "Einsum": einsum,
    "Gemm": gemm,
    "GlobalAveragePool": global_average_pool,
    "GRU": recurrent,
    "GlobalMaxPool": global_max_pool,
    "GroupNormalization": group_normalization,
    "InstanceNormalization": instance_normalization,
    "LRN": local_response_normalization,
    "LSTM": recurrent,
    "LayerNormalization": layer_normalization,
    "LpNormalization": lp_normalization,
    "MatMul": matmul,
    "MaxPool": max_pool,
    "Max": minimum_maximum,
    "Mean": mean,
    "MeanVarianceNormalization": mean_variance_normalization,
    "Min": minimum_maximum,
    "Mul": mul,
    "Neg": neg,
    "Pad": pad,
    "RMSNormalization": layer_normalization,
    "RNN": recurrent,
    "ReduceL1": reduce_function,
    "ReduceL2": reduce_function,
    "ReduceLogSum": reduce_function,
    "ReduceLogSumExp": reduce_log_sum_exp,
    "ReduceMax": reduce,
    "ReduceMean": reduce,
    "ReduceMin": reduce,
    "ReduceSum": reduce,
    "ReduceSumSquare": reduce_function,
    "Relu": relu,
    "Resize": resize,
    "ScatterElements": scatter_or_where,
    "ScatterND": scatter_or_where,
    "SimplifiedLayerNormalization": layer_normalization,
    "Sub": sub,
    "Sum": total,
    "SwiGLU": swiglu,
    "TopK": top_k,
    "Trilu": rearrange,
    "Upsample": resize,
    "Where": where,
    "ai.onnx.ml.Imputer": imputer,
    "ai.onnx.ml.LabelEncoder": label_encoder,
    "ai.onnx.ml.LinearRegressor": linear_regressor,
    "ai.onnx.ml.OneHotEncoder": one_hot_encoder,
    "ai.onnx.ml.Scaler": scaler,
    "com.microsoft.Attention": packed_attention,
    "com.microsoft.FusedMatMul": fused_matmul,
    "com.microsoft.MultiHeadAttention": multi_head_attention,
    "com.microsoft.SkipLayerNormalization": skip_layer_normalization,
    "com.microsoft.SkipSimplifiedLayerNormalization": skip_layer_normalization,
}

_QONNX = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")
_QUANTS: Mapping[str, Importer] = {
    "BipolarQuant": bipolar_quant,
    "IntQuant": quant,
    "Quant": quant,
    "Trunc": trunc,
}

# Rounding of a quantised model: the codes of populations.
QUANTISED: Mapping[str, Importer] = {
    "ConvInteger": conv_integer,
    "DequantizeLinear": dequantize_linear,
    "DynamicQuantizeLinear": dynamic_quantize_linear,
    "MatMulInteger": mat_mul_integer,
    "QLinearConv": qlinear_conv,
    "QLinearMatMul": qlinear_matmul,
    "QuantizeLinear": quantize_linear,
    "com.microsoft.DynamicQuantizeMatMul": dynamic_quantize_matmul,
    "com.microsoft.MatMulIntegerToFloat": mat_mul_integer_to_float,
    "com.microsoft.QGemm": qgemm,
    "com.microsoft.QLinearAdd": qlinear_add,
    "com.microsoft.QLinearAveragePool": qlinear_average_pool,
    "com.microsoft.QLinearConcat": qlinear_concat,
    "com.microsoft.QLinearConv": qlinear_conv,
    "com.microsoft.QLinearGlobalAveragePool": qlinear_global_average_pool,
    "com.microsoft.QLinearLeakyRelu": qlinear_leaky_relu,
    "com.microsoft.QLinearMul": qlinear_mul,
    "com.microsoft.QLinearReduceMean": qlinear_reduce_mean,
    "com.microsoft.QLinearSigmoid": qlinear_sigmoid,
    **{f"{domain}.{name}": found for domain in _QONNX for name, found in _QUANTS.items()},
}

# Of these a quantised weight is made.
CONSTANT_QUANTS = frozenset(f"{domain}.{name}" for domain in _QONNX for name in _QUANTS)

AFTER_HOST = frozenset({*VIEWS, *HOST, "DequantizeLinear", "QuantizeLinear"})
CASTS = frozenset({"Cast", "CastLike"})

# What may read real numbers that were cast to integers, as it tells only a few integers apart.
ENCODERS = frozenset({"ai.onnx.ml.LabelEncoder", "ai.onnx.ml.OneHotEncoder"})

# Apart from views, what may read integers and booleans that depend on the data.
TAKES_INTEGERS = frozenset(
    {
        *(
            "And",
            "Equal",
            "Greater",
            "GreaterOrEqual",
            "Less",
            "LessOrEqual",
            "Not",
            "Or",
            "Where",
            "Xor",
        ),
        *QUANTISED,
        *(name for name in LAYERS if name.startswith("ai.onnx.ml.")),
        "ai.onnx.ml.LinearClassifier",
    }
)

UNROLLED = frozenset({"If", "Loop", "Scan"})  # whose bodies are imported

IMPORTERS: Mapping[str, Importer] = {
    **FUNCTIONS,
    **LAYERS,
    **VIEWS,
    **HOST,
    **QUANTISED,
}

_ELEMENTWISE_LAYERS = [
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
    "SwiGLU",
]

_SCALAR = ["DequantizeLinear", "Dropout", "Identity", "QuantizeLinear"]

ELEMENTWISE = frozenset({*FUNCTIONS, *_ELEMENTWISE_LAYERS, *_SCALAR})

# How a node is read if the batch axis of its inputs does not stand first.
_ADAPTERS: Mapping[str, batch_places.Adapter] = {
    **dict.fromkeys(FUNCTIONS, batch_axis.elementwise),
    **dict.fromkeys(_ELEMENTWISE_LAYERS, batch_axis.elementwise),
    **dict.fromkeys(
        (name for name, found in IMPORTERS.items() if found in (rearrange, scatter_or_where)),
        batch_places.same_batch_axis,
    ),
    "ArgMax": batch_along_axes.arg_max,
    "AveragePool": batch_rows_and_images.side_by_side,
    "BatchNormalization": batch_rows_and_images.side_by_side,
    "Concat": batch_axis.concat,
    "Conv": batch_rows_and_images.side_by_side,
    "ConvTranspose": batch_rows_and_images.side_by_side,
    **dict.fromkeys(_SCALAR, batch_places.same_batch_axis),
    "Flatten": batch_axis.any_batch_axis,
    "GRU": batch_axis.any_batch_axis,
    "Gather": batch_along_axes.gather,
    "Gemm": batch_rows_and_images.gemm,
    "GlobalAveragePool": batch_rows_and_images.side_by_side,
    "GlobalMaxPool": batch_rows_and_images.side_by_side,
    "LSTM": batch_axis.any_batch_axis,
    "LayerNormalization": batch_along_axes.last_axes,
    "LogSoftmax": batch_along_axes.softmax,
    "MatMul": batch_rows_and_images.matmul,
    "LpNormalization": batch_along_axes.softmax,
    "MaxPool": batch_rows_and_images.side_by_side,
    "Pad": batch_along_axes.pad,
    "RMSNormalization": batch_along_axes.last_axes,
    "RNN": batch_axis.any_batch_axis,
    **{name: batch_along_axes.reduce for name in LAYERS if name.startswith("Reduce")},
    "Reshape": batch_axis.any_batch_axis,
    "Resize": batch_rows_and_images.resize,
    "SimplifiedLayerNormalization": batch_along_axes.last_axes,
    "Slice": batch_along_axes.slice_,
    "Softmax": batch_along_axes.softmax,
    "Split": batch_along_axes.split,
    "Squeeze": batch_axis.any_batch_axis,
    "Transpose": batch_axis.any_batch_axis,
    "Unsqueeze": batch_axis.any_batch_axis,
    "Upsample": batch_rows_and_images.resize,
}


def on_host(node: NodeContext) -> bool:
    """Whether the host computes the result of a node: not that of a softmax behind a mask."""
    if sorts(node):
        return True
    return node.op_type in HOST and not (HOST[node.op_type] is softmax and behind_mask(node))


def follows_host(node: NodeContext) -> bool:
    """Whether the host may compute a node that reads what the host has computed."""
    return node.op_type in AFTER_HOST or sorts(node)


def looks_up(node: NodeContext) -> bool:
    """Whether the host looks the result up in front of the network."""
    return node.op_type == "Gather" and is_look_up(node)


def imported(op_type: str, node: NodeContext) -> batch_places.Results:
    """The results of a node, wherever the batch axis of its inputs stands."""
    adapter = _ADAPTERS.get(op_type, batch_places.batch_first)
    if op_type == "Where" and (isinstance(node.item(0), Value) or chooses_mask(node)):
        adapter = batch_axis.elementwise
    if looks_up(node):
        adapter = batch_places.same_batch_axis
    if op_type == "MatMul" and two_values(node):
        adapter = batch_rows_and_images.matrices
    if op_type == "Gemm" and two_values(node):
        adapter = batch_places.same_batch_axis
    return batch_axis.import_with(adapter, IMPORTERS[op_type], node)
