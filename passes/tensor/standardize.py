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
from qcompiler.ir.ann import Add, Clip, Conv, Multiply, Rescale, SumPool
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.coding import Rescaling
from qcompiler.ir.spiking.invariants import NO_BATCHNORM, TENSOR_LEVEL
from qcompiler.passes.base import HIDDEN, Pass
from qcompiler.passes.calibration.answers import are_scores
from qcompiler.passes.calibration.data import RealNetwork, check, run, sample
from qcompiler.passes.calibration.feature_ranges import LEVELS, FeatureRanges, feature_ranges
from qcompiler.passes.calibration.grid import chooses, grid_of
from qcompiler.passes.calibration.histogram import check_method
from qcompiler.passes.calibration.rounded_inputs import (
    joined,
    relative_noise,
    rounded_apart,
    rounded_together,
    with_rounded_weights,
)
from qcompiler.passes.folding.arrangement.gains import with_scales_at_roots
from qcompiler.passes.folding.clips import is_code
from qcompiler.passes.folding.rescaling import ends, rescale_input, rescale_output, scalable_root
from qcompiler.passes.quantization.levels import coded_inputs, spiking_values
from qcompiler.passes.quantization.logits import logits
from qcompiler.passes.quantization.real_layer import gain_spread

from .fold_linear import FoldLinear

_UNLIKE, _UNLIKE_SCORES = 2.0, 8.0  # ratios of widths that are worth a look
_STEEPEST = 64.0  # ratio of the slopes of a channel's neurons: of a steeper one membranes overflow
_NARROWEST = 1e-30  # width that single precision can divide by
_CLEAR = 0.5  # of that ratio: where a sample has less, all data have less than the ratio
_WORTH = 0.25  # of the noise at the outputs that is left
_NOISY = 0.02**2  # noise at the outputs, relative to their variance, that counts
_NOISIER = 0.04**2  # that counts for integers with a level each
_NOISIEST = 0.05**2  # that counts for features alike, which only a longer window helps
_NOISE_LEFT = 0.01**2  # noise that is not worth a longer window
_FINER = (256, 1024)  # levels of inputs with more noise than that, as two digits
_WORTH_FINER = 0.5  # of the noise at the outputs that is left with more levels
_IMAGES = 64


@dataclass(frozen=True)
class Standardize(Pass):
    """Rescale inputs and outputs whose features have unlike ranges.

    ``calibration`` holds one array per input, ``images x shape``. An input is rescaled if one code
    for all features makes outputs noisy and a code for each, or more levels, do not. An output is
    rescaled if one range for all features is twice as wide as that of any; for scores, of which the
    largest counts, 8 times. Features are elements, or, where readers share weights, the indices of
    one axis; within a channel, or of a product, none is more than 64 times as wide. Ranges are
    those of `normalize`, by ``method`` and ``percentile``. Without data nothing changes. Raises
    DataError if the data do not fit, are empty or not finite.
    """

    name: ClassVar[str] = "standardize"
    requires: ClassVar[tuple[Invariant, ...]] = (TENSOR_LEVEL, NO_BATCHNORM)
    method: str = "mse"
    percentile: float = 99.9
    calibration: tuple[Array, ...] | None = field(default=None, metadata=HIDDEN, compare=False)

    def __post_init__(self) -> None:
        check_method(self.method, self.percentile)

    def __call__(self, graph: Graph) -> Graph:
        """Try inputs, then outputs."""
        if self.calibration is None:
            return graph
        check(graph, self.calibration)
        cut = self.percentile if self.method == "percentile" else None
        for index in range(len(graph.inputs)):
            graph = _with_input(graph, self.calibration, index, cut)
        decoded = (end for output in graph.outputs for end in ends(graph, output))
        for value in dict.fromkeys(decoded):
            graph = _with_output(graph, self.calibration, value, cut)
        return graph


def _with_input(graph: Graph, data: tuple[Array, ...], index: int, cut: float | None) -> Graph:
    value, array = graph.inputs[index], data[index]
    if is_code(value) or graph.is_output(value) or not graph.users(value):
        return graph
    if chooses(graph) and (grid := grid_of(array, True)) and grid.span < LEVELS:
        return graph  # one code for all is exact, and so are jumps
    kinds = {type(user.op) for user in graph.users(value)}
    together: Sequence[int] = ()  # one code, which may get more levels
    for axes in (*_choices(value, shared=bool(kinds & {Conv, SumPool})), together):
        ranges = feature_ranges(array, axes, percentile=cut)
        if (axes and ranges.ratio < _UNLIKE) or ranges.width.min() < _NARROWEST:
            continue
        made = _rescaled_input(graph, value, ranges, LEVELS)
        if len(spiking_values(made)) == len(spiking_values(graph)):
            return _better(graph, made, data, index, axes, ranges, cut)
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


