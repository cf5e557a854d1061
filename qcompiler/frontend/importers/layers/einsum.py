"""Importers of sums of products with constants: Einsum, batches of matrices, running sums."""

from __future__ import annotations

from math import prod
from string import ascii_letters

import numpy as np

from qcompiler.frontend.importers.views.reshape import axis_of, mixes_batch
from qcompiler.frontend.importers.views.slicing import take_indices
from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.node_context import NodeContext, float32
from qcompiler.frontend.model.node_errors import InvalidNode, MixesBatch, Refused
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.frontend.model.sample_constants import per_sample
from qcompiler.ir import Value
from qcompiler.ir.ann import Conv, SumPool
from qcompiler.ir.view import Reshape, Transpose

_REST = "..."  # stands for all axes that have no index of their own


def einsum(node: NodeContext) -> Value:
    """Einsum of a value and a constant, or of a value alone."""
    terms, result = terms_of(node)
    index = next(i for i, item in enumerate(node.inputs) if isinstance(item, Value))
    x, labels = node.activation(index), terms[index]
    if len(labels) != len(x.type.shape) + 1:
        raise InvalidNode(
            f"has the indices {labels} for an operand of {len(x.type.shape) + 1} axes"
        )
    weight, other = np.ones((), np.float32), ""
    if len(terms) == 2:
        weight, other = node.weight(1 - index, "factor")[1], terms[1 - index]
    batch = labels[0]
    if len(set(labels)) < len(labels) or len(set(other)) < len(other):
        raise Refused("Einsum of a diagonal is not supported")
    if result[:1] != batch or batch in labels[1:] + other + result[1:]:
        raise mixes_batch(node)
    return contract(node, x, labels[1:], weight, other, result[1:])


def terms_of(node: NodeContext) -> tuple[list[str], str]:
    """The indices of the operands of an Einsum, and of its result."""
    equation = node.text("equation", "").replace(" ", "")
    given, _, result = equation.partition("->")
    if "->" not in equation:
        once = (label for label in sorted(set(given) - {*",."}) if given.count(label) == 1)
        result = f"{_REST if _REST in given else ''}{''.join(once)}"
    if "." in equation.replace(_REST, ""):
        raise InvalidNode(f"has the equation {equation}")
    terms = given.split(",")
    if len(terms) != len(node.inputs) or len(terms) > 2:
        raise Refused("Einsum of more than two operands is not supported", "split it in two")
    return _spelled_out(node, terms, result) if _REST in equation else (terms, result)


def _spelled_out(node: NodeContext, terms: list[str], result: str) -> tuple[list[str], str]:
    """The same indices, with letters for those that an ellipsis stands for."""
    shapes = [
        node.full_shapes(item)[0] if isinstance(item, Value) else item.arrays[0].shape
        for item in node.inputs
        if isinstance(item, Value | KnownArray)
    ]
    counts = [
        len(shape) - len(term) + len(_REST) if _REST in term else 0
        for term, shape in zip(terms, shapes, strict=True)
    ]
    free = [label for label in ascii_letters if label not in "".join(terms) + result]
    rest = "".join(free[: max(counts)])
    found = [
        term.replace(_REST, rest[len(rest) - count :])
        for term, count in zip(terms, counts, strict=True)
    ]
    lengths = dict(zip(found[0], shapes[0], strict=False))
    others = zip(found[-1], shapes[-1], strict=False)
    if any(1 in (n, lengths.get(a, n)) and n != lengths.get(a, n) for a, n in others):
        reason = "Einsum with an ellipsis that repeats axes of length 1 is not supported"
        raise Refused(reason, "leave axes of length 1 out, or repeat them by Expand")
    return found, result.replace(_REST, rest)


