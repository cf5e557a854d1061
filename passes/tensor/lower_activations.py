"""Lower activation functions, and products of two values, to sums of clips.

A function becomes piecewise linear, with slopes a_k on its measured range ``b_0 .. b_K``:

    f(x) = f(b_0) + sum_k a_k clip(x - b_k, 0, b_{k+1} - b_k)

Every clip is a population whose levels span exactly its segment, with both ends on a level. So the
rounding error is that of one segment, whatever their number.

A product is a sum of gates, which the bits of one operand open for the other (see `gates`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from qcompiler.ir import (
    Diagnostic,
    Graph,
    Node,
    Range,
    UnsupportedModel,
    Value,
    drop_dead,
    raise_if_any,
)
from qcompiler.ir.ann import Add, Affine, Conv, Dense, Function, Multiply, SumPool
from qcompiler.passes.activations.activation_fit import (
    ActivationFit,
    gains_of,
    power_of,
    range_of,
    width_of,
)
from qcompiler.passes.activations.attainable import Attainable, between
from qcompiler.passes.activations.channel_fits import Channels, channel_segments, clips_of
from qcompiler.passes.activations.clip_sums import ClipSumBuilder
from qcompiler.passes.activations.duplication import (
    MOST_CLIPS,
    duplicate_layers,
    is_small,
    most_clips,
    split_outputs,
    split_readers,
)
from qcompiler.passes.activations.fine_values import FineValues
from qcompiler.passes.activations.gates import Gates
from qcompiler.passes.activations.inlining import inline_sums, is_few
from qcompiler.passes.activations.piecewise import PiecewiseLinear
from qcompiler.passes.activations.resolution import Resolution
from qcompiler.passes.activations.segments import error_between, fit
from qcompiler.passes.base import Pass, check_fan_in
from qcompiler.passes.calibration.data import NOT_FINITE
from qcompiler.passes.folding.affine import SUMS
from qcompiler.passes.quantization.fusion_groups import is_network_output
from qcompiler.passes.quantization.levels import PRECISE, check_levels, levels_of, output_levels
from qcompiler.passes.quantization.slope_limits import check_weight_bits

_MANY_JUMPS = "scale the values before this node down, so that they cross fewer whole numbers"
_FINER = 2  # times the default levels of an output: segments pay for no more
_SUMMING = Conv | Dense | SumPool | Add | Affine | Multiply
_FINE_ENDS: tuple[float, ...] = (0.5,)  # of the error, where outputs have many levels
_FINE_FITS = (0.6, 0.8)  # of the error, where readers sum segments, which no levels round


def _half_level(levels: int) -> float:
    return 0.5 / (levels - 1)


@dataclass(frozen=True)
class LowerActivations(Pass):
    """Turn functions and products of ranged tensors into sums of clips.

    ``activation_error`` is the largest error of the segments, as a share of the output's range;
    0 is half of one of its levels, and less where layers will sum the segments. No segment is so
    narrow that one level of its input moves it further than a weight can hold, even if the error is
    larger then. ``t_max``, ``output_t_max`` and ``weight_bits`` are those of `quantize`. A sum of
    clips stays a population if the layer behind it would sum more than ``fan_in`` elements of them
    (0: no limit). Raises UnsupportedModel for a function that is not finite on the range of its
    variable.
    """

    name: ClassVar[str] = "lower-activations"
    activation_error: float = 0.0
    t_max: int = 16
    output_t_max: int = 0
    weight_bits: int = 8
    fan_in: int = 0

    def __post_init__(self) -> None:
        check_fan_in(self.fan_in)
        if not 0 <= self.activation_error < 1:
            raise ValueError("activation_error must be at least 0 and below 1")
        check_levels(self.t_max, output_t_max=self.output_t_max)
        check_weight_bits(self.weight_bits)

    def __call__(self, graph: Graph) -> Graph:
        """Lower node by node, then move clips to where they need fewer windows."""
        fine = FineValues(graph, self.t_max, self.weight_bits)
        lowered = self._lowered(graph, fine)
        while left := fine.populations(lowered):  # whose slices would cost neurons, and save none
            fine = FineValues(graph, self.t_max, self.weight_bits, fine.kept | left)
            lowered = self._lowered(graph, fine)
        return lowered

    def _lowered(self, graph: Graph, fine: FineValues) -> Graph:
        graph = fine.sliced()
        faults: list[Diagnostic] = []
        nodes: list[Node] = []
        gates = Gates(graph, self.t_max, self.output_t_max, fine.found)
        for node in graph.nodes:
            match node.op:
                case Function(formula):
                    try:
                        nodes += self._function(graph, node, formula)
                    except ValueError as error:
                        message = f"{formula!r} {error}"
                        help_ = _MANY_JUMPS if "chooses" in str(error) else NOT_FINITE
                        faults.append(Diagnostic(message, node.origin, help_))
                case Multiply():
                    new = self._builder(graph, node)
                    nodes += new.total(*gates.terms(new))
                case _:
                    nodes.append(node)
        raise_if_any(faults, UnsupportedModel)
        made = drop_dead(replace(graph, nodes=tuple(nodes)))
        lowered = split_readers(made, SUMS, self.fan_in)
        precise = self.t_max >= PRECISE
        if not precise and _has_products(graph):
            lowered = inline_sums(lowered, self._resolution(lowered), self.fan_in)
        lowered = duplicate_layers(lowered, self._resolution(lowered))
        return split_outputs(lowered, SUMS, self.fan_in) if precise else lowered

    def fits(self, graph: Graph) -> Iterator[ActivationFit]:
        """The fit of every function of a graph with ranges."""
        for node in graph.nodes:
            if isinstance(node.op, Function):
                domain = range_of(node.operands[0], node)
                found = self._fit(graph, node, node.op.formula, domain)
                share = power_of(node.arrays) / width_of(node)
                fitted = self._fitted(graph, node, domain, found, found.error * share)
                jump = error_between(node.op.formula, domain, found) * share
                yield fitted._replace(jump=jump if jump > fitted.bound else 0.0)

    def products(self, graph: Graph) -> Iterator[tuple[Node, int, int]]:
        """Every product of a graph with ranges, its bits, and the neurons of bits and gates."""
        fine = FineValues(graph, self.t_max, self.weight_bits)
        gates = Gates(fine.sliced(), self.t_max, self.output_t_max, fine.found)
        for node in graph.nodes:
            if isinstance(node.op, Multiply):
                bits, neurons = gates.cost(node)
                yield node, bits, neurons

    def _fitted(
        self, graph: Graph, node: Node, domain: Range, found: PiecewiseLinear, error: float
    ) -> ActivationFit:
        segments, bound = len(found.knots) - 1, self._share(graph, node)
        return ActivationFit(node, domain, segments, error, bound, len(found.steps))

    def _share(self, graph: Graph, node: Node) -> float:
        if self.activation_error:
            return self.activation_error
        levels = levels_of(graph, node.result, self.t_max, self.output_t_max)
        if is_network_output(graph, node.result):
            shape = node.result.type.shape
            levels = min(levels, _FINER * output_levels(self.t_max, self.output_t_max, shape))
        return _half_level(levels)

    def _fit(self, graph: Graph, node: Node, formula: str, domain: Range) -> PiecewiseLinear:
        bound, resolution = self._share(graph, node) * width_of(node), self._resolution(graph)
        bound /= power_of(node.arrays)
        (x,) = (operand for operand in node.operands if isinstance(operand, Value))
        width = resolution.narrowest(x, node.result)
        found = fit(formula, domain, bound, width)
        if (group := resolution.fusable(x)) is None:
            return found
        fused = float(resolution.narrowest_fused(group, node.result).max())
        if np.count_nonzero(found.slopes) == 1:  # which is fused in any case
            return fit(formula, domain, bound, max(width, fused))
        width = min(width, fused) if is_small(group) else width
        precise = self.t_max >= PRECISE and not self.activation_error
        if precise and is_network_output(graph, node.result):
            shares, least = _FINE_ENDS, 2 * fused  # with room for what sums exceed it by
        else:
            shares, least = _FINE_FITS if self._is_summed(graph, node) else (), 0.0
        finer = (fit(formula, domain, share * bound, width) for share in shares)
        few = (one for one in finer if np.count_nonzero(one.slopes) <= MOST_CLIPS)
        wide = (one for one in few if np.diff(one.knots).min() >= least)
        return next(wide, fit(formula, domain, bound, width))

    def _of_channels(
        self, graph: Graph, node: Node, formula: str, domain: Range, found: PiecewiseLinear
    ) -> tuple[PiecewiseLinear, ...]:
        """Fits of the channels where one for all suits only some; else none."""
        (x,) = (operand for operand in node.operands if isinstance(operand, Value))
        resolution, bound = self._resolution(graph), self._share(graph, node) * width_of(node)
        if (group := resolution.fusable(x)) is None:
            return ()
        widths = resolution.narrowest_fused(group, node.result)
        channels = Channels(widths, gains_of(node), range_of(node.result, node))
        if not channels.misfit(found, bound):
            return ()
        return channels.fits(formula, domain, bound, most_clips(group, self.t_max))

    def _is_summed(self, graph: Graph, node: Node) -> bool:
        """Whether layers will sum the segments of a function: `inline_sums` does that."""
        known = self.activation_error or self.t_max >= PRECISE
        readers = graph.users(node.result)
        layers = bool(readers) and all(isinstance(user.op, _SUMMING) for user in readers)
        return not known and layers and _has_products(graph) and not is_few(graph)

    def _resolution(self, graph: Graph) -> Resolution:
        limit = (1 << (self.weight_bits - 1)) - 1
        return Resolution(graph, self.t_max, self.output_t_max, limit)

    def _function(self, graph: Graph, node: Node, formula: str) -> tuple[Node, ...]:
        x = node.operands[0]
        domain = range_of(x, node)
        found = self._fit(graph, node, formula, domain)
        if each := self._of_channels(graph, node, formula, domain, found):
            new = self._builder(graph, node)
            return new.total(*channel_segments(new, x, each))
        if found.jumps and isinstance(x, Value):
            found = between(found, Attainable(graph, self.t_max, self.output_t_max).of(x))
        new = self._builder(graph, node)
        terms = new.segments([(x, 1.0)], 0.0, found, 1.0)
        return new.total(terms, float(found.values[0]))

    def _builder(self, graph: Graph, node: Node) -> ClipSumBuilder:
        return ClipSumBuilder(node, self._resolution(graph).levels_of_segments(node.result))


def _has_products(graph: Graph) -> bool:
    return any(isinstance(node.op, Multiply) for node in graph.nodes)
