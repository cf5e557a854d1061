"""Operators along some axes of values whose batch axis does not stand first."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qcompiler.frontend.importers.composites.normalization import MEAN_VARIANCE_AXES
from qcompiler.frontend.importers.layers.fourier import axis_of_dft
from qcompiler.frontend.importers.layers.pooling import axes_of_reduction
from qcompiler.frontend.importers.views.reshape import axis_of, mixes_batch
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.placement import FIRST, Placement
from qcompiler.ir.kernels import Array

from .batch_places import (
    Importer,
    Results,
    counted,
    known_integers,
    noted,
    rank_of,
    reduced,
    same_batch_axis,
    with_axis,
)

_JOINED = Placement(inner=1)  # of rows of which every sample has some


def split(importer: Importer, node: NodeContext) -> Results:
    """Split along an axis that is not the batch's."""
    x = node.activation()
    axis = counted(node, node.integer("axis", 0), x)
    return noted(node, importer(with_axis(node, axis)), node.placement(x))


def softmax(importer: Importer, node: NodeContext) -> Results:
    """Softmax over an axis that is not the batch's; before opset 13 over all from there on."""
    x = node.activation()
    place, rank = node.placement(x), rank_of(node, x)
    axis = axis_of(node.integer("axis", -1 if node.opset >= 13 else 1), rank)
    if node.opset < 13 and _behind(place, axis):
        raise mixes_batch(node)
    return noted(node, importer(with_axis(node, counted(node, axis, x))), place)


def along_axis(importer: Importer, node: NodeContext) -> Results:
    """What treats one axis, if no other the last, that is not the batch's."""
    x = node.activation()
    axis = counted(node, node.integer("axis", -1), x)
    return noted(node, importer(with_axis(node, axis)), node.placement(x))


def cumsum(importer: Importer, node: NodeContext) -> Results:
    """CumSum along an axis that is not the batch's."""
    x, given = node.activation(), node.fixed_integer(1, "axis")
    axes = [] if given is None else [counted(node, given, x)]
    inner = replace(node, inputs=(x, known_integers(node, axes)))
    return noted(node, importer(inner), node.placement(x))


def one_hot(importer: Importer, node: NodeContext) -> Results:
    """OneHot, whose axis stands in front of the batch's, or behind it."""
    x = node.activation()
    place, axis = node.placement(x), axis_of(node.integer("axis", -1), rank_of(node, x) + 1)
    if place.at is None:
        return noted(node, importer(with_axis(node, axis + 1)), place)
    if place.joined_axes:
        raise mixes_batch(node)
    front = axis <= place.at
    moved = place.behind(1) if front else place
    return noted(node, importer(with_axis(node, axis + 1 if front else axis)), moved)


def mean_variance(importer: Importer, node: NodeContext) -> Results:
    """MeanVarianceNormalization over axes that are not the batch's."""
    x, given = node.activation(), node.integers("axes") or MEAN_VARIANCE_AXES
    axes = [counted(node, axis, x) for axis in given]
    inner = replace(node, attributes={**node.attributes, "axes": axes})
    return noted(node, importer(inner), node.placement(x))


def dft(importer: Importer, node: NodeContext) -> Results:
    """DFT along an axis that is not the batch's; the last axis holds the parts of numbers."""
    x = node.activation()
    place, rank = node.placement(x), rank_of(node, x)
    if place.at == rank - 1:
        raise mixes_batch(node)
    axis = counted(node, axis_of_dft(node), x)
    inputs = (*(*node.inputs, None)[:2], known_integers(node, [axis]))
    return noted(node, importer(replace(with_axis(node, axis), inputs=inputs)), place)


def last_axes(importer: Importer, node: NodeContext) -> Results:
    """What treats all axes from one on together, that of the batch not among them."""
    x = node.activation()
    place, axis = node.placement(x), axis_of(node.integer("axis", -1), rank_of(node, x))
    if _behind(place, axis):
        raise mixes_batch(node)
    return noted(node, importer(with_axis(node, counted(node, axis, x))), place)


def _behind(place: Placement, axis: int) -> bool:
    return place.at is not None and place.at >= axis


