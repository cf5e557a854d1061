"""Give outputs more levels where few would cost accuracy.

Two scores in one level are a tie, and the class of the lower index wins. Most networks have few
frames whose best two scores are that close. Those with few features before the scores have more.
Outputs that are measured rather than compared need levels, too, where high precision is asked for.
They cost little: `split-windows` makes slices or digits of them. Where layers read an output as
well, such as a state or a code, they keep the levels of the network: the host gets a copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from qcompiler.ir import Graph, Invariant, Tensor, Value, drop_dead
from qcompiler.ir.ann import Clip, Rescale
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.invariants import NO_BATCHNORM, TENSOR_LEVEL
from qcompiler.ir.types import size
from qcompiler.passes.base import HIDDEN, Pass
from qcompiler.passes.calibration.answers import predictions
from qcompiler.passes.calibration.data import check, check_effort
from qcompiler.passes.folding.clips import is_code
from qcompiler.passes.folding.host_copies import reads_on_host, with_host_copy
from qcompiler.passes.quantization.fusion_groups import only_decoded
from qcompiler.passes.quantization.levels import (
    PRECISE,
    check_levels,
    map_values,
    spiking_values,
    times_of,
)
from qcompiler.passes.quantization.output_pieces import most_digits
from qcompiler.passes.slicing.quiet_outputs import is_quiet

from .measured_values import Measured, measured_with, remember

_FINE = 256  # levels
_TIES = 1 / 100  # share of frames; half of the tied ones name the other class
_SMALL, _SHARE = 1024, 1 / 16  # outputs of so few neurons, or of this share of all, cost little
_WINDOW = 16  # steps, in which four digits have as many levels
_IMAGES = 1024


@dataclass(frozen=True)
class RefineOutputs(Pass):
    """Give outputs that only the host reads ``output_t_max`` levels.

    With 0, small outputs get 256 if ``t_max`` is 64 or more; if they are scores whose largest two
    lie within one level in more than 1 % of the frames of ``calibration``: one array per input,
    ``images x shape``; or, with an ``effort`` and a ``t_max`` from 16 on, if they are next to
    nothing beside the network, and the noise of its values in them is too low for slices. Outputs
    that have a t_max of their own keep it. Raises DataError if the data do not fit, are empty or
    not finite.
    """

    name: ClassVar[str] = "refine-outputs"
    requires: ClassVar[tuple[Invariant, ...]] = (TENSOR_LEVEL, NO_BATCHNORM)
    t_max: int = 16
    output_t_max: int = 0
    effort: int = 0
    calibration: tuple[Array, ...] | None = field(default=None, metadata=HIDDEN, compare=False)

    def __post_init__(self) -> None:
        check_levels(self.t_max, output_t_max=self.output_t_max)
        check_effort(self.effort)

    def __call__(self, graph: Graph) -> Graph:
        """Write the levels into the types of outputs."""
        if self.t_max >= PRECISE and not self.output_t_max:
            graph = self._with_copies(graph)
        neurons = _neurons(graph)
        found = [v for v in _ends(graph) if self._may_change(graph, v, neurons)]
        measured: Measured | None = None
        if not self.output_t_max and self.t_max < PRECISE:
            few = self._next_to_nothing(graph, found, neurons)
            tied, measured = self._tied(graph, [v for v in found if v not in few])
            found = few + tied
        names, levels = {value.name for value in found}, self.output_t_max or _FINE

        def change(value: Value) -> Value:
            if value.name not in names or not isinstance(value.type, Tensor):
                return value
            return replace(value, type=replace(value.type, t_max=levels))

        graph = map_values(graph, change) if names else graph
        if measured:
            remember(graph, measured)
        return graph

    def _next_to_nothing(self, graph: Graph, values: list[Value], neurons: int) -> list[Value]:
        """Those of so few neurons that more levels cost nothing, if their rounding counts."""
        if self.calibration is None or self.effort == 0 or self.t_max < _WINDOW:
            return []
        few = [value for value in values if most_digits(size(value.type), neurons)]
        if few:
            check(graph, self.calibration)
        return few if few and is_quiet(graph, self.calibration, self.t_max) else []

    def _may_change(self, graph: Graph, value: Value, neurons: int) -> bool:
        assert isinstance(value.type, Tensor)
        if value.type.t_max or is_code(value):
            return False
        if self.output_t_max:
            return True
        cheap = size(value.type) <= max(_SMALL, _SHARE * neurons)
        return cheap and times_of(graph, value, self.t_max) < _FINE

    def _with_copies(self, graph: Graph) -> Graph:
        """The graph in which the host reads copies of the values that layers read, too."""
        for value in spiking_values(graph):
            node = graph.producer(value)
            if node is None or isinstance(node.op, Clip | Rescale) or only_decoded(graph, value):
                continue
            if reads_on_host(graph, value) and self._may_change(graph, value, _neurons(graph)):
                graph = drop_dead(with_host_copy(graph, value))
        return graph

    def _tied(self, graph: Graph, values: list[Value]) -> tuple[list[Value], Measured | None]:
        """Those whose largest two elements share a level in too many frames; what was measured."""
        if self.calibration is None or not values:
            return [], None
        check(graph, self.calibration)
        names = [value.name for value in values]
        arrays, measured = measured_with(graph, self.calibration, names, _IMAGES)
        ties = (_ties(arrays[v.name], times_of(graph, v, self.t_max)) for v in values)
        return [v for v, share in zip(values, ties, strict=True) if share > _TIES], measured


def _neurons(graph: Graph) -> int:
    return sum(size(value.type) for value in spiking_values(graph))


def _ends(graph: Graph) -> Iterator[Value]:
    """What becomes spikes and is read by the host alone."""
    for value in spiking_values(graph):
        if value not in graph.inputs and only_decoded(graph, value):
            yield value


def _ties(scores: Array, levels: int) -> float:
    """The share of frames whose largest two scores are less than a level apart; 0 if no scores."""
    if predictions(scores, None) is None:
        return 0.0
    flat = scores.reshape(len(scores), -1)
    second, first = np.partition(flat, -2, axis=1)[:, -2:].T
    return float(np.mean(first - second < (flat.max() - flat.min()) / (levels - 1)))
