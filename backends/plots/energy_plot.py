"""The energy of a frame: a bar for each population, in parts by cause."""

from __future__ import annotations

from typing import Any

import numpy as np

from qcompiler.backends.energy.estimate import Causes, Estimate
from qcompiler.backends.loihi.netlist.netlist import CLOCK

from .canvas import BAND, BLUE, GREEN, GREY, ORANGE, PURPLE, YELLOW, sheet, shown, style

MOST = 60  # bars: of more populations those that take the most are drawn
_COLOURS = {
    "neuron updates": BLUE,
    "data": GREEN,
    "data that says zero": YELLOW,
    "clocks": ORANGE,
    "inhibition": PURPLE,
}


def energy_figure(found: Estimate, title: str = "") -> Any:
    """Populations in order, and the clock."""
    rows = list(found.populations.items())
    least = sorted((causes.total for _, causes in rows), reverse=True)[:MOST][-1]
    rows = [row for row in rows if row[1].total >= least][:MOST]
    with style():
        figure, ((axes,),) = sheet(1.1 + 0.22 * max(3, len(rows)))
        parts = np.array([_parts(causes) for _, causes in rows])
        begins = np.cumsum(parts, axis=1) - parts
        for index, (cause, colour) in enumerate(_COLOURS.items()):
            if parts[:, index].any():
                numbers = range(len(rows))
                axes.barh(
                    numbers, parts[:, index], 0.72, begins[:, index], color=colour, label=cause
                )
        for number, (_, causes) in enumerate(rows):
            text = f" {causes.total:.3g}"
            axes.text(causes.total, number, text, va="center", size=7, color=GREY)
        axes.set(ylim=(len(rows) - 0.4, -0.6), xlabel="energy of a frame, uJ")
        names = ["clock" if name == CLOCK else shown(name) for name, _ in rows]
        axes.set_yticks(range(len(rows)), names)
        axes.tick_params("y", length=0)
        axes.margins(x=0.1)
        axes.grid(axis="x", color=BAND, lw=0.8)
        figure.legend(loc="outside lower left", ncols=3, handlelength=1.2)
        if title:
            figure.suptitle(title, size=9)
    return figure


def _parts(causes: Causes) -> tuple[float, ...]:
    """Energies in the order of the colours; they add up to the total."""
    told = causes.data - causes.zeros
    return causes.updates, told, causes.zeros, causes.clocks, causes.inhibition
