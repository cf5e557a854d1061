"""Schedules that were measured, and which of them is the shortest that keeps within a budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

from qcompiler.passes import Pipeline

from .drift import LossEstimate

Objective: TypeAlias = Literal["latency", "energy", "edp"]
OBJECTIVES: tuple[Objective, ...] = ("latency", "energy", "edp")


class Budget(NamedTuple):
    """Percentage points of accuracy (``drop``), or percent of answers that change (``drift``)."""

    kind: str
    percent: float

    def loss(self, found: LossEstimate) -> float:
        """What was lost, in percent."""
        value = found.drop if self.kind == "drop" else found.drift
        assert value is not None
        return value

    def counted(self, found: LossEstimate, errors: float = 1.0) -> float:
        """What counts against the budget: of changed answers standard ``errors`` more than seen.

        In ``drop`` they are counted already.
        """
        return self.loss(found) + (errors * found.standard_error if self.kind == "drift" else 0.0)

    def describe(self, point: Point) -> str:
        """A point in words."""
        name = f"uniform {point.named_options}" if point.uniform else "schedule"
        head = f"{name}: last output spike at step {point.latency}"
        if point.cost:
            head += f", {point.cost.describe()}"
        if point.estimate is None:
            return f"{head}, exceeds the target's limits"
        lost = "accuracy lost" if self.kind == "drop" else "changed predictions"
        loss, error = self.loss(point.estimate), point.estimate.standard_error
        changed = (
            f", {point.estimate.drift:.2f} % changed predictions" if self.kind == "drop" else ""
        )
        return f"{head}, {loss:.2f} % {lost} (+-{error:.2f}){changed}"


class Cost(NamedTuple):
    """Energy of a frame in uJ, and energy-delay product of frames in a row in uJs if known."""

    energy: float
    edp: float | None

    def of(self, objective: Objective) -> float | None:
        """What this objective wants low; None if it is not known."""
        return self.edp if objective == "edp" else self.energy

    def describe(self) -> str:
        """In words."""
        edp = "" if self.edp is None else f", {self.edp:.3g} uJs"
        return f"{self.energy:.3g} uJ a frame{edp}"


@dataclass(frozen=True)
class Point:
    """A schedule that was measured: ``levels`` by value, or the one t_max of a uniform one.

    ``latency`` is the step of the last output spike, ``interval`` that between frames; ``estimate``
    is None if the target cannot hold the network. ``options`` are those of the pipeline besides
    t_max, by name; ``cost`` is a model's, and None if the search is for latency.
    """

    levels: tuple[int, ...]
    latency: int
    interval: int
    estimate: LossEstimate | None = None
    fits: bool = False
    uniform: int | None = None
    options: tuple[tuple[str, float], ...] = ()
    cost: Cost | None = None

    @property
    def named_options(self) -> str:
        """A uniform t_max and the options, in words."""
        return " ".join(f"{n} {v}" for n, v in (("t_max", self.uniform), *self.options))

    def value_of(self, objective: Objective) -> float | None:
        """What this objective wants low; None if it is not known."""
        if objective == "latency":
            return self.latency
        return self.cost and self.cost.of(objective)

    @property
    def length(self) -> tuple[int, int]:
        """What is to be short."""
        return self.latency, self.interval


@dataclass(frozen=True)
class SearchResult:
    """All schedules that were measured, the one that is chosen, and the pipeline that makes it."""

    budget: Budget
    values: tuple[str, ...]
    points: tuple[Point, ...]
    chosen: Point
    reference: float | None
    pipeline: Pipeline
    objective: Objective = "latency"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        levels = dict(zip(self.values, self.chosen.levels, strict=True))
        return {
            "budget": {self.budget.kind: self.budget.percent},
            "ann_accuracy_percent": self.reference,
            "schedule": levels,
            "points": [
                _row(point, point is self.chosen, self.pareto(point)) for point in self.by_latency
            ],
        }

    @property
    def by_latency(self) -> list[Point]:
        """The points by latency."""
        return sorted(self.points, key=lambda point: (*point.length, point.uniform or 0))

    def pareto(self, point: Point) -> bool:
        """Whether no other point is as short, or as cheap, with less loss."""
        low = point.value_of(self.objective)
        return point.estimate is not None and not any(
            other.estimate is not None
            and (other.value_of(self.objective) or 0) <= (low or 0)
            and self.budget.loss(other.estimate) < self.budget.loss(point.estimate)
            for other in self.points
        )


def _row(point: Point, chosen: bool, pareto: bool) -> dict[str, Any]:
    estimate = point.estimate._asdict() if point.estimate else {}
    estimate.pop("drift_error", None)
    names = {"standard_error": "doubt"}
    return {
        "latency_steps": point.latency,
        "frame_interval_steps": point.interval,
        **{f"{names.get(name, name)}_percent": value for name, value in estimate.items()},
        "fits_budget": point.fits,
        "uniform_t_max": point.uniform,
        "options": dict(point.options),
        "energy_uj": point.cost and point.cost.energy,
        "edp_ujs": point.cost and point.cost.edp,
        "chosen": chosen,
        "pareto": pareto,
        "levels": list(point.levels),
    }
