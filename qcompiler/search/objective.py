"""The program of least energy, or of least energy-delay product, that keeps the answers.

At first all values share one t_max: a frame interval is as long as its longest windows, and at
every step of it every neuron costs energy. The search buys levels, slices and levels of inputs
where they bring most: it looks for the smallest t_max within the budget, without slices and with
them, and for a smaller one of every second layer. Then it sends inputs as bits, most of which are 0
and silent, takes levels away from the inputs, and last weights, whose events they save. These
trials go without the weights whose events cost most for what they bring. In the end values get
levels of their own, as in the search for the least latency, if that costs less. Which code costs
least, `ChooseCodes` decides each time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from itertools import chain, repeat

from qcompiler.ir import PipelineError
from qcompiler.passes.tensor.split_inputs import most_output_levels

from .costed_program import SPARE, T_MAX
from .pareto import OBJECTIVES, Objective, SearchResult
from .priced_trials import WORTH, PricedTrials
from .schedule_family import Schedule, at_error
from .search import chosen_result, schedules_of, search
from .trials import Trials

_GUESSES = 2  # trials where errors suggest them
_FEWER_INPUT_LEVELS = (32, 16, 8, 4)
_SCHEDULES = 8  # of levels of their own that are looked at


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
    if any(point.fits for point in trials.points):
        found.alternating()
        found.binary_inputs()
        found.fewer_input_levels()
        found.spare()
    found.schedules()
    return chosen_result(trials, found.best(), objective)


class _Search(PricedTrials):
    def __init__(self, trials: Trials, objective: Objective) -> None:
        super().__init__(trials, objective)
        self.input_levels = most_output_levels(trials.before, T_MAX[-1])
        slices = (getattr(step, "slices", 1) for step in trials.rest)
        self.most_slices = max(slices, default=1)

    def smallest_t_max(self, slices: int) -> None:
        """Find the smallest t_max that keeps within the budget.

        Errors are about as large as a step between levels: they suggest what to try first. Then it
        is bisected.
        """
        left, at = list(T_MAX), len(T_MAX) // 2
        for guessed in chain(repeat(True, _GUESSES), repeat(False)):
            if not left:
                return
            t_max = left[at]
            fits = self.measure(t_max, slices, self.input_levels).fits
            left = left[:at] if fits else left[at + 1 :]
            suggested = bisect_left(left, 1 + (t_max - 1) / self.allowed)
            at = min(suggested, len(left) - 1) if guessed else len(left) // 2

    def with_slices(self) -> None:
        """From the best t_max without slices downwards, as long as slices keep the answers."""
        shorter = [t_max for t_max in T_MAX if t_max < (self.best().uniform or 0)]
        for t_max in reversed(shorter if self.most_slices > 1 else []):
            program = t_max, self.most_slices, self.input_levels
            if self.cheaper(*program) and not self.measure(*program).fits:
                return

    def alternating(self) -> None:
        """Give every second layer a smaller t_max."""
        if smaller := self.program_of(self.best()).smaller():
            self.fits_cheaper(*smaller)

    def binary_inputs(self) -> None:
        """Send inputs as bits, if the best costs less so."""
        best = self.program_of(self.best())
        self.base = 2
        if not self.fits_cheaper(*best):
            self.base = T_MAX[-1]

    def fewer_input_levels(self) -> None:
        """Take levels of inputs away, as long as the budget allows."""
        best = self.program_of(self.best())
        for levels in (levels for levels in _FEWER_INPUT_LEVELS if levels < best.levels):
            program = best._replace(levels=levels)
            if self.cheaper(*program) and not self.measure(*program).fits:
                return

    def spare(self) -> None:
        """Remove more and more weights of the best, and of those with a larger t_max."""
        shares = list(SPARE[1:])
        for program in self.program_of(self.best()).larger():
            while shares and self.fits_cheaper(*program._replace(spare=shares[0])):
                del shares[0]

    def schedules(self) -> None:
        """Give every value levels of its own: as few as the budget allows, if that costs less."""
        known = schedules_of(self.trials)
        at, dear = at_error(known, self.trials.noise**2), len(known)
        for _ in range(_SCHEDULES):
            fails, fits = self._bounds(known[:dear])
            if fits - fails <= 1:
                return
            if not fails < at < fits:
                at = (fails + fits) // 2
            if self._saves(known[at].levels):
                _, scale = self.trials.measure(known[at].levels)
                at = at_error(known, known[at].error * scale**2)
            else:
                dear = at

    def _bounds(self, known: list[Schedule]) -> tuple[int, int]:
        """Indices: the last schedule that fails, and behind it the first that fits, if any.

        Later trials teach what the loss of earlier ones is, so that these may come to fit.
        """
        tried = {point.levels: point.fits for point in self.trials.points if not point.uniform}
        at = {index: tried[s.levels] for index, s in enumerate(known) if s.levels in tried}
        fits = min((index for index, fit in at.items() if fit), default=len(known))
        return max((index for index in at if index < fits), default=-1), fits

    def _saves(self, levels: tuple[int, ...]) -> bool:
        """Whether a schedule costs less than the best of one t_max, if there is one."""
        if not any(point.fits for point in self.trials.points):
            return True
        best = self.best()
        known = self.price(best.levels, best.uniform or 0, best.options)
        return self.price(levels, 0, ()) < WORTH * known
