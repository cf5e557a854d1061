"""The energy of a frame: a bar for each population, in parts by cause."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np

from qcompiler.backends.energy.causes import Causes
from qcompiler.backends.loihi.netlist.netlist import CLOCK

from .canvas import BLUE, GREEN, GREY, ORANGE, PURPLE, YELLOW, sheet, shown, style
from .row_axes import name_rows, strips

MOST = 60  # bars: of more populations those that take the most are drawn
_COLOURS = {
    "neuron updates": BLUE,
    "data": GREEN,
    "data that says zero": YELLOW,
    "clocks": ORANGE,
    "inhibition": PURPLE,
}


def energy_figure(bars: Mapping[str, Causes], title: str = "") -> Any:
    """What populations, or groups of them, take by name, and the clock."""
    rows = list(bars.items())
    least = sorted((causes.total for _, causes in rows), reverse=True)[:MOST][-1]
    rows = [row for row in rows if row[1].total >= least][:MOST]
    with style():
        figure, ((axes,),) = sheet(1.1 + 0.22 * max(3, len(rows)))
        parts = np.array([_parts(causes) for _, causes in rows])
        begins = np.cumsum(parts, axis=1) - parts
        for index, (cause, colour) in enumerate(_COLOURS.items()):
            if parts[:, index].any():
                pairs = list(zip(begins[:, index], parts[:, index], strict=True))
                strips(axes, pairs, colour, label=cause)
        for number, (_, causes) in enumerate(rows):
            where = {"xytext": (2, 0), "textcoords": "offset points", "va": "center"}
            text = f"{causes.total:.3g}"
            axes.annotate(text, (causes.total, number), size=7, color=GREY, **where)
        most = max(causes.total for _, causes in rows) or 1.0
        left_out = f" (the {len(rows)} highest of {len(bars)})" if len(rows) < len(bars) else ""
        axes.set(xlim=(0, 1.12 * most), xlabel=f"energy of a frame, uJ{left_out}")
        name_rows(axes, ["clock" if name == CLOCK else shown(name) for name, _ in rows])
        axes.xaxis.set_major_locator(import_module("matplotlib.ticker").MaxNLocator(6))
        figure.legend(loc="outside lower left", ncols=3, handlelength=1.2)
        if title:
            figure.suptitle(title, size=9)
    return figure


def _parts(causes: Causes) -> tuple[float, ...]:
    """Energies in the order of the colours; they add up to the total."""
    told = causes.data - causes.zeros
    return causes.updates, told, causes.zeros, causes.clocks, causes.inhibition
