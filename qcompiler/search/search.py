"""The shortest schedule that keeps the answers of a classifier.

Schedules come from a family with one parameter (`family`), ordered by the error that the levels of
each value add to the outputs (`sensitivity`). The search measures a few of them (`trials`).
"""

from __future__ import annotations

import numpy as np

from qcompiler.ir import CompileError
from qcompiler.passes.equalize import Equalize
from qcompiler.passes.quantization.fusion_groups import is_network_output
from qcompiler.passes.quantization.levels import spiking_values
from qcompiler.passes.quantization.logits import logits
from qcompiler.passes.split_inputs import SplitInputs

from .pareto import Found
from .schedule_family import Schedule, at_error, family
from .sensitivity import MOST, errors
from .trials import Trials

_TRIALS = 8
_ROUNDS = 2  # what later trials teach may reopen what was closed
_OUTPUT = 8  # levels that an output has at least: with few of them, many share the largest
_CLOSE = 0.025  # of the latency: schedules closer than that are not told apart
_FINE = 1 / 16  # squared error of the first trial, of what noise may have; that of the second is 1


def search(trials: Trials) -> Found:
    """Measure until the shortest is known; CompileError if none keeps within the budget."""
    trials.tell(f"measuring how sensitive {len(trials.windows.values)} values are to few levels")
    schedules = _family(trials)
    tried = _bracket(trials, schedules)
    most = len(tried) + _TRIALS
    if _between(trials, schedules, tried)[1] < len(schedules):
        for _ in range(_ROUNDS):
            _narrow(trials, schedules, tried, most)
            _uniform(trials)
    points = tuple(trials.points)
    fitting = [point for point in points if point.fits]
    if not fitting:
        raise _none(trials)
    chosen = min(fitting, key=lambda point: point.length)
    accuracy = None
    if trials.labels is not None:
        accuracy = 100 * float(np.mean(trials.real.argmax(axis=1) == trials.labels))
    names = tuple(value.name for value in trials.windows.values)
    return Found(trials.budget, names, points, chosen, accuracy, trials.pipeline(chosen))


def _family(trials: Trials) -> list[Schedule]:
    graph = trials.clipped
    for step in trials.rest:
        if isinstance(step, SplitInputs | Equalize):
            graph = step(graph)
    fewest = [_OUTPUT if is_network_output(graph, value) else 2 for value in spiking_values(graph)]
    output = logits(graph, graph.outputs[0])
    return family(trials.windows, errors(graph, trials.data, output), fewest)


def _bracket(trials: Trials, schedules: list[Schedule]) -> list[int]:
    """Try a few schedules, finer and finer, until one fits or is too fine for the target."""
    error, tried = trials.noise**2, list[int]()
    while not tried or tried[-1] < len(schedules) - 1:
        error *= _FINE
        at = max(tried[-1] + 1 if tried else 0, at_error(schedules, error))
        tried.append(at)
        point, _ = trials.measure(schedules[at].levels)
        if point.judged is None or point.fits:
            break
    return tried


def _between(trials: Trials, schedules: list[Schedule], tried: list[int]) -> tuple[int, int]:
    """Indices: the last that fails, and behind it the first that need not be tried.

    That is one as long as a schedule that fits, or one too fine for the target.
    """
    best = min((point.latency for point in trials.points if point.fits), default=np.inf)
    fine = {point.levels for point in trials.points if point.judged is None}
    ends = (at for at, s in enumerate(schedules) if s.latency >= best or s.levels in fine)
    fits = next(ends, len(schedules))
    return max((at for at in tried if at < fits), default=-1), fits


def _narrow(trials: Trials, schedules: list[Schedule], tried: list[int], most: int) -> None:
    """Try schedules until ``most`` were: where the errors so far suggest it, or by bisection."""
    at, half = at_error(schedules, trials.noise**2), most - _TRIALS // 2
    while len(tried) < most:
        fails, fits = _between(trials, schedules, tried)
        if fits - fails <= 1 or _close(schedules, fails, fits):
            return
        if len(tried) > half or not fails < at < fits:
            at = (fails + fits) // 2
        tried.append(at)
        _, scale = trials.measure(schedules[at].levels)
        at = at_error(schedules, schedules[at].error * scale**2)


def _close(schedules: list[Schedule], fails: int, fits: int) -> bool:
    long = schedules[fits].latency
    return fails >= 0 and long - schedules[fails].latency <= _CLOSE * long


def _uniform(trials: Trials) -> None:
    """Shorter schedules of one t_max for all, as long as they keep within the budget."""
    for t_max in range(MOST, 1, -1):
        best = min((point.latency for point in trials.points if point.fits), default=0)
        levels = trials.uniform_levels(t_max)
        if trials.windows.latency(levels) < best:
            tried = (point for point in trials.points if point.uniform == t_max)
            point = next(tried, None) or trials.measure(levels, t_max)[0]
            if not point.fits:
                return


def _none(trials: Trials) -> CompileError:
    """Why no schedule is within the budget."""
    budget, judged = trials.budget, [point.judged for point in trials.points if point.judged]
    if not judged and trials.refusal is not None:
        return trials.refusal
    best = min(judged, key=budget.loss)
    return CompileError(
        f"no schedule keeps within --max-{budget.kind} {budget.percent:g}: "
        f"the least loss was {budget.loss(best):.2f} % (+-{best.doubt:.2f})\n"
        "   = help: give a larger budget, or more calibration images to be surer"
    )
