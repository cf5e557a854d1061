"""Importers of normalisations: statistics of a sample, and a product with what follows of them."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import numpy as np

from qcompiler.frontend.importers.elementwise.activations import spread
from qcompiler.frontend.importers.elementwise.arithmetic import difference
from qcompiler.frontend.importers.elementwise.formulas import apply_formula
from qcompiler.frontend.importers.elementwise.functions import absolute
from qcompiler.frontend.importers.elementwise.products import product
from qcompiler.frontend.importers.layers.linear import rows
from qcompiler.frontend.importers.layers.pooling import reduced
from qcompiler.frontend.importers.views.reshape import axis_of, mixes_batch
from qcompiler.frontend.model.constant_folding import KnownArray, merge
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.ir import Value
from qcompiler.ir.ann import Affine, Dense, Function, SumPool
from qcompiler.ir.view import Reshape, Transpose

_WIDE = 1024  # features of a token, above which the product with a matrix costs too much
MEAN_VARIANCE_AXES = (0, 2, 3)  # of MeanVarianceNormalization, if it states none
_LEAST = 1e-12  # a sum of magnitudes or squares that counts as none


class Standardized(NamedTuple):
    """Standardized values; their mean, if it is taken away, and one over their deviation."""

    values: Value
    statistics: tuple[Value, ...]


def layer_normalization(node: NodeContext) -> tuple[Value | KnownArray, ...]:
    """LayerNormalization, with its statistics, and RMSNormalization: over the axes from one on."""
    x = node.activation()
    shape = x.type.shape
    first = axis_of(node.integer("axis", -1), len(shape) + 1) - 1
    if first < 0:
        raise mixes_batch(node)
    axes = frozenset(range(first, len(shape)))
    centred = node.op_type == "LayerNormalization"
    if centred and _single(x, axes):
        factor = np.asarray(_epsilon(node) ** -0.5, np.float32)
        return _alike(node, x, _parameters(node)[1]), x, _alike(node, x, factor)
    found = standardized(node.within("normalized"), x, axes, centred)
    result = _scaled_and_shifted(node, found.values, *_parameters(node))
    if not centred:
        return (result,)
    same = Transpose(tuple(range(len(shape))))
    statistics = zip(node.outputs[1:], found.statistics, strict=False)
    return result, *(node.named(name or f"{node.name}.unused", same, v) for name, v in statistics)


def instance_normalization(node: NodeContext) -> Value | KnownArray:
    """InstanceNormalization: over the pixels of every channel."""
    x = node.activation()
    rank = len(x.type.shape)
    parameters = _parameters(node, x.type.shape[0])
    axes, (scale, shift) = frozenset(range(1, rank)), _by_channel(parameters, rank)
    if _single(x, axes):
        return _alike(node, x, shift)
    found = standardized(node.within("normalized"), x, axes)
    return _scaled_and_shifted(node, found.values, scale, shift)


def group_normalization(node: NodeContext) -> Value | KnownArray:
    """GroupNormalization: over the channels and pixels of every group."""
    x, groups = node.activation(), node.integer("num_groups", 1)
    shape = x.type.shape
    if not shape or groups < 1 or shape[0] % groups:
        raise InvalidNode(f"has {groups} groups for samples of shape {shape}")
    parameters: tuple[Array, ...] = _parameters(node, groups if node.opset < 21 else shape[0])
    if node.opset < 21:  # one for each group
        parameters = tuple(_repeated(array, shape[0] // groups) for array in parameters)
    scale, shift = _by_channel(parameters, len(shape))
    rows = node.part("groups", Reshape((groups, prod(shape) // groups)), x)
    if _single(rows, frozenset([1])):
        return _alike(node, x, shift)
    rows = standardized(node.within("normalized"), rows, frozenset([1])).values
    return _scaled_and_shifted(node, node.part("apart", Reshape(shape), rows), scale, shift)


def mean_variance_normalization(node: NodeContext) -> Value | KnownArray:
    """MeanVarianceNormalization over given axes."""
    x, given = node.activation(), node.integers("axes") or MEAN_VARIANCE_AXES
    axes = frozenset(axis_of(axis, len(x.type.shape) + 1) - 1 for axis in given)
    if -1 in axes:
        raise mixes_batch(node)
    if _single(x, axes):
        return _alike(node, x, np.zeros((), np.float32))
    return standardized(node, x, axes, epsilon=_LEAST).values


def _single(x: Value, axes: frozenset[int]) -> bool:
    """Whether these axes hold one element, which is its own mean: nothing is left of it."""
    return all(x.type.shape[axis] == 1 for axis in axes)


def _alike(node: NodeContext, x: Value, array: Array) -> KnownArray:
    """A constant for every sample, of the shape of a value."""
    place, shape = node.placement(x), x.type.shape
    samples = (np.broadcast_to(array, (probe, *shape)) for probe in node.scope.probes)
    return merge([place.to_model(batch) for batch in samples], node.output)


def standardized(
    node: NodeContext,
    x: Value,
    axes: frozenset[int],
    centred: bool = True,
    epsilon: float | None = None,
) -> Standardized:
    """``(x - mean) / sqrt(variance + epsilon)``; without the mean unless ``centred``.

    The attribute tells the epsilon, if none is given.
    """
    epsilon = _epsilon(node) if epsilon is None else epsilon
    statistics: tuple[Value, ...] = ()
    if centred:
        statistics = (reduced(node.within("mean"), "mean", x, axes, keep=True),)
        x = _centred(node, x, axes, statistics[0])
    square = node.part("square", Function("x x *"), x)
    variance = reduced(node.within("variance"), "mean", square, axes, keep=True)
    factor = node.part("factor", Function(f"1 x 0 max {epsilon!r} + sqrt /"), variance)
    return Standardized(product(node, x, factor), (*statistics, factor))


def _epsilon(node: NodeContext) -> float:
    epsilon = node.real("epsilon", 1e-5)
    if epsilon < 0:
        raise Refused(f"{node.op_type} with a negative epsilon is not supported", "use one above 0")
    return max(epsilon, _LEAST)


def _centred(node: NodeContext, x: Value, axes: frozenset[int], mean: Value) -> Value:
    """Values less their mean: along the last axis as a product, which layers in front absorb."""
    shape = x.type.shape
    length = shape[-1]
    if axes != {len(shape) - 1} or length > _WIDE:
        return difference(node, x, spread(node, mean, shape))
    matrix = np.eye(length, dtype=np.float32) - np.float32(1 / length)
    inner = node.within("centred")
    if len(shape) == 1:
        bias = inner.constant("bias", np.zeros(length, np.float32))
        return inner.add(Dense(), x, inner.constant("weight", matrix), bias)
    return rows(inner, x, matrix, shape)


def lp_normalization(node: NodeContext) -> Value:
    """LpNormalization: values divided by the sum of their magnitudes, or the root of squares."""
    x, power = node.activation(), node.integer("p", 2)
    axis = axis_of(node.integer("axis", -1), len(x.type.shape) + 1) - 1
    if axis < 0:
        raise mixes_batch(node)
    if power not in (1, 2):
        raise InvalidNode(f"has p {power}")
    inner = node.within("magnitude")
    terms = absolute(inner) if power == 1 else apply_formula(inner, "x x *")
    total = reduced(node.within("total"), "sum", terms, frozenset([axis]), keep=True)
    root = "" if power == 1 else " sqrt"
    formula = f"x {_LEAST!r} > 1 x{root} / 0 where"  # where all are 0, so are the quotients
    factor = node.part("factor", Function(formula), total)
    return product(node, x, factor)


def local_response_normalization(node: NodeContext) -> Value:
    """LRN: values divided by a power of the squares of some channels around."""
    x, size = node.activation(), node.integer("size", 0)
    shape = x.type.shape
    if not shape or size < 1:
        raise InvalidNode(f"has size {size} for samples of shape {shape}")
    squares = apply_formula(node.within("square"), "x x *")
    image = node.part("image", Reshape((1, shape[0], prod(shape[1:]))), squares)
    pads = ((size - 1) // 2, 0, size // 2, 0)
    total = node.part("sum", SumPool((1, 1), pads, (1, 1), (size, 1)), image)
    share, beta = node.real("alpha", 1e-4) / size, node.real("beta", 0.75)
    formula = f"x 0 max {share!r} * {node.real('bias', 1.0)!r} + {-beta!r} ^"
    factor = node.part("factor", Function(formula), node.part("around", Reshape(shape), total))
    return product(node, x, factor)


def _parameters(node: NodeContext, length: int | None = None) -> tuple[Array, Array]:
    """The scale, and the shift if there is one; InvalidNode if these are not of this length."""
    scale, given = node.weight(1, "scale")[1], node.known(2, "bias")
    shift = np.zeros((), np.float32) if given is None else node.weight(2, "bias")[1]
    if length and not scale.shape == shift.shape == (length,):
        wrong = f"a scale of shape {scale.shape} and a bias of {shift.shape}"
        raise InvalidNode(f"has {wrong}, not of {length} numbers")
    return scale, shift


def _by_channel(arrays: tuple[Array, ...], rank: int) -> tuple[Array, ...]:
    return tuple(a.reshape(-1, *(1,) * (rank - 1)) if a.ndim else a for a in arrays)


def _repeated(array: Array, count: int) -> Array:
    repeated: Array = np.repeat(array, count) if array.ndim else array
    return repeated


def _scaled_and_shifted(node: NodeContext, x: Value, scale: Array, shift: Array) -> Value:
    rank = len(x.type.shape)
    if max(scale.ndim, shift.ndim) > rank:
        raise Refused(f"{node.op_type} with parameters that add axes is not supported")
    grown = [a.reshape((1,) * (rank - a.ndim) + a.shape) for a in (scale, shift)]
    constants = map(node.constant, ("scale", "shift"), grown)
    return node.add(Affine(), x, *constants)
