"""Importers of sums of products of two values: MatMul, Gemm and Einsum."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qcompiler.frontend.importers.elementwise.activations import scaled_by, spread
from qcompiler.frontend.importers.elementwise.products import product
from qcompiler.frontend.importers.layers import einsum as constant_einsum
from qcompiler.frontend.importers.layers import linear
from qcompiler.frontend.importers.layers.einsum import terms_of
from qcompiler.frontend.importers.layers.pooling import reduced
from qcompiler.frontend.importers.views.reshape import mixes_batch
from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.node_context import NodeContext, float32
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.frontend.model.placement import WHOLE
from qcompiler.frontend.model.sample_constants import per_sample
from qcompiler.ir import Value
from qcompiler.ir.ann import Add, Affine
from qcompiler.ir.view import Reshape, Transpose

_OUTER = "abcdefghijkl"


def two_values(node: NodeContext) -> bool:
    """Whether both factors of a node depend on the data."""
    return isinstance(node.item(0), Value) and isinstance(node.item(1), Value)


def matmul(node: NodeContext) -> Value:
    """MatMul of a value and a constant, or of two values."""
    return multiplied(node, *_factors(node)) if two_values(node) else linear.matmul(node)


def gemm(node: NodeContext) -> Value:
    """Gemm of a value and a constant, or of two values of one sample: ``alpha A B + beta C``."""
    if not two_values(node):
        return _of_rows_apart(node) if _has_rows_apart(node) else linear.gemm(node)
    a, b = _factors(node)
    if len(a.type.shape) != 2 or len(b.type.shape) != 2:
        raise mixes_batch(node)
    first = "yx" if node.integer("transA", 0) else "xy"
    second = "zy" if node.integer("transB", 0) else "yz"
    found = contract(node.within("product"), a, first, b, second, "xz")
    found = scaled_by(node, found, np.asarray(node.real("alpha", 1.0), np.float32), "scaled")
    return _with_summand(node, found)


def _has_rows_apart(node: NodeContext) -> bool:
    """Whether the rows are of one sample, and each has a bias of its own."""
    x, bias = node.item(0), node.item(2)
    if not isinstance(x, Value) or not isinstance(bias, KnownArray):
        return False
    return node.placement(x) == WHOLE and bias.arrays[0].ndim == 2 and len(bias.arrays[0]) > 1


def _of_rows_apart(node: NodeContext) -> Value:
    product = linear.gemm(replace(node.within("product"), inputs=node.inputs[:2]))
    return _with_summand(node, product)


def _with_summand(node: NodeContext, x: Value) -> Value:
    given, beta = node.item(2), node.real("beta", 1.0)
    if isinstance(given, Value):
        other = scaled_by(node, given, np.asarray(beta, np.float32), "beta")
        ones = (1,) * (2 - len(given.type.shape))
        if ones:
            other = node.part("grown", Reshape((*ones, *given.type.shape)), other)
        return node.add(Add(), x, spread(node, other, x.type.shape))
    if not isinstance(given, KnownArray):
        return x
    shift = float32(per_sample(node, given, 2), given.name) * np.float32(beta)
    one = node.constant("one", np.ones((1, 1), np.float32))
    grown = shift.reshape((1,) * (2 - shift.ndim) + shift.shape)
    return node.add(Affine(), x, one, node.constant("shift", grown))


def einsum(node: NodeContext) -> Value:
    """Einsum of a value alone, with a constant, or of two values."""
    if not two_values(node):
        return constant_einsum.einsum(node)
    terms, result = terms_of(node)
    a, b = _factors(node)
    for labels, x in zip(terms, (a, b), strict=True):
        if len(labels) != len(x.type.shape) + 1:
            raise InvalidNode(f"has the indices {labels} for {len(x.type.shape) + 1} axes")
        if len(set(labels)) < len(labels):
            raise Refused("Einsum of a diagonal is not supported")
    batch = terms[0][0]
    samples = [labels[1:] for labels in (*terms, result)]
    if any(labels[:1] != batch for labels in (*terms, result)) or batch in "".join(samples):
        raise mixes_batch(node)
    return contract(node, a, samples[0], b, samples[1], samples[2])


def _factors(node: NodeContext) -> tuple[Value, Value]:
    return node.activation(0), node.activation(1)


def multiplied(node: NodeContext, a: Value, b: Value) -> Value:
    """The matrix products of two samples of one rank, batches of matrices included."""
    rank = len(a.type.shape)
    if rank < 2 or len(b.type.shape) != rank:
        raise mixes_batch(node)
    outer = _OUTER[: rank - 2]
    return contract(node, a, outer + "xy", b, outer + "yz", outer + "xz")


def contract(node: NodeContext, a: Value, first: str, b: Value, second: str, result: str) -> Value:
    """Products of the elements of two samples, summed over the indices that the result lacks."""
    lengths: dict[str, int] = {}
    for labels, x in ((first, a), (second, b)):
        for label, length in zip(labels, x.type.shape, strict=True):
            held = lengths.setdefault(label, length)
            if held != length and 1 not in (held, length):
                raise InvalidNode(f"multiplies samples of {a.type.shape} with {b.type.shape}")
            lengths[label] = max(held, length)
    if set(result) - set(lengths):
        raise InvalidNode(f"has indices in its result that no operand has: {result}")
    a, first = _alone(node, a, first, second + result)
    b, second = _alone(node, b, second, first + result)
    summed = [label for label in dict.fromkeys(first + second) if label not in result]
    order = [*result, *summed]
    grown = [_aligned(node, x, labels, order) for x, labels in ((a, first), (b, second))]
    if not summed:
        return product(node, *grown)
    products = product(node.within("products"), *grown)
    axes = frozenset(range(len(result), len(order)))
    return reduced(node, "sum", products, axes, keep=False)


def _alone(node: NodeContext, x: Value, labels: str, others: str) -> tuple[Value, str]:
    """A value summed over indices that nothing else has."""
    axes = frozenset(axis for axis, label in enumerate(labels) if label not in others)
    if not axes:
        return x, labels
    kept = "".join(label for label in labels if label in others)
    return reduced(node.within("alone"), "sum", x, axes, keep=False), kept


def _aligned(node: NodeContext, x: Value, labels: str, order: list[str]) -> Value:
    """A value whose axes stand in this order; those that it lacks have length 1."""
    perm = tuple(labels.index(label) for label in order if label in labels)
    if perm != tuple(range(len(perm))):
        x = node.part("turned", Transpose(perm), x)
    lengths = dict(zip((labels[axis] for axis in perm), x.type.shape, strict=True))
    shape = tuple(lengths.get(label, 1) for label in order)
    return node.part("grown", Reshape(shape), x) if shape != x.type.shape else x
