"""Compiling schedules of one network, and measuring each on calibration images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from qcompiler.backends.backend import Backend
from qcompiler.data import check_labels
from qcompiler.ir import (
    CompileError,
    DataError,
    Graph,
    InvalidGraph,
    PipelineError,
    UnsupportedModel,
    verify,
)
from qcompiler.ir.kernels import Array
from qcompiler.passes import Pass, Pipeline
from qcompiler.passes.assign_levels import AssignLevels
from qcompiler.passes.calibration.data import check, run_precisely
from qcompiler.passes.calibration.snap import snapped_range
from qcompiler.passes.clip_outputs import ClipOutputs
from qcompiler.passes.normalize import Normalize
from qcompiler.passes.quantization.levels import spiking_values, times_of
from qcompiler.passes.quantization.logits import until_logits
from qcompiler.passes.refine_outputs import RefineOutputs
from qcompiler.passes.split_inputs import SplitInputs
from qcompiler.passes.split_windows import SplitWindows

from .accuracy_cost import AccuracyCost
from .drift import LossEstimate, estimate_loss
from .halves import Measuring, here, on_cluster, with_option
from .latency import LatencyModel
from .pareto import Budget, Cost, Point

if TYPE_CHECKING:
    from distributed import Client

Options: TypeAlias = tuple[tuple[str, float], ...]  # of the pipeline, by name

_FEWEST_IMAGES = 40
_TAIL = 0.1  # percent of images whose winner, or runner-up, may lie beyond the clipped outputs
_MARGIN = 2.0  # of the errors that the budget allows: how far they may carry a winner or runner-up
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
        self.labels = labels if budget.kind == "drop" else None
        self.before = Pipeline(self.done).run(graph)
        verify(self.before, *self.rest[0].requires)
        common = Measuring(self.before, backend, data, costs)
        self.halves = here(common) if client is None else on_cluster(common, client)
        self.real = _reference_outputs(self.before, data)
        if self.labels is not None:
            check_labels(self.labels, self.real.shape[1])
        self.accuracy_cost = AccuracyCost(self.real, self.labels, budget.percent)
        self.noise = float(
            self.accuracy_cost.sizes[self._last_within(self.accuracy_cost.noise, 1.0)]
        )
        self.clip = _clip(self.real, _MARGIN * self.noise)
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
        try:
            steps = self._lowering(levels, uniform, options)
            found, latency, interval, cost = self._outputs(steps)
        except (UnsupportedModel, InvalidGraph) as error:
            self.refusal = error
            point = Point(levels, self.latency_model.latency(levels), 0, **known)
            return self._noted(point), 0.5
        bounded = not uniform and self.clipped is not self.before
        real = self.real.clip(self.clip.low, self.clip.high) if bounded else self.real
        estimate = estimate_loss(real, found, self.labels)
        point = self._noted(Point(levels, latency, interval, estimate, cost=cost, **known))
        scaled = [
            estimate_loss(real, real + scale * (found - real), self.labels) for scale in _SCALES
        ]
        return point, float(_SCALES[self._last_within(scaled, self._factor)])

    def uniform_levels(self, t_max: int, options: Options = ()) -> tuple[int, ...]:
        """What every value has with one t_max for all, and the ends' own numbers."""
        ends = SplitInputs | RefineOutputs
        splits: tuple[Pass, ...] = tuple(s for s in self.rest if isinstance(s, ends))
        for name, value in (("t_max", t_max), *options):
            splits = tuple(with_option(s, name, value) for s in splits)
        graph = Pipeline(splits).run(self.clipped)
        outputs = next((s.output_t_max for s in self.rest if isinstance(s, Normalize)), 0)
        return tuple(times_of(graph, value, t_max, outputs) for value in spiking_values(graph))

    def pipeline(self, point: Point) -> Pipeline:
        """The whole pipeline that makes a schedule."""
        lowering = self._lowering(point.levels, point.uniform, point.options)
        return Pipeline((*self.done, *lowering.passes))

    def _lowering(self, levels: tuple[int, ...], uniform: int | None, options: Options) -> Pipeline:
        """The passes behind those that are done."""
        if uniform:
            steps = self.rest
            for name, value in (("t_max", uniform), *options):
                steps = tuple(with_option(step, name, value) for step in steps)
            return Pipeline(steps)
        return Pipeline((self.clip, AssignLevels(":".join(map(str, levels))), *self.rest))

    def _outputs(self, steps: Pipeline) -> tuple[Array, int, int, Cost | None]:
        """Outputs of all images, the step of the last output spike, frame interval and cost."""
        found = np.zeros_like(self.real)
        one, other = self.halves(steps)
        found[0::2], found[1::2] = one.outputs, other.outputs
        return found, other.last_step, other.interval, other.cost

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


def _reference_outputs(graph: Graph, data: tuple[Array, ...]) -> Array:
    """Outputs of the real network, ``images x classes``."""
    check(graph, data)
    if len(graph.outputs) != 1:
        raise UnsupportedModel(
            f"the search needs a classifier with one output; this model has {len(graph.outputs)}"
        )
    if len(data[0]) < _FEWEST_IMAGES:
        raise DataError(
            f"the search needs at least {_FEWEST_IMAGES} calibration images, not {len(data[0])}"
        )
    cut = until_logits(graph)
    found = run_precisely(cut, data)
    if found[0].size < 2:
        raise UnsupportedModel("the search needs an output with several elements, one per class")
    return found.reshape(len(found), -1)


def _clip(real: Array, away: float) -> ClipOutputs:
    """Outputs from the smallest winner to the largest runner-up: beyond, nothing is decided."""
    ordered = np.sort(real, axis=1)
    ends = np.percentile(ordered[:, -1], _TAIL), np.percentile(ordered[:, -2], 100 - _TAIL)
    return ClipOutputs(*snapped_range((float(min(ends)) - away, float(max(ends)) + away)))