def _rescaled_input(graph: Graph, value: Value, ranges: FeatureRanges, levels: int) -> Graph:
    rescaling = Rescaling(ranges.low, 1 / ranges.width)
    return FoldLinear()(rescale_input(graph, value, rescaling, levels if levels > LEVELS else None))


def _better(
    graph: Graph,
    made: Graph,
    data: tuple[Array, ...],
    index: int,
    axes: Sequence[int],
    ranges: FeatureRanges,
    cut: float | None,
) -> Graph:
    """The graph as made, with as many levels as its outputs need, if one code for all is noisy.

    Codes round inputs, and those of features the weights of their readers. Elements of a state with
    scales of their own count alike.
    """
    few = sample(data, _IMAGES)
    read = (v for out in graph.outputs for v in logits(graph, out, Rescale))
    names = list(dict.fromkeys(v.name for v in read))
    known = [RealNetwork(graph, names, 2 * len(few[0]))]
    exact = joined(known[0](few), names)
    x = few[index].astype(np.float64)

    def noise(network: Graph, rounded: Array) -> float:
        given = (*few[:index], rounded.astype(np.float32), *few[index + 1 :])
        if axes:  # the weights of readers have the scales of features
            network = with_rounded_weights(network, coded_inputs(network)[index])
        if network is not graph or not known:
            known[:] = []  # frees its memory before the next takes some
            known.append(RealNetwork(network, names, len(few[0])))
        found = joined(known.pop()(given), names)
        return float(np.mean([relative_noise(a, b) for a, b in zip(found, exact, strict=True)]))

    together = noise(graph, rounded_together(data[index], x, f"input {graph.inputs[index].name}"))
    grid = grid_of(data[index], False)
    integers = grid is not None and grid.span < LEVELS
    if together <= ((_NOISIER if integers else _NOISY) if axes else _NOISIEST):
        return graph
    apart = noise(made, rounded_apart(x, ranges, LEVELS))
    for levels in _FINER:
        if apart <= _NOISE_LEFT:
            break
        finer = feature_ranges(data[index], axes, levels=levels, percentile=cut)
        again = _rescaled_input(graph, graph.inputs[index], finer, levels)
        less = noise(again, rounded_apart(x, finer, levels))
        if less > _WORTH_FINER * apart:
            break
        made, apart = again, less
    return made if apart < _WORTH * together else graph


def _with_output(graph: Graph, data: tuple[Array, ...], value: Value, cut: float | None) -> Graph:
    if (made := scalable_root(graph, value)) is None:
        return graph
    lowest = made.op.low if isinstance(made.op, Clip) else None
    # Pixels of an image are one feature.
    choices = [axes for axes in _choices(value, shared=False) if len(axes) == 1]
    (few,) = joined(run(graph, sample(data, _IMAGES), [value.name]), [value.name])
    if are_scores(few):
        ratios = [feature_ranges(few, axes, lowest, percentile=cut).ratio for axes in choices]
        if max(ratios, default=1.0) < _CLEAR * _UNLIKE_SCORES:
            return graph
    (array,) = joined(run(graph, data, [value.name]), [value.name])
    for axes in choices:
        ranges = feature_ranges(array, axes, lowest, percentile=cut)
        least = _UNLIKE_SCORES if are_scores(array) else _UNLIKE
        if ranges.ratio < least or ranges.width.min() < _NARROWEST:
            continue
        limited = np.maximum(ranges.width, ranges.width.max() / _STEEPEST)
        for width in (limited,) if _of_like_terms(graph, made) else (ranges.width, limited):
            rescaling = Rescaling(-ranges.low / width, width)
            changed = with_scales_at_roots(FoldLinear()(rescale_output(graph, value, rescaling)))
            if gain_spread(changed) <= max(_STEEPEST, gain_spread(graph)):
                break
        if len(spiking_values(changed)) <= len(spiking_values(graph)):
            return changed
    return graph


def _of_like_terms(graph: Graph, made: Node) -> bool:
    """Whether a product, or a sum of some, gives a value: all features have the levels of one code.

    A feature that is narrower than one of these is lost, whatever its scale.
    """
    if not isinstance(made.op, Clip | Add):
        return isinstance(made.op, Multiply)
    terms = (graph.producer(operand) for operand in made.operands)
    return any(term is not None and _of_like_terms(graph, term) for term in terms)
