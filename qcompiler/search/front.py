"""The schedules that a search has measured as a picture: latency against loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from qcompiler.backends.plots.canvas import BAND, BLUE, GREY, INK, ORANGE, sheet, style

_LOSSES = {"drop": "accuracy lost, %", "drift": "changed predictions, %"}


def front_figure(search: Mapping[str, Any]) -> Any:
    """Latency to the right, loss upwards, with its standard error; filled within the budget."""
    kind, budget = next(iter(search["budget"].items()))
    measured = [point for point in search["points"] if point.get(f"{kind}_percent") is not None]
    with style():
        figure, ((axes,),) = sheet(3.4)
        axes.axhline(budget, color=GREY, ls="--", lw=1, label=f"budget, {budget:g} %")
        for uniform, fits in ((False, True), (False, False), (True, True), (True, False)):
            chosen = [
                point
                for point in measured
                if bool(point["uniform_t_max"]) == uniform and bool(point["fits_budget"]) == fits
            ]
            if chosen:
                _points(axes, chosen, kind, uniform, fits)
        for point in measured:
            if point["chosen"]:
                at = point["latency_steps"], point[f"{kind}_percent"]
                axes.plot(*at, "o", ms=11, mfc="none", mec=INK, mew=1.2, label="chosen")
        axes.set(xlabel="step of the last output spike", ylabel=_LOSSES.get(kind, kind))
        axes.xaxis.set_major_locator(import_module("matplotlib.ticker").MaxNLocator(integer=True))
        axes.margins(x=0.08, y=0.1)
        axes.grid(color=BAND, lw=0.8)
        figure.legend(loc="outside lower left", ncols=2)
    return figure


def _points(
    axes: Any, points: Sequence[Mapping[str, Any]], kind: str, uniform: bool, fits: bool
) -> None:
    steps = [point["latency_steps"] for point in points]
    losses = [point[f"{kind}_percent"] for point in points]
    doubts = [point.get("doubt_percent") or 0.0 for point in points]
    colour = ORANGE if uniform else BLUE
    name = "the same t_max everywhere" if uniform else "t_max by layer"
    axes.errorbar(
        steps,
        losses,
        doubts,
        fmt="o",
        color=colour,
        ms=5,
        mfc=colour if fits else "none",
        elinewidth=1,
        capsize=2,
        label=f"{name}, {'within' if fits else 'beyond'} the budget",
    )
