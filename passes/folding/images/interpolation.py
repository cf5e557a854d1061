"""Images resized by linear interpolation, as the frontend writes Resize and ConvTranspose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np

from qcompiler.ir import Graph, Node, Operand, Value
from qcompiler.ir.ann import Add, Affine, Conv
from qcompiler.ir.index_maps import places_of
from qcompiler.ir.kernels import Array, convolve, expand_to_rank
from qcompiler.ir.view import Take, View
from qcompiler.passes.folding.arrangement.view_chains import arrangement, chain_above
from qcompiler.passes.folding.linear import parameters
from qcompiler.passes.folding.neighbours import only_producer, scale_and_shift

from .axis_matrix import AxisMatrix

_NOTHING = 1e-6  # what single precision leaves of an exact zero


@dataclass(frozen=True)
class Stretch:
    """An image each of whose axes of space has been multiplied by a matrix."""

    source: Value
    matrices: tuple[AxisMatrix, ...]
    node: Node


@dataclass(frozen=True)
class _Term:
    """Elements of the source, chosen along every axis of space, times a scale."""

    source: Operand
    places: tuple[Array, ...]
    scale: Array

    def of(self, image: Array) -> Array:
        """What the term makes of one channel."""
        found: Array = image[np.ix_(*self.places)] * self.scale
        return found


def stretch_of(node: Node, graph: Graph) -> Stretch | None:
    """The resized image that a node, and nothing else, reads; None if it reads none."""
    return _interpolated(node, graph) or _transposed(node, graph)


def _interpolated(node: Node, graph: Graph) -> Stretch | None:
    inner = only_producer(node, graph, Add)
    terms = [_term(operand, graph) for operand in inner.operands] if inner else []
    found = [term for term in terms if term is not None]
    if inner is None or len(found) < len(terms) or len({t.source.name for t in found}) > 1:
        return None
    source = found[0].source
    assert isinstance(source, Value)
    space = source.type.shape[1:]
    matrices = tuple(_matrix(found, axis, length) for axis, length in enumerate(space))
    probe = np.random.default_rng(len(found)).standard_normal(space)
    total = sum(term.of(probe) for term in found)
    alike = np.allclose(total, _product(probe, matrices))
    return Stretch(source, matrices, inner) if alike else None


def _transposed(node: Node, graph: Graph) -> Stretch | None:
    """What a transposed convolution makes of every channel alike, if it is known axis by axis."""
    inner = only_producer(node, graph, View)
    views, layer = chain_above(graph, inner) if inner else ([], None)
    if layer is None or (found := parameters(layer)) is None or not isinstance(layer.op, Conv):
        return None
    op, (weight, bias), source = layer.op, found, layer.operands[0]
    channels, *space = source.type.shape
    shape, phases = node.operands[0].type.shape, layer.result.type.shape
    if op.groups != channels or len(shape) != len(space) + 1 or shape[0] != channels:
        return None
    kernels = weight.reshape(channels, -1, *weight.shape[1:])
    places = places_of(phases, map(arrangement, views))
    each = np.arange(channels) * (prod(phases) // channels)
    moved = places[0] + each.reshape(-1, *(1,) * len(space))
    if bias.any() or (kernels != kernels[:1]).any() or not np.array_equal(places, moved):
        return None

    def enlarge(images: Array) -> Array:
        large = convolve(images[:, None], kernels[0].astype(float), op)
        found: Array = large.reshape(len(images), -1)[:, places[0]]
        return found

    assert isinstance(source, Value)
    windows = [(taps - 1) * d + 1 for taps, d in zip(weight.shape[2:], op.dilations, strict=True)]
    matrices = tuple(
        _response(enlarge, (shape[axis + 1], *space), axis, window)
        for axis, window in enumerate(windows)
    )
    probe = np.random.default_rng(channels).standard_normal(space)
    alike = np.allclose(enlarge(probe[None])[0], _product(probe, matrices))
    return Stretch(source, matrices, layer) if alike else None


def _response(
    enlarge: Callable[[Array], Array], shape: tuple[int, ...], axis: int, apart: int
) -> AxisMatrix:
    """What lines of pixels give in the middle, if rows of the other matrices sum up to 1 there.

    ``shape`` is the length afterwards and those of the image. Lines that no window holds two of,
    ``apart`` from each other, share an image; another one holds their numbers.
    """
    out, *space = shape
    entries: list[tuple[Array, ...]] = []
    for first in range(min(apart, space[axis])):
        lines = np.zeros((2, *space))
        chosen = np.moveaxis(lines, axis + 1, -1)[..., first::apart]
        chosen[0], chosen[1] = 1, np.arange(first, space[axis], apart)
        found = np.moveaxis(enlarge(lines), axis + 1, -1)
        for _ in range(len(space) - 1):
            found = found[:, found.shape[1] // 2]
        given, numbers = found
        rows = np.flatnonzero(np.abs(given) > _NOTHING)
        entries.append((rows, np.rint(numbers[rows] / given[rows]).astype(int), given[rows]))
    return AxisMatrix.of((out, space[axis]), *map(np.concatenate, zip(*entries, strict=True)))


def _term(operand: Operand, graph: Graph) -> _Term | None:
    node = graph.producer(operand)
    if node is None or not isinstance(node.op, Affine) or not node.result.type.shape[1:]:
        return None
    scale, shift = scale_and_shift(node)
    shape = node.result.type.shape
    scale = expand_to_rank(scale, len(shape))
    if shift.any() or len(scale) > 1:
        return None
    places = [np.arange(length) for length in shape]
    while (inner := graph.producer(node.operands[0])) and isinstance(inner.op, Take):
        node = inner
        places[inner.op.axis] = np.array(inner.op.indices)[places[inner.op.axis]]
    source = node.operands[0]
    if source.type.shape[0] != shape[0] or not np.array_equal(places[0], np.arange(shape[0])):
        return None
    return _Term(source, tuple(places[1:]), np.broadcast_to(scale[0], shape[1:]).astype(float))


def _matrix(terms: list[_Term], axis: int, length: int) -> AxisMatrix:
    """What each element along an axis counts, if the rows of the other matrices sum up to 1."""
    out = len(terms[0].places[axis])
    lines = [np.moveaxis(term.scale, axis, 0).reshape(out, -1)[:, 0] for term in terms]
    columns = np.concatenate([term.places[axis] for term in terms])
    rows = np.tile(np.arange(out), len(terms))
    return AxisMatrix.of((out, length), rows, columns, np.concatenate(lines))


def _product(image: Array, matrices: tuple[AxisMatrix, ...]) -> Array:
    for axis, matrix in enumerate(matrices):
        image = matrix.times(image, axis)
    return image