def arg_max(importer: Importer, node: NodeContext) -> Results:
    """ArgMax and ArgMin over an axis that is not the batch's."""
    x = node.activation()
    given = axis_of(node.integer("axis", 0), rank_of(node, x))
    left = reduced(node, x, [given])
    return noted(node, importer(with_axis(node, counted(node, given, x))), left)


def gather(importer: Importer, node: NodeContext) -> Results:
    """Gather along an axis that is not the batch's, or within each sample of one joined with it."""
    x = node.activation()
    place, given = node.placement(x), axis_of(node.integer("axis", 0), rank_of(node, x))
    if given == 0 and place == _JOINED and (own := _of_a_sample(node, x.type.shape[0])) is not None:
        within = replace(with_axis(node, 1), inputs=(x, node.scope.known(own, "indices")))
        return noted(node, importer(within), FIRST)
    indices = node.fixed(1, "indices")
    inner = with_axis(node, counted(node, given, x))
    if indices is not None and place.at is not None and given < place.at:
        place = place.behind(indices.ndim - 1)
    return noted(node, importer(inner), place)


def _of_a_sample(node: NodeContext, length: int) -> Array | None:
    """The indices within a sample, if those of each sample are the same; else None.

    PyTorch gathers so from a flat tensor where strides are those of channels last.
    """
    known = node.known(1, "indices")
    found: list[Array] = []
    for array, batch in zip(known.arrays if known else (), node.scope.probes, strict=False):
        if array.dtype.kind != "i" or array.shape[:1] != (batch,):
            return None
        within = array.reshape(batch, -1) - length * np.arange(batch)[:, None]
        found += [row.reshape(array.shape[1:]) for row in within]
    if not found or any(not np.array_equal(one, found[0]) for one in found):
        return None
    return found[0] if found[0].size and found[0].min() >= 0 and found[0].max() < length else None


def slice_(importer: Importer, node: NodeContext) -> Results:
    """Slice along any axes."""
    x, old = node.activation(), node.opset < 10
    starts = node.integers("starts") if old else node.fixed_integers(1, "start")
    given = node.integers("axes") if old else node.fixed_integers(3, "axes")
    given = tuple(range(len(starts or ()))) if given is None else given
    axes = [counted(node, axis, x) for axis in given]
    if old:
        node = replace(node, attributes={**node.attributes, "axes": axes})
    else:
        inputs = (*node.inputs[:3], known_integers(node, axes), *node.inputs[4:])
        node = replace(node, inputs=inputs)
    return noted(node, importer(node), node.placement(x))


def pad(importer: Importer, node: NodeContext) -> Results:
    """Pad along axes that are not the batch's."""
    if node.text("mode", "constant") != "constant":
        return same_batch_axis(importer, node)
    x, old = node.activation(), node.opset < 11
    pads = (node.integers("pads") if old else node.fixed_integers(1, "pads")) or ()
    axes = (None if old else node.fixed_integers(3, "axes")) or range(rank_of(node, x))
    pairs = list(zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True))
    used = [(counted(node, axis, x), *pair) for axis, *pair in pairs if any(pair)]
    begins, ends = ([0] * (len(x.type.shape) + 1) for _ in range(2))
    for axis, begin, end in used:
        begins[axis], ends[axis] = begin, end
    inputs = (x, known_integers(node, begins + ends), *node.inputs[2:3])
    attributes = {**node.attributes, "pads": begins + ends}
    return noted(
        node, importer(replace(node, inputs=inputs, attributes=attributes)), node.placement(x)
    )


def reduce(importer: Importer, node: NodeContext) -> Results:
    """Reductions over axes that are not the batch's."""
    x, given = node.activation(), axes_of_reduction(node)
    if not given and not node.integer("noop_with_empty_axes", 0):
        given = tuple(range(rank_of(node, x)))
    dropped = [axis_of(axis, rank_of(node, x)) for axis in given or ()]
    axes = [counted(node, axis, x) for axis in dropped]
    inputs = (node.inputs[0], known_integers(node, axes))
    attributes = {**node.attributes, "axes": axes}
    left = reduced(node, x, dropped)
    return noted(node, importer(replace(node, inputs=inputs, attributes=attributes)), left)
