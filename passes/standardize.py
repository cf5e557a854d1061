"""Give the features of an input, or of an output, a scale and an offset of their own.

The host encodes inputs and decodes outputs, so each element can have its own code. The pass puts a
`Rescale` of the host behind an input and folds its inverse into the layers that read it:

    w x + b  =  (w / factor) ((x - offset) factor) + (b + w offset)

In front of an output it does the reverse.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from qcompiler.ir import Graph, Invariant, Node, Value
from qcompiler.ir.ann import Add, Affine, Clip, Conv, Dense, Pad, SumPool
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.coding import Rescaling, decode, encode
from qcompiler.ir.spiking.invariants import NO_BATCHNORM
from qcompiler.ir.view import View
from qcompiler.passes.calibration.data import check, run, sample
from qcompiler.passes.calibration.feature_ranges import LEVELS, FeatureRanges, feature_ranges
from qcompiler.passes.calibration.histogram import Histogram
from qcompiler.passes.folding.clips import is_code
from qcompiler.passes.folding.rescaling import rescale_input, rescale_output
from qcompiler.passes.quantization.fusion_groups import is_network_output
from qcompiler.passes.quantization.integer_layer import code_of
from qcompiler.passes.quantization.levels import integer_span, spiking_values

from .base import HIDDEN, Pass
from .fold_linear import FoldLinear

_LINEAR = Conv | Dense | Add | Affine | SumPool | Pad
_UNLIKE, _UNLIKE_SCORES = 2.0, 8.0  # ratios of widths that are worth a look
_WORTH = 0.25  # of the noise at the outputs that is left
_NOISY = 0.02**2  # noise at the outputs, relative to their variance, that counts
_IMAGES = 64


@dataclass(frozen=True)
class Standardize(Pass):
    """Rescale inputs and outputs whose features have unlike ranges.

    ``calibration`` holds one array per input, ``images x shape``. An input is rescaled if one code
    for all features makes outputs noisy and a code for each does not. An output is rescaled if one
    range for all features is twice as wide as that of any; for scores, of which the largest counts,
    8 times. Features are elements, or, where readers share weights, the indices of one axis.
    Without data nothing changes. Raises DataError if the data do not fit, are empty or not finite.
    """

    name: ClassVar[str] = "standardize"
    requires: ClassVar[tuple[Invariant, ...]] = (NO_BATCHNORM,)
    calibration: tuple[Array, ...] | None = field(default=None, metadata=HIDDEN, compare=False)

    def __call__(self, graph: Graph) -> Graph:
        """Try inputs, then outputs."""
        if self.calibration is None:
            return graph
        check(graph, self.calibration)
        for index in range(len(graph.inputs)):
            graph = _with_input(graph, self.calibration, index)
        for value in dict.fromkeys(graph.outputs):
            graph = _with_output(graph, self.calibration, value)
        return graph


def _with_input(graph: Graph, data: tuple[Array, ...], index: int) -> Graph:
    value, array = graph.inputs[index], data[index]
    if is_code(value) or graph.is_output(value) or not graph.users(value):
        return graph
    if 0 < integer_span(array) < LEVELS:
        return graph
    kinds = {type(user.op) for user in graph.users(value)}
    for axes in _choices(value, shared=bool(kinds & {Conv, SumPool})):
        ranges = feature_ranges(array, axes)
        if ranges.ratio < _UNLIKE:
            continue
        made = FoldLinear()(rescale_input(graph, value, Rescaling(ranges.low, 1 / ranges.width)))
        if len(spiking_values(made)) == len(spiking_values(graph)):
            return made if _is_worth(graph, data, index, ranges) else graph
    return graph


def _choices(value: Value, shared: bool) -> Iterator[Sequence[int]]:
    """Axes whose indices are features: all, or one; the first if weights are shared."""
    axes = range(len(value.type.shape))
    if shared:
        yield (0,)
        return
    yield tuple(axes)
    if len(axes) > 1:
        yield from ((axis,) for axis in axes)


def _is_worth(graph: Graph, data: tuple[Array, ...], index: int, ranges: FeatureRanges) -> bool:
    """Whether rounding to one code for all features makes outputs noisy, and to these does not."""
    few = sample(data, _IMAGES)
    names = [v.name for v in spiking_values(graph) if is_network_output(graph, v)]
    exact = _values(graph, few, names)

    def noise(rounded: Array) -> float:
        found = _values(graph, (*few[:index], rounded, *few[index + 1 :]), names)
        return float(np.mean([_noise(a, b) for a, b in zip(found, exact, strict=True)]))

    histogram = Histogram()
    histogram.add(data[index])
    shape = data[index].shape[1:]
    one = code_of(shape, LEVELS, histogram.least_squares(LEVELS))
    each = code_of(shape, LEVELS, (0.0, 1.0))
    x = few[index].astype(np.float64)
    together = noise(decode(one, encode(one, x)))
    apart = decode(each, encode(each, (x - ranges.low) / ranges.width))
    apart = (apart * ranges.width + ranges.low).astype(np.float32)
    return together > _NOISY and noise(apart) < _WORTH * together


def _noise(found: Array, exact: Array) -> float:
    """Mean squared error relative to the variance."""
    return float(np.mean((found - exact) ** 2) / (exact.var(axis=0).mean() or 1.0))


def _values(graph: Graph, data: tuple[Array, ...], names: list[str]) -> list[Array]:
    parts = list(run(graph, data, names))
    return [np.concatenate([part[name] for part in parts]).astype(np.float64) for name in names]


def _with_output(graph: Graph, data: tuple[Array, ...], value: Value) -> Graph:
    made = _linear_root(graph, value)
    if made is None:
        return graph
    (array,) = _values(graph, data, [value.name])
    lowest = made.op.low if isinstance(made.op, Clip) else None
    for axes in _choices(value, shared=False):
        if len(axes) > 1:
            continue  # pixels of an image are one feature
        ranges = feature_ranges(array, axes, lowest)
        if ranges.ratio < (_UNLIKE_SCORES if _are_scores(array) else _UNLIKE):
            continue
        rescaling = Rescaling(-ranges.low / ranges.width, ranges.width)
        changed = FoldLinear()(rescale_output(graph, value, rescaling))
        if len(spiking_values(changed)) == len(spiking_values(graph)):
            return changed
    return graph


def _are_scores(array: Array) -> bool:
    """Whether many of the features are the largest now and then, as scores of classes are."""
    rows = array.reshape(len(array), -1)
    winners = len(np.unique(rows.argmax(axis=1)))
    return winners >= max(2, min(rows.shape) / 4)


def _linear_root(graph: Graph, value: Value) -> Node | None:
    """The layer that computes an output, behind views, if a scale of each feature folds into it."""
    node = graph.producer(value)
    if graph.users(value):
        return None
    while node is not None and isinstance(node.op, View):
        source = node.operands[0]
        assert isinstance(source, Value)
        if graph.only_user(source) is not node:
            return None
        node = graph.producer(source)
    if node is None or (isinstance(node.op, Clip) and node.result != value):
        return None
    takes_scale = node.op == Clip(0.0) or isinstance(node.op, _LINEAR)
    return node if takes_scale else None
