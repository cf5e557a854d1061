"""Lower activation functions, and products of two values, to sums of clips.

A function becomes piecewise linear, with slopes a_k on its measured range ``b_0 .. b_K``:

    f(x) = f(b_0) + sum_k a_k clip(x - b_k, 0, b_{k+1} - b_k)

Every clip is a population whose levels span exactly its segment, with both ends on a level. So the
rounding error is that of one segment, whatever their number.

A product is a sum of gates, which the bits of one operand open for the other (see `gates`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from textwrap import shorten
from typing import ClassVar

import numpy as np

from qcompiler.ir import (
    Diagnostic,
    Graph,
    Invariant,
    Node,
    UnsupportedModel,
    Value,
    drop_dead,
    raise_if_any,
)
from qcompiler.ir.ann import Function, Multiply
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.invariants import TENSOR_LEVEL
from qcompiler.passes.activations.activation_fit import ActivationFit
from qcompiler.passes.activations.attainable import Attainable, between
from qcompiler.passes.activations.channel_fits import channel_segments
from qcompiler.passes.activations.clip_sums import ClipSumBuilder
from qcompiler.passes.activations.continuous_fit import MOST_SEGMENTS
from qcompiler.passes.activations.duplication import MOST_CLIPS, duplicate_layers
from qcompiler.passes.activations.fine_values import FineValues
from qcompiler.passes.activations.function_fits import FunctionFits
from qcompiler.passes.activations.gates import Gates
from qcompiler.passes.activations.inlining import inline_sums, inlines, keeps_sums, populations
from qcompiler.passes.activations.lost_variables import without_lost
from qcompiler.passes.activations.lowered_sums import split_outputs, split_readers
from qcompiler.passes.activations.products import states
from qcompiler.passes.activations.resolution import Resolution
from qcompiler.passes.activations.true_values import remember
from qcompiler.passes.base import HIDDEN, Pass, check_limits
from qcompiler.passes.calibration.data import NOT_FINITE
from qcompiler.passes.folding.arrangement.scalars import with_axes
from qcompiler.passes.quantization.levels import PRECISE, check_levels
from qcompiler.passes.quantization.slope_limits import check_weight_bits
from qcompiler.passes.tensor.even_variables import with_even_variables

_MANY_JUMPS = "scale the values before this node down, so that they cross fewer whole numbers"


@dataclass(frozen=True)
class LowerActivations(Pass):
    """Turn functions and products of ranged tensors into sums of clips.

    ``activation_error`` is the largest error of the segments, as a share of the output's range;
    0 is half of one of its levels, and less where layers will sum the segments. No segment is so
    narrow that one level of its input moves it further than a weight can hold, or that slopes in
    membranes up to ``potential`` (0: no limit) are too small, even if the error is larger then.
    ``t_max``, ``output_t_max`` and ``weight_bits`` are those of `quantize`. A sum of clips stays a
    population if the layer behind it would sum more than ``fan_in`` elements of them (0: no limit).
    With ``calibration``, an array per input, ``images x shape``, variables have channel scales.
    Raises UnsupportedModel for a function that is not finite on the range of its variable.
    """

    name: ClassVar[str] = "lower-activations"
    requires: ClassVar[tuple[Invariant, ...]] = (TENSOR_LEVEL,)
    activation_error: float = 0.0
    t_max: int = 16
    output_t_max: int = 0
    weight_bits: int = 8
    fan_in: int = 0
    potential: int = 0
    calibration: tuple[Array, ...] | None = field(default=None, metadata=HIDDEN, compare=False)

    def __post_init__(self) -> None:
        check_limits(fan_in=self.fan_in, potential=self.potential)
        if not 0 <= self.activation_error < 1:
            given = self.activation_error
            raise ValueError(f"activation_error must be at least 0 and below 1, not {given:g}")
        check_levels(self.t_max, output_t_max=self.output_t_max)
        check_weight_bits(self.weight_bits)

    def __call__(self, graph: Graph) -> Graph:
        """Lower node by node, then move clips to where they need fewer windows."""
        graph = without_lost(graph, self._resolution(graph))
        fine, finer = FineValues(graph, self.t_max), self._states(graph)
        lowered = self._lowered(graph, fine, finer)
        while (whole := fine.populations(lowered)) | (kept := populations(lowered) & finer):
            fine = FineValues(graph, self.t_max, fine.kept | whole)  # digits would save no neurons
            finer -= kept  # bits need no more levels than their populations have
            lowered = self._lowered(graph, fine, finer)
        if self.calibration is not None:
            lowered = with_even_variables(lowered, graph, self.calibration)
        remember(lowered, graph)
        return lowered

    def _states(self, graph: Graph) -> frozenset[str]:
        """The states that lowering may leave no population."""
        usual = self.t_max >= PRECISE or not inlines(graph, self.t_max)
        return frozenset() if usual else frozenset(states(graph))

    def _lowered(self, graph: Graph, fine: FineValues, finer: frozenset[str]) -> Graph:
        graph = fine.divided()
        lowered = self._sums(graph, Gates(graph, self.t_max, self.output_t_max, fine.found, finer))
        if inlines(graph, self.t_max) and not keeps_sums(lowered, self.t_max):
            coarse = bool(self._states(graph))
            lowered = inline_sums(lowered, self._resolution(lowered), self.fan_in, coarse)
        lowered = duplicate_layers(lowered, self._resolution(lowered), self.activation_error > 0)
        return split_outputs(lowered, self.fan_in) if self.t_max >= PRECISE else lowered

    def _sums(self, graph: Graph, gates: Gates) -> Graph:
        """The graph of sums of clips, of which some layers read the parts."""
        most = MOST_SEGMENTS if self.activation_error else MOST_CLIPS
        return split_readers(self._clips(graph, gates), self.fan_in, most)

    def _clips(self, graph: Graph, gates: Gates) -> Graph:
        """The graph with clips and their sums for functions and products."""
        faults: list[Diagnostic] = []
        nodes: list[Node] = []
        for node in graph.nodes:
            match node.op:
                case Function(formula):
                    try:
                        nodes += self._function(graph, node, formula)
                    except ValueError as error:
                        message = f"{shorten(formula, 200)!r} {error}"
                        help_ = _MANY_JUMPS if "chooses" in str(error) else NOT_FINITE
                        faults.append(Diagnostic(message, node.origin, help_))
                case Multiply():
                    new = self._builder(graph, node)
                    nodes += new.total(*gates.terms(new))
                case _:
                    nodes.append(node)
        raise_if_any(faults, UnsupportedModel)
        return with_axes(drop_dead(replace(graph, nodes=tuple(nodes))))  # bits are of the inputs

    def fits(self, graph: Graph) -> Iterator[ActivationFit]:
        """The fit of every function of a graph with ranges."""
        graph = without_lost(graph, self._resolution(graph))
        fits = self._fits(graph)
        for node in graph.nodes:
            if isinstance(node.op, Function):
                yield fits.told(node, node.op.formula)

    def products(self, graph: Graph) -> Iterator[tuple[Node, int, int]]:
        """Every product of a graph with ranges, its bits, and the neurons of bits and gates."""
        graph = without_lost(graph, self._resolution(graph))
        fine, few = FineValues(graph, self.t_max), keeps_sums(graph, self.t_max)
        given = (
            self.t_max,
            self.output_t_max,
            fine.found,
            frozenset() if few else self._states(graph),
        )
        gates = Gates(fine.divided(), *given)
        for node in graph.nodes:
            if isinstance(node.op, Multiply):
                bits, neurons = gates.cost(node)
                yield node, bits, neurons

    def _resolution(self, graph: Graph) -> Resolution:
        limit = (1 << (self.weight_bits - 1)) - 1
        return Resolution(graph, self.t_max, self.output_t_max, limit)

    def _function(self, graph: Graph, node: Node, formula: str) -> tuple[Node, ...]:
        x = node.operands[0]
        fits, new = self._fits(graph), self._builder(graph, node)
        found = fits.one(node, formula)
        if np.abs(found.slopes).max() > np.finfo(np.float32).max:
            raise ValueError("is too steep for weights in single precision")
        if each := fits.of_channels(node, formula, found):
            return new.total(*channel_segments(new, x, each))
        if found.jumps and isinstance(x, Value):
            found = between(found, Attainable(graph, self.t_max, self.output_t_max).of(x))
        return new.total(*new.segments(x, found, fits.start(x, found)))

    def _fits(self, graph: Graph) -> FunctionFits:
        return FunctionFits(self._resolution(graph), self.activation_error, self.potential)

    def _builder(self, graph: Graph, node: Node) -> ClipSumBuilder:
        return ClipSumBuilder(node, self._resolution(graph).levels_of_segments(node.result))
