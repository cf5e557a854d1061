"""Images resized by linear interpolation, as the frontend writes Resize and ConvTranspose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import NamedTuple

import numpy as np

from qcompiler.ir import Graph, Node, Operand, Value
from qcompiler.ir.ann import Add, Affine, Conv
from qcompiler.ir.index_maps import places_of
from qcompiler.ir.kernels import Array, convolve, expand_to_rank
from qcompiler.ir.view import Take, View
from qcompiler.passes.folding.arrangement.view_chains import arrangement, chain_above
from qcompiler.passes.folding.linear import parameters
from qcompiler.passes.folding.neighbours import only_producer, scale_and_shift

_NOTHING = 1e-6  # what single precision leaves of an exact zero
_MOST_LINES = 8  # of pixels along an axis that borders are put right for


@dataclass(frozen=True)
class Stretch:
    """An image each of whose axes of space has been multiplied by a matrix, ``out x length``."""

    source: Value
    matrices: tuple[Array, ...]
    node: Node


class Way(NamedTuple):
    """What one axis of the small image, or one line of it, gives to phases: ``tap x phase x d``."""

    weights: Array
    pads: tuple[int, int]
    stride: int = 1
    line: int | None = None


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
) -> Array:
    """What lines of pixels give in the middle, if rows of the other matrices sum up to 1 there.

    ``shape`` is the length afterwards and those of the image. Lines that no window holds two of,
    ``apart`` from each other, share an image; another one holds their numbers.
    """
    out, *space = shape
    matrix = np.zeros((out, space[axis]))
    for first in range(min(apart, space[axis])):
        lines = np.zeros((2, *space))
        chosen = np.moveaxis(lines, axis + 1, -1)[..., first::apart]
        chosen[0], chosen[1] = 1, np.arange(first, space[axis], apart)
        found = np.moveaxis(enlarge(lines), axis + 1, -1)
        for _ in range(len(space) - 1):
            found = found[:, found.shape[1] // 2]
        given, numbers = found
        rows = np.flatnonzero(np.abs(given) > _NOTHING)
        matrix[rows, np.rint(numbers[rows] / given[rows]).astype(int)] = given[rows]
    return matrix


def ways_of(matrix: Array, taps: int, pad: int, phases: int) -> list[Way] | None:
    """A kernel that is right inside of the image, and lines that put its borders right."""
    out, length = matrix.shape
    padded = np.pad(matrix, ((pad, taps - 1 - pad), (0, 0)))
    whole = np.stack([padded[tap : tap + out] for tap in range(taps)])
    whole = whole.reshape(taps, length, phases, length)  # tap, output, phase, input
    middle = whole[:, length // 2]
    used = np.flatnonzero((np.abs(middle) > _NOTHING).any(axis=(0, 1))) - length // 2
    if not used.size:
        return None
    nearest, farthest = min(0, int(used.min())), max(0, int(used.max()))
    kernel = middle[:, :, length // 2 + nearest : length // 2 + farthest + 1]
    rest = whole.copy()
    for at, distance in product(range(length), range(nearest, farthest + 1)):
        if 0 <= at + distance < length:
            rest[:, at, :, at + distance] -= kernel[:, :, distance - nearest]
    lines = np.argwhere((np.abs(rest) > _NOTHING).any(axis=(0, 2)))
    if len(lines) > _MOST_LINES:
        return None
    borders = [
        Way(rest[:, at, :, [line]].transpose(1, 2, 0), (at, length - 1 - at), 1, line)
        for at, line in lines.tolist()
    ]
    return [Way(kernel, (-nearest, farthest)), *borders]


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


def _matrix(terms: list[_Term], axis: int, length: int) -> Array:
    """What each element along an axis counts, if the rows of the other matrices sum up to 1."""
    found = np.zeros((len(terms[0].places[axis]), length))
    for term in terms:
        line = np.moveaxis(term.scale, axis, 0).reshape(len(found), -1)[:, 0]
        np.add.at(found, (np.arange(len(found)), term.places[axis]), line)
    return found


def _product(image: Array, matrices: tuple[Array, ...]) -> Array:
    for axis, matrix in enumerate(matrices):
        image = np.moveaxis(np.tensordot(matrix, image, (1, axis)), 0, axis)
    return image
