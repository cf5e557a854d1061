"""The shortest schedule that keeps the answers of a classifier.

Schedules come from a family with one parameter (`family`), ordered by the error that the levels of
each value add to the outputs (`sensitivity`). The search measures a few of them (`trials`).
"""

from __future__ import annotations

import numpy as np

from qcompiler.ir import CompileError
from qcompiler.passes.quantization.fusion_groups import is_network_output
from qcompiler.passes.quantization.levels import spiking_values
from qcompiler.passes.quantization.logits import until_logits
from qcompiler.passes.tensor.equalize import Equalize
from qcompiler.passes.tensor.split_inputs import SplitInputs

from .pareto import Objective, Point, SearchResult
from .schedule_family import Schedule, at_error, family
from .sensitivity import MOST, errors
from .trials import Trials

_TRIALS = 8
_ROUNDS = 2  # what later trials teach may reopen what was closed
_OUTPUT = 8  # levels that an output has at least: with few of them, many share the largest
_LATENCY_TOLERANCE = 0.025  # of the latency: schedules closer than that count as equal
_FIRST_ERROR = (
    1 / 16
)  # squared error of the first trial, of what noise may have; that of the second is 1


def search(trials: Trials) -> SearchResult:
    """Measure until the shortest is known; CompileError if none keeps within the budget."""
    count = len(trials.latency_model.values)
    trials.log(f"measuring how the error of the outputs depends on the levels of {count} layers")
    schedules = schedules_of(trials)
    tried = _bracket(trials, schedules)
    most = len(tried) + _TRIALS
    if _bounds(trials, schedules, tried)[1] < len(schedules):
        for _ in range(_ROUNDS):
            _refine(trials, schedules, tried, most)
            _uniform(trials)
    fitting = [point for point in trials.points if point.fits]
    if not fitting:
        raise no_schedule(trials)
    return chosen_result(trials, min(fitting, key=lambda point: point.length))


def chosen_result(trials: Trials, chosen: Point, objective: Objective = "latency") -> SearchResult:
    """All trials, and the one that is chosen."""
    points = tuple(trials.points)
    chosen = points[points.index(chosen)]
    accuracy = None
    if trials.labels is not None:
        accuracy = 100 * float(np.mean(trials.real.argmax(axis=1) == trials.labels))
    names = tuple(value.name for value in trials.latency_model.values)
    pipeline = trials.pipeline(chosen)
    return SearchResult(trials.budget, names, points, chosen, accuracy, pipeline, objective)


def schedules_of(trials: Trials) -> list[Schedule]:
    """The schedules of a network, from few levels to many."""
    graph = trials.clipped
    for step in trials.rest:
        if isinstance(step, SplitInputs | Equalize):
            graph = step(graph)
    fewest = [_OUTPUT if is_network_output(graph, value) else 2 for value in spiking_values(graph)]
    cut = until_logits(graph)
    return family(trials.latency_model, errors(cut, trials.data, cut.outputs[0]), fewest)


def _bracket(trials: Trials, schedules: list[Schedule]) -> list[int]:
    """Try a few schedules, finer and finer, until one fits or is too fine for the target."""
    error, tried = trials.noise**2, list[int]()
    while not tried or tried[-1] < len(schedules) - 1:
        error *= _FIRST_ERROR
        at = max(tried[-1] + 1 if tried else 0, at_error(schedules, error))
        tried.append(at)
        point, _ = trials.measure(schedules[at].levels)
        if point.estimate is None or point.fits:
            break
    return tried


def _bounds(trials: Trials, schedules: list[Schedule], tried: list[int]) -> tuple[int, int]:
    """Indices: the last that fails, and behind it the first that need not be tried.

    That is one as long as a schedule that fits, or one too fine for the target.
    """
    best = min((point.latency for point in trials.points if point.fits), default=np.inf)
    fine = {point.levels for point in trials.points if point.estimate is None}
    ends = (at for at, s in enumerate(schedules) if s.latency >= best or s.levels in fine)
    fits = next(ends, len(schedules))
    return max((at for at in tried if at < fits), default=-1), fits


def _refine(trials: Trials, schedules: list[Schedule], tried: list[int], most: int) -> None:
    """Try schedules until ``most`` were: where the errors so far suggest it, or by bisection."""
    at, half = at_error(schedules, trials.noise**2), most - _TRIALS // 2
    while len(tried) < most:
        fails, fits = _bounds(trials, schedules, tried)
        if fits - fails <= 1 or _close(schedules, fails, fits):
            return
        if len(tried) > half or not fails < at < fits:
            at = (fails + fits) // 2
        tried.append(at)
        _, scale = trials.measure(schedules[at].levels)
        at = at_error(schedules, schedules[at].error * scale**2)


def _close(schedules: list[Schedule], fails: int, fits: int) -> bool:
    long = schedules[fits].latency
    return fails >= 0 and long - schedules[fails].latency <= _LATENCY_TOLERANCE * long


def _uniform(trials: Trials) -> None:
    """Shorter schedules of one t_max for all, as long as they keep within the budget."""
    for t_max in range(MOST, 1, -1):
        best = min((point.latency for point in trials.points if point.fits), default=0)
        levels = trials.uniform_levels(t_max)
        if trials.latency_model.latency(levels) < best:
            tried = (point for point in trials.points if point.uniform == t_max)
            point = next(tried, None) or trials.measure(levels, t_max)[0]
            if not point.fits:
                return


def no_schedule(trials: Trials) -> CompileError:
    """Why no schedule is within the budget."""
    budget, estimate = trials.budget, [point.estimate for point in trials.points if point.estimate]
    if not estimate and trials.refusal is not None:
        return trials.refusal
    best = min(estimate, key=budget.loss)
    return CompileError(
        f"no schedule meets --max-{budget.kind} {budget.percent:g}: "
        f"the lowest loss is {budget.loss(best):.2f} % (+-{best.standard_error:.2f})\n"
        "   = help: allow a larger loss, or give more calibration images for smaller error bounds"
    )
