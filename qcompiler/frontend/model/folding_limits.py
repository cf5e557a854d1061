"""What may be computed of known values, so that no model takes long to fold or much memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import onnx
import onnx.shape_inference

from .onnx_tensor import Array
from .single_node import node_model

LIMIT = 1 << 28  # elements of an array that is computed
_MOST_ELEMENTS = 1 << 26  # of a value that depends on data, in a sample
MOST_AXES = 24  # of an array; numpy 1 has 32, and some are added on the way
INLINE = 1 << 16  # elements; larger arrays do not tell shapes
_PRODUCTS = 1 << 36  # multiplications: seconds
_MOST_WORK = 1 << 38  # multiplications, and elements read and written, of all nodes
_MOST_BYTES = 1 << 31  # of all results, and as many times the weights' own:
_GROWTH = 8  # four bits become a real number
_SMALL = 1 << 20  # elements of all operands of an operator whose work is not known
_TOO_LONG = "a constant that takes too long"

_CHEAP_NAMES = """
    Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh BatchNormalization BitCast BitShift
    BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast CastLike Ceil Celu Clip Compress Concat
    ConstantOfShape Cos Cosh CumSum DepthToSpace DequantizeLinear Div Dropout Elu Equal Erf Exp
    Expand EyeLike Flatten Floor Gather GatherElements GatherND Gelu Greater GreaterOrEqual
    HardSigmoid HardSwish Identity IsInf IsNaN LeakyRelu Less LessOrEqual Log LogSoftmax Max Mean
    Min Mish Mod Mul Neg NonZero Not OneHot Or PRelu Pad Pow QuantizeLinear Range Reciprocal
    ReduceL1 ReduceL2 ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu
    Reshape Round ScatterElements ScatterND Selu Shape Sigmoid Sign Sin Sinh Size Slice Softmax
    Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Tan Tanh Tile Transpose Trilu Unique
    Unsqueeze Where Xor
"""
_CHEAP = frozenset(_CHEAP_NAMES.split())
_SHRINKING = frozenset({"Compress", "NonZero", "Unique"})  # sizes depend on the data

_NEVER_NAMES = """
    Bernoulli ConcatFromSequence If ImageDecoder Loop Multinomial Optional OptionalGetElement
    OptionalHasElement RandomNormal RandomNormalLike RandomUniform RandomUniformLike RegexFullMatch
    Scan SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength
    SequenceMap SplitToSequence StringConcat StringNormalizer StringSplit TfIdfVectorizer
"""
_NEVER = frozenset(_NEVER_NAMES.split())


class FoldingBudget:
    """What all constants of a model may take: ``given`` are the bytes of its weights."""

    def __init__(self, given: int) -> None:
        self.bytes = _MOST_BYTES + _GROWTH * given
        self.work: float = _MOST_WORK

    def spend(self, feeds: Sequence[Array], results: Sequence[Array], work: float) -> None:
        """Count a node that was computed; TooLarge if that is too much."""
        self.bytes -= sum(array.nbytes for array in results)
        self.work -= work + sum(array.size for array in (*feeds, *results))
        if self.bytes < 0:
            raise TooLarge("constants of too many bytes in all")
        if self.work < 0:
            raise TooLarge("constants that take too long in all")


class TooLarge(Exception):
    """A node would compute an array beyond the limit, or compute too long; says which."""

    def __init__(self, what: str = f"a constant of more than {LIMIT} elements") -> None:
        super().__init__(what)


def beyond(shape: Sequence[int]) -> str | None:
    """What a value of this shape has more of than it may; None if nothing."""
    if prod(shape) > _MOST_ELEMENTS:
        return f"more than {_MOST_ELEMENTS} elements"
    return f"more than {MOST_AXES} axes" if len(shape) > MOST_AXES else None


def folds(op_type: str) -> bool:
    """Whether an operator is computed if it reads only constants: it always gives the same."""
    return onnx.defs.has(op_type) and op_type not in _NEVER


def check_size(node: onnx.NodeProto, opset: int, feeds: Mapping[str, Array]) -> float:
    """About the work of a node; TooLarge if its results are too large, or take too long."""
    if node.op_type in _SHRINKING:
        return 0.0
    inline = {name: a for name, a in feeds.items() if a.size <= INLINE and a.dtype.kind != "O"}
    model = node_model(node, opset, {n: a for n, a in feeds.items() if n not in inline}, inline)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    largest = 1
    for output in inferred.graph.output:
        shape = output.type.tensor_type.shape
        if not output.type.tensor_type.HasField("shape") or not all(
            dim.HasField("dim_value") for dim in shape.dim
        ):
            if node.op_type != "Concat":
                raise TooLarge
            # Before opset 11 onnx infers nothing for an axis that is counted from the end.
            largest = sum(feeds[name].size for name in node.input)
            continue
        largest = max(largest, prod(max(1, dim.dim_value) for dim in shape.dim))
    if largest > LIMIT:
        raise TooLarge
    work = _products(node, largest, feeds)
    if work > _PRODUCTS:
        raise TooLarge(_TOO_LONG)
    return work


def check_indices(node: onnx.NodeProto, feeds: Mapping[str, Array]) -> None:
    """ValueError for an index beyond its axis, which the evaluator would count down to it."""
    if node.op_type != "GatherElements" or not all(name in feeds for name in node.input):
        return
    data, indices = (feeds[name] for name in node.input)
    axis = next((one.i for one in node.attribute if one.name == "axis"), 0)
    length = data.shape[axis]
    if indices.size and not -length <= indices.min() <= indices.max() < length:
        raise ValueError(f"an index is beyond the {length} elements of axis {axis}")


def _products(node: onnx.NodeProto, result: int, feeds: Mapping[str, Array]) -> float:
    """About as many multiplications as a node does."""
    if node.op_type in _CHEAP:
        return result
    shapes = [feeds[name].shape if name in feeds else () for name in node.input]
    sizes = [prod(shape) for shape in shapes]
    match node.op_type:
        case "MatMul":
            return float(result) * (shapes[0] or (1,))[-1]
        case "Gemm":
            return float(result) * max(shapes[0])
        case "Conv" | "ConvTranspose":
            return float(result) * prod(shapes[1][1:])
    if sum(sizes) + result > _SMALL:
        raise TooLarge(_TOO_LONG)
    return float(result) * max(sizes, default=1)