def batched(node: NodeContext, first: bool) -> Value:
    """MatMul with a batch of constant matrices, which each sample meets alike."""
    x = node.activation(1 if first else 0)
    known = node.known(0 if first else 1, "weight")
    assert known is not None
    shape = x.type.shape
    try:
        weight = float32(per_sample(node, known, len(shape)), known.name)
    except MixesBatch as error:
        raise mixes_batch(node) from error
    if weight.ndim > len(shape) or len(shape) < 2 or weight.ndim < 2:
        raise mixes_batch(node)
    outer = "abcdefghijkl"[: len(shape) - 2]
    used = outer[len(outer) - weight.ndim + 2 :]
    for axis, label in enumerate(used):
        if weight.shape[axis] not in (1, shape[outer.index(label)]):
            raise Refused("MatMul with a constant that adds axes to the value is not supported")
    kept = "".join(a for a, n in zip(used, weight.shape, strict=False) if n > 1)
    weight = weight.reshape(*(n for n in weight.shape[:-2] if n > 1), *weight.shape[-2:])
    if first:
        return contract(node, x, outer + "yz", weight, kept + "xy", outer + "xz")
    return contract(node, x, outer + "xy", weight, kept + "yz", outer + "xz")


def contract(
    node: NodeContext, x: Value, labels: str, weight: Array, other: str, result: str
) -> Value:
    """Products of a sample and a constant, summed over what the result has not."""
    lengths = dict(zip(labels, x.type.shape, strict=True))
    if any(lengths.get(a, n) != n for a, n in zip(other, weight.shape, strict=True)):
        raise InvalidNode(f"multiplies a sample of shape {x.type.shape} with {weight.shape}")
    lengths |= dict(zip(other, weight.shape, strict=True))
    if set(result) - set(lengths):
        raise InvalidNode(f"has indices in its result that no operand has: {result}")
    groups = [a for a in result if a in labels and a in other]
    space = [a for a in result if a in labels and a not in other]
    made = [a for a in result if a not in labels]
    summed = [a for a in labels if a not in result]
    alone = tuple(axis for axis, a in enumerate(other) if a not in result and a not in labels)
    weight, other = weight.sum(axis=alone), "".join(a for a in other if a in result + labels)
    for label in summed:
        if label not in other:
            weight, other = np.broadcast_to(weight, (lengths[label], *weight.shape)), label + other
    order = [other.index(a) for a in (*groups, *made, *summed)]
    sizes = [prod(lengths[a] for a in part) for part in (groups, made, summed, space)]
    kernel = weight.transpose(order).reshape(sizes[0] * sizes[1], sizes[2], 1)
    perm = tuple(labels.index(a) for a in (*groups, *summed, *space))
    x = node.part("turned", Transpose(perm), x)
    x = node.part("rows", Reshape((sizes[0] * sizes[2], sizes[3])), x)
    bias = node.constant("bias", np.zeros((len(kernel), 1), np.float32))
    conv = Conv((1,), (0, 0), (1,), sizes[0])
    x = node.part("product", conv, x, node.constant("weight", kernel), bias)
    found = (*groups, *made, *space)
    x = node.part("axes", Reshape(tuple(lengths[a] for a in found)), x)
    return node.add(Transpose(tuple(found.index(a) for a in result)), x)


def cumsum(node: NodeContext) -> Value:
    """CumSum along an axis of the sample: a sum of windows that begin in the padding."""
    x, given = node.activation(), node.fixed_integer(1, "axis")
    shape = x.type.shape
    if given is None or isinstance(node.item(0), KnownArray):
        raise InvalidNode("has no axis")
    axis = axis_of(given, len(shape) + 1) - 1
    if axis < 0:
        raise mixes_batch(node)
    length, exclusive = shape[axis], node.integer("exclusive", 0)
    backward = bool(node.integer("reverse", 0))
    wide = length - 1 + (1 if exclusive else 0)
    image = prod(shape[:axis]), length, prod(shape[axis + 1 :])
    x = node.part("image", Reshape(image), x)
    pads = (0, 0, wide, 0) if backward else (wide, 0, 0, 0)
    x = node.part("sums", SumPool((1, 1), pads, (1, 1), (length, 1)), x)
    first = x.type.shape[1] - length if backward else 0
    x = take_indices(node, x, 1, range(first, first + length))
    return node.add(Reshape(shape), x)
