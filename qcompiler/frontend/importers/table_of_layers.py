"""Importers of operators that become synapses and populations."""

from __future__ import annotations

from collections.abc import Mapping

from qcompiler.frontend.importers.composites.attention import (
    attention,
    multi_head_attention,
    packed_attention,
)
from qcompiler.frontend.importers.composites.fused import (
    fused_matmul,
    skip_layer_normalization,
    swiglu,
)
from qcompiler.frontend.importers.composites.matrices import einsum, gemm, matmul
from qcompiler.frontend.importers.composites.normalization import (
    group_normalization,
    instance_normalization,
    layer_normalization,
    local_response_normalization,
    lp_normalization,
    mean_variance_normalization,
)
from qcompiler.frontend.importers.composites.rotary import (
    rotary_embedding,
    rotary_embedding_of_onnxruntime,
)
from qcompiler.frontend.importers.elementwise.activations import clip, neg, relu
from qcompiler.frontend.importers.elementwise.arithmetic import add, mean, total
from qcompiler.frontend.importers.elementwise.choices import where
from qcompiler.frontend.importers.elementwise.extremes import minimum_maximum
from qcompiler.frontend.importers.elementwise.products import div, mul
from qcompiler.frontend.importers.elementwise.variances import variance_or_difference
from qcompiler.frontend.importers.layers.categories import label_encoder, one_hot_encoder
from qcompiler.frontend.importers.layers.einsum import cumsum
from qcompiler.frontend.importers.layers.fourier import dft, stft
from qcompiler.frontend.importers.layers.linear import batchnorm, conv
from qcompiler.frontend.importers.layers.lp_pool import global_lp_pool, lp_pool
from qcompiler.frontend.importers.layers.norms import reduce_function, reduce_log_sum_exp
from qcompiler.frontend.importers.layers.overlaps import col2im
from qcompiler.frontend.importers.layers.pooling import (
    average_pool,
    global_average_pool,
    global_max_pool,
    max_pool,
    reduce,
)
from qcompiler.frontend.importers.layers.recurrent import recurrent
from qcompiler.frontend.importers.layers.reduced_products import reduce_product
from qcompiler.frontend.importers.layers.resize import resize
from qcompiler.frontend.importers.layers.sklearn import imputer, linear_regressor, scaler
from qcompiler.frontend.importers.layers.support_vectors import svm_regressor
from qcompiler.frontend.importers.layers.top_k import top_k
from qcompiler.frontend.importers.layers.transposed_conv import conv_transpose
from qcompiler.frontend.importers.views.movement import rearrange, scatter_or_where
from qcompiler.frontend.importers.views.passthrough import pad
from qcompiler.frontend.importers.whole_numbers.one_hot import one_hot

from .batch_places import Importer

# Everything else: it becomes synapses and populations.
LAYERS: Mapping[str, Importer] = {
    "Add": add,
    "Attention": attention,
    "AveragePool": average_pool,
    "BatchNormalization": batchnorm,
    "Clip": clip,
    "Col2Im": col2im,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "CumSum": cumsum,
    "DFT": dft,
    "Div": div,
    "Einsum": einsum,
    "Gemm": gemm,
    "GlobalAveragePool": global_average_pool,
    "GlobalLpPool": global_lp_pool,
    "GRU": recurrent,
    "GlobalMaxPool": global_max_pool,
    "GroupNormalization": group_normalization,
    "InstanceNormalization": instance_normalization,
    "LRN": local_response_normalization,
    "LSTM": recurrent,
    "LayerNormalization": layer_normalization,
    "LpNormalization": lp_normalization,
    "LpPool": lp_pool,
    "MatMul": matmul,
    "MaxPool": max_pool,
    "Max": minimum_maximum,
    "Mean": mean,
    "MeanVarianceNormalization": mean_variance_normalization,
    "Min": minimum_maximum,
    "Mul": mul,
    "Neg": neg,
    "OneHot": one_hot,
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
    "ReduceProd": reduce_product,
    "ReduceSum": reduce,
    "ReduceSumSquare": reduce_function,
    "Relu": relu,
    "Resize": resize,
    "RotaryEmbedding": rotary_embedding,
    "STFT": stft,
    "ScatterElements": scatter_or_where,
    "ScatterND": scatter_or_where,
    "SimplifiedLayerNormalization": layer_normalization,
    "Sub": variance_or_difference,
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
    "ai.onnx.ml.SVMRegressor": svm_regressor,
    "ai.onnx.ml.Scaler": scaler,
    "com.microsoft.Attention": packed_attention,
    "com.microsoft.FusedMatMul": fused_matmul,
    "com.microsoft.MultiHeadAttention": multi_head_attention,
    "com.microsoft.RotaryEmbedding": rotary_embedding_of_onnxruntime,
    "com.microsoft.SkipLayerNormalization": skip_layer_normalization,
    "com.microsoft.SkipSimplifiedLayerNormalization": skip_layer_normalization,
}
