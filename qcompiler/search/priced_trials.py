"""Programs that are tried only if an estimate says that they cost less than the best."""

from __future__ import annotations

from typing import Any

import numpy as np

from qcompiler.ir import PipelineError

from .alternate import Options
from .costed_program import T_MAX, CostedProgram
from .pareto import Objective, Point
from .search import no_schedule
from .trials import Trials

WORTH = 0.98  # of the cost of the best: what saves less is not tried


class PricedTrials:
    """Trials of programs, by an objective.

    ``base`` is that of digits of inputs, unless t_max is smaller. ``allowed`` is the factor by
    which errors of the last trial may grow, 1 if it is not known.
    """

    def __init__(self, trials: Trials, objective: Objective) -> None:
        self.trials, self.objective = trials, objective
        self.base = T_MAX[-1]
        self.prices: dict[tuple[tuple[int, ...], int, Options], float] = {}
        self.allowed = 1.0

    def program_of(self, point: Point) -> CostedProgram:
        """What a point was measured with."""
        return CostedProgram.of(point.uniform or T_MAX[0], point.options)

    def fits_cheaper(self, *program: Any) -> bool:
        """Measure a program if it costs less than the best: whether it is the best, then."""
        return self.cheaper(*program) and self.measure(*program) == self.best()

    def cheaper(self, *program: Any) -> bool:
        """Whether a program costs less than the best, by an estimate that takes little time."""
        best = self.best()
        price, known = (
            self.price(*given)
            for given in (
                self.schedule(*program),
                (best.levels, best.uniform or T_MAX[0], best.options),
            )
        )
        return price < WORTH * known

    def price(self, levels: tuple[int, ...], t_max: int, options: Options) -> float:
        """What a schedule costs by the estimate; infinite if it cannot be."""
        given = levels, t_max, options
        if given not in self.prices:
            found = self.trials.price(*given)
            self.prices[given] = np.inf if found is None else found.of(self.objective) or 0.0
        return self.prices[given]

    def measure(self, *program: Any) -> Point:
        """Measure one program, given as for `schedule`, unless it was."""
        given = self.schedule(*program)
        if known := self._known(*given):
            self.allowed = 1.0
            return known
        _, self.allowed = self.trials.measure(*given)
        return self.trials.points[-1]

    def schedule(self, *program: Any) -> tuple[tuple[int, ...], int, Options]:
        """Levels, t_max and options of a program, given as for `CostedProgram`."""
        given = CostedProgram(*program)
        options = given.options(self.base)
        return self.trials.uniform_levels(given.t_max, options), given.t_max, options

    def _known(self, schedule: tuple[int, ...], t_max: int, options: Options) -> Point | None:
        """A point of the same program: other levels may take the same digits."""
        wanted = schedule, t_max, {**dict(options), "levels": 0}
        for point in self.trials.points:
            if (point.levels, point.uniform, {**dict(point.options), "levels": 0}) == wanted:
                return point
        return None

    def best(self) -> Point:
        """The cheapest program within the budget."""
        fitting = [point for point in self.trials.points if point.fits]
        if not fitting:
            raise no_schedule(self.trials)
        if any(point.value_of(self.objective) is None for point in fitting):
            raise PipelineError(
                "--objective edp needs a target whose cost model has times, such as loihi"
            )
        return min(fitting, key=lambda point: point.value_of(self.objective) or 0.0)
