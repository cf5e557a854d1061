"""What a search has measured as a picture: latency, or energy if it was estimated, against loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from qcompiler.backends.plots.canvas import BAND, BLUE, GREY, INK, ORANGE, sheet, style

_LOSSES = {"drop": "accuracy lost, %", "drift": "changed predictions, %"}


def front_figure(search: Mapping[str, Any]) -> Any:
    """Latency or energy to the right, loss upwards with its standard error; filled if it fits."""
    kind, budget = next(iter(search["budget"].items()))
    measured = [point for point in search["points"] if point.get(f"{kind}_percent") is not None]
    cost, words = cost_axis(measured)
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
                _points(axes, chosen, (cost, kind), uniform, fits)
        for point in measured:
            if point["chosen"]:
                at = point[cost], point[f"{kind}_percent"]
                axes.plot(*at, "o", ms=11, mfc="none", mec=INK, mew=1.2, label="chosen")
        axes.set(xlabel=words, ylabel=_LOSSES.get(kind, kind))
        whole = cost == "latency_steps"
        axes.xaxis.set_major_locator(import_module("matplotlib.ticker").MaxNLocator(integer=whole))
        axes.margins(x=0.08, y=0.1)
        axes.grid(color=BAND, lw=0.8)
        figure.legend(loc="outside lower left", ncols=2)
    return figure


def cost_axis(points: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """What is to be low: the key of points, and its words."""
    if points and all(point.get("energy_uj") is not None for point in points):
        return "energy_uj", "energy of a frame, uJ"
    return "latency_steps", "step of the last output spike"


def _points(
    axes: Any,
    points: Sequence[Mapping[str, Any]],
    keys: tuple[str, str],
    uniform: bool,
    fits: bool,
) -> None:
    cost, kind = keys
    steps = [point[cost] for point in points]
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
