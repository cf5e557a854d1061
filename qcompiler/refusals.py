"""Operators that are not supported: what helps."""

from __future__ import annotations

_RETRAIN = "replace it by Relu or Clip and retrain, or cut the model before it"
_STATE = "networks with state or control flow are not supported"
_FLOAT = "compile the model in floating point: qcompiler quantises it by itself"
_STATISTICS = "it takes statistics of the data: use BatchNormalization instead and retrain"
_LATER = "not supported yet: cut the model before it, or do without"
_HOST = "cut the model before it, and do it on the decoded outputs"
_ATTENTION = "attention multiplies values that depend on the data, which spikes cannot do yet"

_GROUPS = {
    _RETRAIN: """
        Cos Floor Round Shrink Sin Sign SwiGLU Tan ThresholdedRelu
    """,
    _STATE: "If Loop Scan SequenceMap",
    _FLOAT: """
        ConvInteger DequantizeLinear DynamicQuantizeLinear MatMulInteger QLinearConv QLinearMatMul
        QuantizeLinear
    """,
    _STATISTICS: """
        GroupNormalization InstanceNormalization LRN LayerNormalization LpNormalization
        MeanVarianceNormalization RMSNormalization
    """,
    _LATER: """
        ConvTranspose DepthToSpace Expand LpPool ReduceMin Resize SpaceToDepth Tile Upsample
    """,
    _HOST: "ArgMin Hardmax NonMaxSuppression TopK",
    _ATTENTION: "Attention RotaryEmbedding",
    "compile the model for inference, without its random parts": """
        Bernoulli Multinomial RandomNormal RandomNormalLike RandomUniform RandomUniformLike
    """,
}

_HELP = {op: help_ for help_, names in _GROUPS.items() for op in names.split()}

_PRODUCT = "only products with constants are: cut the model before it"
_MUL = f"{_PRODUCT}, or see --allow-products"

# What these are refused for if two of their operands depend on the data, and what helps.
TWO = {
    "Mul": ("Mul of two values that depend on the data is not supported", _MUL),
    "Div": ("Div of two values that depend on the data is not supported", _PRODUCT),
    "MatMul": ("MatMul of two values that depend on the data is not supported", _PRODUCT),
    "Gemm": ("Gemm of two values that depend on the data is not supported", _PRODUCT),
}

FOLD = (
    "fold the constants of the model first, for example with onnxruntime's offline optimisation "
    "or onnxsim"
)


def help_for(op_type: str) -> str | None:
    """The remedy for an operator that is not supported, if there is one."""
    if "." in op_type:
        return "export the model with standard ONNX operators only, before it is optimised"
    return _HELP.get(op_type)
