"""Products and images of which every sample has several, or whose batch axis is not first."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from string import ascii_letters

import numpy as np

from qcompiler.frontend.importers.layers.einsum import terms_of
from qcompiler.frontend.importers.views.reshape import mixes_batch, with_placement
from qcompiler.frontend.model.constant_folding import KnownArray, merge
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode
from qcompiler.frontend.model.placement import WHOLE, Placement
from qcompiler.frontend.model.sample_constants import repeats
from qcompiler.frontend.model.scope import AbstractValue
from qcompiler.ir import Value
from qcompiler.ir.view import Reshape, Transpose

from .batch_places import (
    Importer,
    Results,
    batch_first,
    common_place,
    in_front,
    is_first,
    noted,
    rank_of,
)


def matmul(importer: Importer, node: NodeContext) -> Results:
    """MatMul with constant matrices, along axes that are not the batch's."""
    first = isinstance(node.item(1), Value)
    x, weight = (node.item(1), node.item(0)) if first else (node.item(0), node.item(1))
    if not isinstance(x, Value) or not isinstance(weight, KnownArray):
        raise mixes_batch(node)
    place, rank, matrix = node.placement(x), rank_of(node, x), weight.arrays[0]
    if place.at is not None and place.at >= rank - 1 - first:
        raise mixes_batch(node)
    if 2 < matrix.ndim <= rank:
        alike = _of_any_sample(node, weight, rank, x)
        node = replace(node, inputs=(alike, x) if first else (x, alike))
    if first and rank == 1 and matrix.ndim == 2:  # a matrix times a vector
        turned = tuple(array.T for array in weight.arrays)
        same = weight.fixed is not None
        turned = (turned[0],) * len(turned) if same else turned
        node = replace(node, inputs=(x, replace(weight, arrays=turned)))
    return noted(node, importer(node), place)


def _of_any_sample(node: NodeContext, weight: KnownArray, rank: int, x: Value) -> KnownArray:
    """The matrices that each sample of x meets, which are the same for all."""
    place = node.placement(x)
    moved = in_front(node, weight, rank, place, place.lengths(x.type.shape))
    assert isinstance(moved, KnownArray)
    sample = moved.arrays[0][0]
    if not all(repeats(array, sample) for array in moved.arrays):
        raise mixes_batch(node)
    return node.scope.known(sample, weight.name)


def matrices(importer: Importer, node: NodeContext) -> Results:
    """MatMul of two values whose batch axes stand in the same place, in front of the matrices."""
    values = [item for item in node.inputs if isinstance(item, Value)]
    least, rank = (how(rank_of(node, value) for value in values) for how in (min, max))
    places = {node.placement(v).behind(rank - rank_of(node, v)) for v in values}
    joined = [node.placement(v).lengths(v.type.shape) for v in values]
    place, lengths = common_place(node, places, joined)
    if least < 2 or (place.at is not None and place.at >= rank - 2):
        raise mixes_batch(node)
    inputs = tuple(in_front(node, value, rank, place, lengths) for value in values)
    return noted(node, importer(replace(node, inputs=inputs)), place)


def gemm(importer: Importer, node: NodeContext) -> Results:
    """Gemm of rows that are not all of different samples."""
    x = node.item(0)
    if isinstance(x, Value) and node.placement(x) == WHOLE and node.integer("transA", 0):
        return gemm(importer, _turned(node, x))
    if not isinstance(x, Value):
        return importer(node)
    if is_first(node, x):
        return batch_first(importer, node)
    if node.placement(x).at not in (0, None) or node.integer("transA", 0):
        raise mixes_batch(node)
    return noted(node, importer(node), node.placement(x))


def _turned(node: NodeContext, x: Value) -> NodeContext:
    """A Gemm of one sample that reads its first factor the other way round."""
    if len(x.type.shape) != 2:
        raise InvalidNode(f"multiplies a matrix, not a value of shape {x.type.shape}")
    turned = with_placement(node, node.part("turned", Transpose((1, 0)), x), WHOLE)
    attributes = {**node.attributes, "transA": 0}
    return replace(node, inputs=(turned, *node.inputs[1:]), attributes=attributes)


def einsum(importer: Importer, node: NodeContext) -> Results:
    """Einsum of values whose batch axis is at any index: the same with that one first."""
    terms, result = terms_of(node)
    free = next(label for label in ascii_letters if label not in "".join(terms) + result)
    places = {i: node.placement(x) for i, x in enumerate(node.inputs) if isinstance(x, Value)}
    found = {free if p.at is None else terms[i][p.at : p.at + 1] for i, p in places.items()}
    batch = found.pop()
    if found or any(p.joined_axes for p in places.values()) or (batch not in result + free):
        raise mixes_batch(node)
    moved = [batch + t.replace(batch, "", 1) if i in places else t for i, t in enumerate(terms)]
    equation = f"{','.join(moved)}->{batch}{result.replace(batch, '', 1)}"
    inner = replace(node, attributes={**node.attributes, "equation": equation})
    place = WHOLE if batch == free else Placement(result.index(batch))
    return noted(node, importer(inner), place)


def side_by_side(importer: Importer, node: NodeContext) -> Results:
    """What takes images, of which every sample holds several: they become channels of one."""
    return _in_channels(importer, node, True)


def resize(importer: Importer, node: NodeContext) -> Results:
    """The same for a resize; by scales, for sizes state the number of channels."""
    if node.item(3) is not None:
        return batch_first(importer, node)
    return _in_channels(importer, node, False)


def _in_channels(importer: Importer, node: NodeContext, repeated: bool) -> Results:
    """``repeated`` says whether the other operands have something for each channel."""
    x = node.activation()
    place, shape = node.placement(x), x.type.shape
    if is_first(node, x) or place.at not in (0, None):
        return batch_first(importer, node)
    axes = 1 if place.at is None else place.joined_axes
    if len(shape) <= axes:
        raise InvalidNode(f"reads images of shape {shape[axes:]}")
    count = prod(shape[:axes])
    image = node.part("images", Reshape((count * shape[axes], *shape[axes + 1 :])), x)
    others = [_repeated(i, count) if repeated else i for i in node.inputs[1:]]
    inner = replace(
        node,
        inputs=(image, *others),
        attributes={
            **node.attributes,
            **{name: node.integer(name, 1) * count for name in ("group", "num_groups")},
        },
        outputs=(f"{node.output}.images", *node.outputs[1:]),
    )
    found = importer(inner)
    if isinstance(found, KnownArray):
        pairs = [a.reshape(len(a), *shape[:axes], -1, *a.shape[2:]) for a in found.arrays]
        return merge([place.to_model(array) for array in pairs], node.output)
    assert isinstance(found, Value)
    apart = found.type.shape[0] // count, *found.type.shape[1:]
    return noted(node, node.add(Reshape((*shape[:axes], *apart)), found), place)


def _repeated(item: AbstractValue, count: int) -> AbstractValue:
    if not isinstance(item, KnownArray):
        return item
    arrays = tuple(np.concatenate([array] * count) for array in item.arrays[:1])
    return KnownArray(arrays * len(item.arrays), item.name)
