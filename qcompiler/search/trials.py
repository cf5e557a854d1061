"""Compiling schedules of one network, and measuring each on calibration images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from qcompiler.backends.backend import Backend
from qcompiler.data import check_labels
from qcompiler.ir import (
    CompileError,
    Graph,
    InvalidGraph,
    PipelineError,
    UnsupportedModel,
    verify,
)
from qcompiler.ir.kernels import Array
from qcompiler.passes import Pass, Pipeline
from qcompiler.passes.quantization.levels import spiking_values, times_of
from qcompiler.passes.spiking.split_windows import SplitWindows
from qcompiler.passes.tensor.assign_levels import AssignLevels
from qcompiler.passes.tensor.normalize import Normalize
from qcompiler.passes.tensor.refine_outputs import RefineOutputs
from qcompiler.passes.tensor.split_inputs import SplitInputs

from .accuracy_cost import AccuracyCost
from .alternate import Options, with_options
from .classifier import clip_of, reference_outputs
from .drift import LossEstimate, Outputs
from .halves import Half, Measuring, here, on_cluster, with_option
from .latency import LatencyModel
from .pareto import Budget, Cost, Point

if TYPE_CHECKING:
    from distributed import Client

_MARGIN = 2.0  # of the errors that the budget allows: how far they may carry a winner or runner-up
_SURE = 2.0  # standard errors of what half of the images lose
_SCALES = np.geomspace(0.5, 2, 33)  # of errors, from one trial to the next


class Trials:
    """The measured schedules of a network, as ``points``; ``log`` receives a line for each.

    ``steps`` is a pipeline that holds the calibration ``data``; ``labels`` are theirs. ``noise`` is
    the size of errors of all outputs that would use up the budget, were they just noise. Raises
    UnsupportedModel for a network that names no class, DataError for too few images or labels that
    do not fit, PipelineError for a pipeline without levels. With ``costs`` every trial estimates
    the energy, too. With a ``client`` its workers measure.
    """

    def __init__(
        self,
        graph: Graph,
        steps: Pipeline,
        backend: Backend,
        data: tuple[Array, ...],
        labels: Array | None,
        budget: Budget,
        log: Callable[[str], None],
        costs: bool = False,
        client: Client | None = None,
    ) -> None:
        self.data, self.budget, self.log = data, budget, log
        at = _schedule_position(steps)
        self.done, self.rest = steps.passes[:at], steps.passes[at:]
        if costs:  # slices are bought where they bring most for their energy
            self.rest = tuple(with_option(step, "price", "energy") for step in self.rest)
        self.labels = labels if budget.kind == "drop" else None
        self.before = Pipeline(self.done).run(graph)
        verify(self.before, *self.rest[0].requires)
        common = Measuring(self.before, backend, data, costs)
        self.price_of = common.price
        self.halves = here(common) if client is None else on_cluster(common, client)
        self.real = reference_outputs(self.before, data)
        if self.labels is not None:
            check_labels(self.labels, self.real.shape[1])
        self.accuracy_cost = AccuracyCost(self.real, self.labels, budget.percent)
        self.noise = float(
            self.accuracy_cost.sizes[self._last_within(self.accuracy_cost.noise, 1.0)]
        )
        self.clip = clip_of(self.real, _MARGIN * self.noise)
        self.clipped = self.clip(self.before)
        pieces = any(isinstance(step, SplitWindows) for step in self.rest)
        self.latency_model = LatencyModel(self.clipped, pieces)
        self._tried: list[Point] = []
        self.refusal: CompileError | None = None

    @property
    def points(self) -> list[Point]:
        """All that were measured; their loss is estimated jointly."""
        factor = self._factor
        estimate = [
            point.estimate and self.accuracy_cost.expected(point.estimate, factor)
            for point in self._tried
        ]
        return [
            replace(point, estimate=found, fits=found is not None and self._within(found))
            for point, found in zip(self._tried, estimate, strict=True)
        ]

    def measure(
        self, levels: tuple[int, ...], uniform: int | None = None, options: Options = ()
    ) -> tuple[Point, float]:
        """A schedule's point, and the factor of its errors that the budget would allow."""
        known: dict[str, Any] = {"uniform": uniform, "options": options}
        bounded = not uniform and self.clipped is not self.before
        real = self.real.clip(self.clip.low, self.clip.high) if bounded else self.real
        try:
            steps = self._lowering(levels, uniform, options)
            pair, network = self._outputs(steps, Outputs(real, real, self.labels))
        except (UnsupportedModel, InvalidGraph) as error:
            self.refusal = error
            point = Point(levels, self.latency_model.latency(levels), 0, **known)
            return self._noted(point), 0.5
        point = Point(levels, network.last_step, network.interval, pair.loss(), **known)
        noted = self._noted(replace(point, cost=network.cost))
        scaled = [pair.loss(scale) for scale in _SCALES]
        return noted, float(_SCALES[self._last_within(scaled, self._factor)])

    def price(self, levels: tuple[int, ...], uniform: int, options: Options) -> Cost | None:
        """About what a schedule costs, without measuring what it loses; None if it cannot be."""
        try:
            return self.price_of(self._lowering(levels, uniform, options))
        except (UnsupportedModel, InvalidGraph):
            return None

    def uniform_levels(self, t_max: int, options: Options = ()) -> tuple[int, ...]:
        """What every value has with one t_max for all, and the ends' own numbers."""
        ends = SplitInputs | RefineOutputs
        splits: tuple[Pass, ...] = tuple(s for s in self.rest if isinstance(s, ends))
        graph = Pipeline(with_options(splits, self.clipped, t_max, options)).run(self.clipped)
        outputs = next((s.output_t_max for s in self.rest if isinstance(s, Normalize)), 0)
        return tuple(times_of(graph, value, t_max, outputs) for value in spiking_values(graph))

    def pipeline(self, point: Point) -> Pipeline:
        """The whole pipeline that makes a schedule."""
        lowering = self._lowering(point.levels, point.uniform, point.options)
        return Pipeline((*self.done, *lowering.passes))

    def _lowering(self, levels: tuple[int, ...], uniform: int | None, options: Options) -> Pipeline:
        """The passes behind those that are done."""
        if uniform:
            return Pipeline(with_options(self.rest, self.before, uniform, options))
        return Pipeline((self.clip, AssignLevels(":".join(map(str, levels))), *self.rest))

    def _outputs(self, steps: Pipeline, real: Outputs) -> tuple[Outputs, Half]:
        """Outputs of all images, or of half of them if these are sure enough; and a half."""
        whole = real._replace(found=np.zeros_like(real.real))
        halves = iter(self.halves(steps))
        first = next(halves)
        part = real.every_second(first.first)._replace(found=first.outputs)
        loss = part.loss()
        if self._surely(False, loss) or (first.cost and self._surely(True, loss)):
            return part, first  # what is judged by its cost need not fit by a known margin
        for half in (first, *halves):
            whole.found[half.first :: 2] = half.outputs
        return whole, first

    def _noted(self, tried: Point) -> Point:
        self._tried.append(tried)
        point = self.points[-1]
        self.log(self.budget.describe(point))
        return point

    @property
    def _factor(self) -> float:
        return self.accuracy_cost.factor(
            [point.estimate for point in self._tried if point.estimate]
        )

    def _within(self, estimate: LossEstimate) -> bool:
        return self.budget.counted(estimate) <= self.budget.percent

    def _surely(self, fits: bool, estimate: LossEstimate) -> bool:
        """Whether it is within the budget, or not, with far more, or fewer, changed answers too."""
        errors = _SURE if fits else -_SURE
        found = self.accuracy_cost.expected(estimate, self._factor, errors)
        return fits == (self.budget.counted(found, errors) <= self.budget.percent)

    def _last_within(self, growing: Sequence[LossEstimate], factor: float) -> int:
        """The last of growing losses that is within the budget; 0 if none is."""
        expected = [self.accuracy_cost.expected(estimate, factor) for estimate in growing]
        return max(
            (at for at, estimate in enumerate(expected) if self._within(estimate)), default=0
        )


def _schedule_position(steps: Pipeline) -> int:
    """Where schedules are written: in front of the first pass that asks for a t_max."""
    for index, step in enumerate(steps.passes):
        if "t_max" in {field.name for field in fields(step)}:
            return index
    raise PipelineError("the search needs a pipeline with a pass that has the option t_max")
