"""Operators that are not supported: what helps."""

from __future__ import annotations

_RETRAIN = "replace it by Relu or Clip and retrain, or cut the model before this node"
_STATE = "export the model without sequences"
_HOST = (
    "cut the model before this node, and compute it on the decoded outputs; or, in front of the "
    "network, on its inputs"
)

_GROUPS = {
    _RETRAIN: """
        Tan
    """,
    _STATE: "SequenceMap",
    "convert the model to opset 11 or newer, with onnx.version_converter": "Scatter",
    _HOST: """
        Hardmax NonMaxSuppression NonZero Unique BitCast BitShift BitwiseAnd BitwiseNot
        BitwiseOr BitwiseXor
        AffineGrid BlackmanWindow CausalConvWithState ConstantOfShape CumProd DeformConv Det EyeLike
        GridSample HammingWindow HannWindow LinearAttention MaxRoiPool MaxUnpool MelWeightMatrix
        Range RoiAlign TensorScatter
    """,
    "remove these nodes from the model, and compute them before or after the network": """
        ConcatFromSequence ImageDecoder Optional OptionalGetElement OptionalHasElement
        RegexFullMatch SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert
        SequenceLength SplitToSequence StringConcat StringNormalizer StringSplit TfIdfVectorizer
    """,
    "export the model for inference, without its loss": """
        NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss
    """,
    "export the model for inference, without random operators": """
        Bernoulli Multinomial RandomNormal RandomNormalLike RandomUniform RandomUniformLike
    """,
}

_BOOLEAN = "it returns booleans or indices, which spike times cannot represent"

_REASONS = {
    _BOOLEAN: """
        BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor
    """,
    "it has poles": "Tan",
    "the positions that it reads depend on the data": """
        DeformConv GridSample MaxRoiPool MaxUnpool RoiAlign TensorScatter
    """,
    "the size of its result depends on the data": "NonZero Unique NonMaxSuppression",
    "it multiplies values that depend on the data": """
        CausalConvWithState CumProd Det LinearAttention
    """,
    "which nodes run depends on the data": "SequenceMap",
    "only tensors of numbers are supported": """
        ConcatFromSequence ImageDecoder Optional OptionalGetElement OptionalHasElement
        RegexFullMatch SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert
        SequenceLength SplitToSequence StringConcat StringNormalizer StringSplit TfIdfVectorizer
    """,
    "it is a loss, which only training needs": "NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss",
    "it creates a constant, which must not depend on the data": """
        AffineGrid BlackmanWindow ConstantOfShape EyeLike HammingWindow HannWindow
        MelWeightMatrix Range
    """,
    "its result is random": """
        Bernoulli Multinomial RandomNormal RandomNormalLike RandomUniform RandomUniformLike
    """,
    "it is deprecated since opset 11": "Scatter",
}

_REASON = {op: reason for reason, names in _REASONS.items() for op in names.split()}

_HELP = {op: help_ for help_, names in _GROUPS.items() for op in names.split()}

_PRODUCT = (
    "only products with constants are supported: cut the model before this node; "
    "or use --allow-products"
)
MATRIX_PRODUCTS = ("Einsum", "Gemm", "MatMul")

# What these are refused for if two of their operands depend on the data, and what helps.
DATA_PRODUCTS = {
    name: (f"{name} of two values that depend on the data is not supported", _PRODUCT)
    for name in ("Mul", "Div", *MATRIX_PRODUCTS)
}

FOLD_CONSTANTS = (
    "fold the constants of the model first, for example with onnxruntime's offline optimisation "
    "or onnxsim"
)
CUT_BEFORE_INTEGERS = (
    "end the model before the cast or comparison, and compute it on the decoded outputs"
)
REAL_CODES = (
    "put DequantizeLinear in front of this output, and, if it is a state, QuantizeLinear of the "
    "same scale behind its input: both are then real numbers"
)

RAW_SCORES = (  # skl2onnx gives a pipeline's options to none of its steps
    "export the classifier with options={id(classifier): {'zipmap': False, 'raw_scores': True}}; "
    "in a pipeline it is pipeline[-1]"
)
CUT_BEFORE_TRANSFORM = "set its post_transform to NONE, and apply it to the decoded outputs"

_TREES = "trees are no network: train one, or compute them outside qcompiler"
_BY_NAME = {
    **dict.fromkeys(
        (
            "ai.onnx.ml.TreeEnsemble",
            "ai.onnx.ml.TreeEnsembleClassifier",
            "ai.onnx.ml.TreeEnsembleRegressor",
        ),
        _TREES,
    ),
    "ai.onnx.ml.ZipMap": "export with options={'zipmap': False}: all probabilities in one tensor",
}

_DOMAINS = {
    "com.microsoft.nchwc.": (
        "compile the original model, or one that onnxruntime saves with ORT_ENABLE_EXTENDED: "
        "higher levels of optimisation write layouts of one kind of processor"
    ),
    "ai.onnx.ml.": "export the network alone: compute scalers and labels outside it",
    "ai.onnx.preview.training.": "export the model for inference, without training operators",
}


_BY_ELEMENT = {"it has poles", _BOOLEAN}


def treats_elements_alone(op_type: str) -> bool:
    """Whether an operator that is not supported treats every element by itself."""
    return _REASON.get(op_type) in _BY_ELEMENT


def refusal(op_type: str) -> tuple[str, str | None]:
    """Why an operator is not supported, and what helps."""
    reason = _REASON.get(op_type)
    because = f": {reason}" if reason else ""
    return f"operator {op_type} is not supported{because}", _help(op_type)


def _help(op_type: str) -> str | None:
    if "." not in op_type:
        return _HELP.get(op_type)
    if op_type in _BY_NAME:
        return _BY_NAME[op_type]
    for domain, help_ in _DOMAINS.items():
        if op_type.startswith(domain):
            return help_
    return "export the model with standard ONNX operators, without graph optimisation"
