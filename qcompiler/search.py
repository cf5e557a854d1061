"""The shortest schedule that keeps the answers of a classifier.

Schedules come from a family with one parameter (`family`), ordered by the error that the levels of
each value add to the outputs (`sensitivity`). The search compiles a few of them, and measures each
on calibration images: one half by a network compiled with the other half, and the other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from qcompiler.backends.backend import Backend
from qcompiler.backends.host import output_nodes
from qcompiler.backends.netlist import frame_interval
from qcompiler.backends.program import Program
from qcompiler.ir import (
    CompileError,
    DataError,
    Graph,
    PipelineError,
    UnsupportedModel,
    drop_dead,
    verify,
)
from qcompiler.ir.integer import spikes_of, start
from qcompiler.ir.kernels import Array
from qcompiler.passes import Pass, Pipeline
from qcompiler.passes.allot import Allot
from qcompiler.passes.calibration import check, run
from qcompiler.passes.clip_outputs import ClipOutputs, logits
from qcompiler.passes.equalize import Equalize
from qcompiler.passes.groups import is_last
from qcompiler.passes.integers import output_levels

from .family import Schedule, at_error, family
from .judge import Judgement, judge
from .schedules import Budget, Found, Point
from .sensitivity import MOST, errors
from .windows import Windows

_FEWEST_IMAGES = 40
_TRIALS = 5
_FINE, _COARSE = 1 / 16, 4.0  # squared errors of first trials, of what the budget allows
_CLOSE = 0.01  # of the latency: schedules closer than that are not told apart
_TAIL = 0.1  # percent of images whose winner, or runner-up, may lie beyond the clipped outputs
_AWAY = 2.0  # of the errors that the budget allows: how far they may carry a winner or runner-up
_SCALES = np.geomspace(0.5, 2, 33)  # of errors, from one trial to the next


def _first(steps: Pipeline) -> int:
    """Where schedules are written: in front of the first pass that asks for a t_max."""
    for index, step in enumerate(steps.passes):
        if "t_max" in {field.name for field in fields(step)}:
            return index
    raise PipelineError("the search needs a pipeline with a pass that takes a t_max")


class Search:
    """Compiles schedules of one network and measures them; ``tell`` hears of each.

    ``steps`` is a pipeline that holds the calibration ``data``; ``labels`` are theirs.
    """

    def __init__(
        self,
        graph: Graph,
        steps: Pipeline,
        backend: Backend,
        data: tuple[Array, ...],
        labels: Array | None,
        budget: Budget,
        tell: Callable[[str], None],
    ) -> None:
        self.steps, self.backend, self.data = steps, backend, data
        self.budget, self.tell = budget, tell
        self.labels = labels if budget.kind == "drop" else None
        self.before = Pipeline(steps.passes[: _first(steps)]).run(graph)
        self.real = _real(self.before, data)
        if (
            self.labels is not None
            and not 0 <= self.labels.min() <= self.labels.max() < self.classes
        ):
            raise DataError(
                f"labels must be from 0 to {self.classes - 1}, the classes of the output"
            )
        self.noise = self._noise()
        self.clip = _clip(self.real, _AWAY * self.noise)
        self.clipped = self.clip(self.before)
        self.windows = Windows(self.clipped)
        self.points: list[Point] = []
        self.chance = 0.0

    @property
    def classes(self) -> int:
        """Elements of the output."""
        return int(self.real.shape[1])

    def run(self) -> Found:
        """Measure until the shortest is known; CompileError if none keeps within the budget."""
        self.tell(f"measuring how sensitive {len(self.windows.values)} values are to few levels")
        schedules = self._family()
        fails, fits = self._bracket(schedules)
        if fits < len(schedules):
            self._narrow(schedules, fails, fits)
            self._uniform()
        fitting = [point for point in self.points if point.fits]
        if not fitting:
            raise CompileError(self._none())
        chosen = min(fitting, key=lambda point: point.length)
        accuracy = None
        if self.labels is not None:
            accuracy = 100 * float(np.mean(self.real.argmax(axis=1) == self.labels))
        names = tuple(value.name for value in self.windows.values)
        done = self.steps.passes[: _first(self.steps)]
        steps = Pipeline((*done, *self._pipeline(chosen.levels, chosen.uniform).passes))
        return Found(self.budget, names, tuple(self.points), chosen, accuracy, steps)

    def _family(self) -> list[Schedule]:
        graph = self.clipped
        if isinstance(step := self.steps.passes[_first(self.steps)], Equalize):
            graph = step(graph)
        return family(self.windows, errors(graph, self.data, logits(graph, graph.outputs[0])))

    def _bracket(self, schedules: list[Schedule]) -> tuple[int, int]:
        """The last that fails and the first that fits of a few schedules, finer and finer.

        What accuracy the last one loses, within one standard error, is put down to chance.
        """
        error, fails = self.noise**2, -1
        while fails < len(schedules) - 1:
            error *= _FINE
            at = max(fails + 1, at_error(schedules, error))
            judged = self._measured(schedules[at].levels)[0].judged
            if judged is None:
                return fails, at  # too fine for the target: the search goes on below
            self.chance = max(0.0, min(judged.drop or 0.0, judged.doubt))
            self.points = [replace(p, fits=self._fits(p.judged)) for p in self.points]
            if self._fits(judged):
                if self.chance:
                    self.tell(
                        f"of that, {self.chance:.2f} % are put down to chance, here and below"
                    )
                return fails, at
            fails = at
        return fails, len(schedules)

    def _fits(self, judged: Judgement | None) -> bool:
        if judged is None:
            return False
        return self.budget.counted(judged) - self.chance <= self.budget.percent

    def _narrow(self, schedules: list[Schedule], fails: int, fits: int) -> None:
        """Bisect between two schedules; the next trial is where the errors so far suggest it."""
        at = at_error(schedules, self.noise**2 * _COARSE)
        for trial in range(_TRIALS):
            at = min(max(at, fails + 1), fits - 1)
            if fits - fails <= 1 or self._close(schedules, fails, fits):
                return
            point, scale = self._measured(schedules[at].levels)
            fails, fits = (fails, at) if point.fits else (at, fits)
            at = at_error(schedules, schedules[at].error * scale**2)
            if trial >= _TRIALS // 2:
                at = (fails + fits) // 2

    def _close(self, schedules: list[Schedule], fails: int, fits: int) -> bool:
        long = schedules[fits].latency
        return fails >= 0 and long - schedules[fails].latency <= _CLOSE * long

    def _uniform(self) -> None:
        """Shorter schedules of one t_max for all, as long as they keep within the budget."""
        best = min((point.latency for point in self.points if point.fits), default=None)
        if best is None:
            return
        shorter = [
            t for t in range(2, MOST + 1) if self.windows.latency(self._uniform_levels(t)) < best
        ]
        while shorter:
            t_max = shorter.pop()
            if not self._measured(self._uniform_levels(t_max), t_max)[0].fits:
                return

    def _noise(self) -> float:
        """Size of the errors of all outputs that would use up the budget, were they just noise."""
        noise = np.random.default_rng(0).standard_normal(self.real.shape)
        sizes = np.ptp(self.real) * np.geomspace(1e-3, 1, 49)
        losses = [self._loss(self.real, self.real + size * noise) for size in sizes]
        return float(sizes[_last_within(losses, self.budget.percent)])

    def _loss(self, real: Array, found: Array) -> float:
        return self.budget.counted(judge(real, found, self.labels))

    def _measured(self, levels: tuple[int, ...], uniform: int | None = None) -> tuple[Point, float]:
        """A schedule's point, and the factor of its errors that the budget would allow."""
        try:
            found, latency, interval = self._outputs(self._pipeline(levels, uniform))
        except UnsupportedModel:
            return self._note(Point(levels, self.windows.latency(levels), 0, uniform=uniform)), 0.5
        real = self.real if uniform else self._bounded(self.real)
        judged = judge(real, found, self.labels)
        point = self._note(Point(levels, latency, interval, judged, self._fits(judged), uniform))
        losses = [self._loss(real, real + scale * (found - real)) for scale in _SCALES]
        return point, float(_SCALES[_last_within(losses, self.budget.percent + self.chance)])

    def _outputs(self, steps: Pipeline) -> tuple[Array, int, int]:
        """Outputs of all images, each by a network that was not compiled with it; its schedule."""
        found = np.zeros_like(self.real)
        for half in (0, 1):
            given = tuple(array[1 - half :: 2] for array in self.data)
            graph = _with_data(steps, given).run(self.before)
            verify(graph, *self.backend.requires)
            program = Program(_until_logits(graph), self.backend, {})
            outputs = program.run(*(array[half::2] for array in self.data))
            assert isinstance(outputs, np.ndarray)
            found[half::2] = outputs.reshape(len(outputs), -1)
        return found, _last_step(graph), frame_interval(graph)

    def _pipeline(self, levels: tuple[int, ...], uniform: int | None) -> Pipeline:
        """The passes behind those that have run, for a schedule."""
        rest = self.steps.passes[_first(self.steps) :]
        if uniform:
            return Pipeline(tuple(_with(step, "t_max", uniform) for step in rest))
        return Pipeline((self.clip, Allot(":".join(map(str, levels))), *rest))

    def _uniform_levels(self, t_max: int) -> tuple[int, ...]:
        return tuple(
            output_levels(t_max, 0) if is_last(self.clipped, value) else t_max
            for value in self.windows.values
        )

    def _bounded(self, real: Array) -> Array:
        return real.clip(self.clip.low, self.clip.high)

    def _note(self, point: Point) -> Point:
        self.points.append(point)
        self.tell(self.budget.told(point))
        return point

    def _none(self) -> str:
        losses = [self.budget.loss(p.judged) for p in self.points if p.judged]
        doubt = min((p.judged.doubt for p in self.points if p.judged), default=0.0)
        least = (
            f"the least loss was {min(losses):.2f} % (+-{doubt:.2f})"
            if losses
            else "the target can hold none of those that were tried"
        )
        return f"no schedule keeps within --max-{self.budget.kind} {self.budget.percent:g}: {least}"


