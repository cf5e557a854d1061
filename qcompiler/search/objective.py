"""The program of least energy, or of least energy-delay product, that keeps the answers.

All values share one t_max here: a frame interval is as long as its longest windows, and at every
step of it every neuron costs energy. The search buys levels, slices and levels of inputs where they
bring most: it looks for the smallest t_max within the budget, without slices and with them, then
takes levels away from the inputs, and last weights, whose events they save. A few weights are so
small that all trials go without them. Which code costs least, `ChooseCodes` decides each time.
"""

from __future__ import annotations

from collections.abc import Callable

from qcompiler.ir import PipelineError
from qcompiler.passes.split_inputs import most_output_levels

from .pareto import OBJECTIVES, Objective, Point, SearchResult
from .search import chosen_result, no_schedule, search
from .trials import Options, Trials

_T_MAX = (2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24, 32)
_FEWER_INPUT_LEVELS = (32, 16, 8, 4)
_PRUNE = (0.001, 0.004, 0.016)  # of `quantize`, from what hardly adds to the noise of levels


def search_for(objective: str, trials: Callable[[bool], Trials]) -> SearchResult:
    """The result of the search for this objective, on trials that estimate costs or do not.

    Raises PipelineError for an objective that is not known, else what the searches raise.
    """
    for known in OBJECTIVES:
        if objective == known == "latency":
            return search(trials(False))
        if objective == known:
            return search_cost(trials(True), known)
    raise PipelineError(f"objective must be one of {', '.join(OBJECTIVES)}, not {objective}")


def search_cost(trials: Trials, objective: Objective) -> SearchResult:
    """Measure programs; CompileError if none keeps within the budget."""
    trials.log(f"looking for the program of least {objective} within the budget")
    found = _Search(trials, objective)
    found.smallest_t_max(slices=1)
    if any(point.fits for point in trials.points):
        found.with_slices()
    else:
        found.smallest_t_max(slices=found.most_slices)
    best = found.best()
    for levels in _FEWER_INPUT_LEVELS:
        if levels >= found.input_levels:
            continue
        tried = found.measure(best.uniform or 0, int(dict(best.options)["slices"]), levels)
        if not tried.fits:
            break
        best = found.best()
    found.prune(best)
    return chosen_result(trials, found.best(), objective)


class _Search:
    def __init__(self, trials: Trials, objective: Objective) -> None:
        self.trials, self.objective = trials, objective
        self.input_levels = most_output_levels(trials.before, _T_MAX[-1])
        slices = (getattr(step, "slices", 1) for step in trials.rest)
        self.most_slices = max(slices, default=1)

    def smallest_t_max(self, slices: int) -> None:
        """Bisect for the smallest t_max that keeps within the budget."""
        tried = list(_T_MAX)
        while tried:
            middle = len(tried) // 2
            fits = self.measure(tried[middle], slices, self.input_levels).fits
            tried = tried[:middle] if fits else tried[middle + 1 :]

    def with_slices(self) -> None:
        """From the best t_max without slices downwards, as long as slices pay."""
        shorter = [t_max for t_max in _T_MAX if t_max < (self.best().uniform or 0)]
        for t_max in reversed(shorter if self.most_slices > 1 else []):
            self.measure(t_max, self.most_slices, self.input_levels)
            if self.best().uniform != t_max:
                return

    def prune(self, best: Point) -> None:
        """Remove more and more weights of the best, and of the next larger t_max."""
        options = dict(best.options)
        slices, levels = int(options["slices"]), int(options["levels"])
        at, shares = _T_MAX.index(best.uniform or _T_MAX[0]), list(_PRUNE[1:])
        for t_max in _T_MAX[at : at + 2]:
            while shares and self.measure(t_max, slices, levels, shares[0]).fits:
                del shares[0]

    def measure(self, t_max: int, slices: int, levels: int, prune: float = _PRUNE[0]) -> Point:
        """Measure one program: inputs get as many digits as keep their windows within t_max."""
        digits = next(n for n in range(1, 17) if t_max**n >= levels)
        given = {"slices": slices, "levels": levels, "digits": digits, "prune": prune}
        options: Options = tuple(given.items())
        schedule = self.trials.uniform_levels(t_max, options)
        if known := self._known(schedule, t_max, options):
            return known
        self.trials.measure(schedule, t_max, options)
        return self.trials.points[-1]

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
