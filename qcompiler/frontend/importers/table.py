"""All operators, and how a node is imported wherever the batch axis of its inputs stands."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from qcompiler.frontend.importers.composites.matrices import two_values
from qcompiler.frontend.importers.elementwise.masks import chooses_mask
from qcompiler.frontend.importers.views.movement import rearrange, scatter_or_where
from qcompiler.frontend.importers.whole_numbers.functions import function
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.ir import Value

from . import batch_along_axes, batch_axis, batch_places, batch_rows_and_images
from .table_of_functions import FUNCTIONS
from .table_of_host import HOST, looks_up
from .table_of_layers import LAYERS
from .table_of_quantised import QUANTISED
from .table_of_views import VIEWS
from .table_of_whole_numbers import WHOLE_NUMBERS, computes_whole_numbers

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
        "ai.onnx.ml.SVMClassifier",
    }
)

# What reads axes, lengths, positions or masks beside its data: its importer checks these.
READS_COUNTS = frozenset(
    {
        *("CumSum", "GRU", "LSTM", "Pad", "RNN", "Resize", "RotaryEmbedding", "TopK", "Trilu"),
        *("Attention", "com.microsoft.Attention", "com.microsoft.MultiHeadAttention"),
        *("com.microsoft.DynamicQuantizeLSTM", "com.microsoft.RotaryEmbedding"),
        *(name for name in LAYERS if name.startswith("Reduce")),
    }
)

UNROLLED = frozenset({"If", "Loop", "Scan"})  # whose bodies are imported

IMPORTERS: Mapping[str, batch_places.Importer] = {
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
    "ArgMin": batch_along_axes.arg_max,
    "AveragePool": batch_rows_and_images.side_by_side,
    "BatchNormalization": batch_rows_and_images.side_by_side,
    "Concat": batch_axis.concat,
    "Conv": batch_rows_and_images.side_by_side,
    "ConvInteger": batch_rows_and_images.side_by_side,
    "ConvTranspose": batch_rows_and_images.side_by_side,
    "CumSum": batch_along_axes.cumsum,
    **dict.fromkeys(_SCALAR, batch_places.same_batch_axis),
    "com.microsoft.DynamicQuantizeLSTM": batch_axis.any_batch_axis,
    "DFT": batch_along_axes.dft,
    "DynamicQuantizeLinear": batch_places.same_batch_axis,
    "Einsum": batch_rows_and_images.einsum,
    "Flatten": batch_axis.any_batch_axis,
    "GRU": batch_axis.any_batch_axis,
    "Gather": batch_along_axes.gather,
    "Gemm": batch_rows_and_images.gemm,
    "GlobalAveragePool": batch_rows_and_images.side_by_side,
    "GlobalLpPool": batch_rows_and_images.side_by_side,
    "GlobalMaxPool": batch_rows_and_images.side_by_side,
    "GroupNormalization": batch_rows_and_images.side_by_side,
    "InstanceNormalization": batch_rows_and_images.side_by_side,
    "LSTM": batch_axis.any_batch_axis,
    "LayerNormalization": batch_along_axes.last_axes,
    "LogSoftmax": batch_along_axes.softmax,
    "LpNormalization": batch_along_axes.along_axis,
    "LpPool": batch_rows_and_images.side_by_side,
    "MatMul": batch_rows_and_images.matmul,
    "MatMulInteger": batch_rows_and_images.matmul,
    "MaxPool": batch_rows_and_images.side_by_side,
    "MeanVarianceNormalization": batch_along_axes.mean_variance,
    "OneHot": batch_along_axes.one_hot,
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
    "TopK": batch_along_axes.along_axis,
    "Transpose": batch_axis.any_batch_axis,
    "Unsqueeze": batch_axis.any_batch_axis,
    "Upsample": batch_rows_and_images.resize,
    "Where": batch_places.same_batch_axis,
}


def imported(op_type: str, node: NodeContext) -> tuple[batch_places.Result, ...]:
    """The results of a node, wherever the batch axis of its inputs stands."""
    adapter = _ADAPTERS.get(op_type, batch_places.batch_first)
    if op_type == "Where" and _chooses_elements(node):
        adapter = batch_axis.elementwise
    if looks_up(node):
        adapter = batch_places.same_batch_axis
    importer = IMPORTERS[op_type]
    if computes_whole_numbers(node):
        importer = WHOLE_NUMBERS[op_type]
        adapter = batch_axis.elementwise if importer is function else adapter
    if op_type == "MatMul" and two_values(node):
        adapter = batch_rows_and_images.matrices
    if op_type == "Gemm" and two_values(node):
        adapter = batch_places.same_batch_axis
    with np.errstate(all="ignore"):  # constants that are not finite are refused as such
        found = batch_axis.import_with(adapter, importer, node)
    return found if isinstance(found, tuple) else (found,)


def computed(node: NodeContext) -> tuple[batch_places.Result, ...]:
    """The result of a function of integers that the host knows, as it computes it."""
    found = batch_axis.import_with(batch_axis.elementwise, function, node)
    return found if isinstance(found, tuple) else (found,)


def _chooses_elements(node: NodeContext) -> bool:
    """Whether a Where is computed element by element, not arranged by a constant condition."""
    values = [isinstance(item, Value) for item in node.inputs]
    return values[0] or sum(values) > 1 or chooses_mask(node)