def _last_within(losses: Sequence[float], most: float) -> int:
    """The last of growing losses that is within a budget; 0 if none is."""
    return max((index for index, loss in enumerate(losses) if loss <= most), default=0)


def _real(graph: Graph, data: tuple[Array, ...]) -> Array:
    """Outputs of the real network, ``images x classes``; UnsupportedModel if they name no class."""
    check(graph, data)
    if len(graph.outputs) != 1:
        raise UnsupportedModel(
            f"a search needs a model with one output, which names a class, not {len(graph.outputs)}"
        )
    if len(data[0]) < _FEWEST_IMAGES:
        raise DataError(
            f"a search needs {_FEWEST_IMAGES} calibration images or more, not {len(data[0])}"
        )
    output = logits(graph, graph.outputs[0])
    name = output.name
    cut = drop_dead(replace(graph, outputs=(output,), output_names=()))
    found = np.concatenate([part[name] for part in run(cut, data, [name])])
    if found[0].size < 2:
        raise UnsupportedModel("a search needs an output of several elements, one for each class")
    return found.reshape(len(found), -1)


def _clip(real: Array, away: float) -> ClipOutputs:
    """Outputs from the smallest winner to the largest runner-up: beyond, nothing is decided."""
    ordered = np.sort(real, axis=1)
    ends = np.percentile(ordered[:, -1], _TAIL), np.percentile(ordered[:, -2], 100 - _TAIL)
    return ClipOutputs(float(min(ends)) - away, float(max(ends)) + away)


def _until_logits(graph: Graph) -> Graph:
    """A compiled graph without softmax and argmax."""
    outputs = (logits(graph, graph.outputs[0]),)
    return drop_dead(replace(graph, outputs=outputs, output_names=()))


def _last_step(graph: Graph) -> int:
    last = 0
    for node in output_nodes(graph):
        begin = start(graph, node.result)
        assert begin is not None
        last = max(last, begin + spikes_of(node.result).top)
    return last


def _with_data(steps: Pipeline, data: tuple[Array, ...]) -> Pipeline:
    return Pipeline(tuple(_with(step, "calibration", data) for step in steps.passes))


def _with(step: Pass, option: str, value: Any) -> Pass:
    known = {field.name for field in fields(step)}
    changed: dict[str, Any] = {option: value}
    return replace(step, **changed) if option in known else step
