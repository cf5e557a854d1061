"""The network as a graph, and its schedule as a Gantt chart: a row for each population."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, TypeAlias

from .canvas import BLUE, GREEN, GREY, INK, ORANGE, PALE, PURPLE, sheet, style
from .row_axes import name_rows, strips
from .rows import Network, Row

KINDS = {"input": GREEN, "integrate": BLUE, "first spike": PURPLE, "relay": ORANGE}


Outline: TypeAlias = list[tuple[float, float]]


def graph_figure(network: Network) -> Any:
    """Populations from top to bottom; synapses to others than the next one bend to the left."""
    with style():
        figure, ((axes,),) = sheet(_height(network))
        reach = 1.0
        lines: dict[str, list[Outline]] = {GREY: [], ORANGE: []}
        for (source, target), delay in network.links.items():
            bend = 0.0 if target == source + 1 else -0.9 * (target - source) ** 0.6
            reach = min(reach, bend)
            away = 1.33 * bend
            lines[ORANGE if delay else GREY].append(
                [(0, source), (away, source + 0.1), (away, target - 0.1), (0, target)]
            )
            if delay:
                place = {"ha": "right", "va": "center", "color": ORANGE, "size": 7}
                axes.text(bend - 0.1, (source + target) / 2, f"+{delay}", **place)
        for colour, outlines in lines.items():
            _curves(axes, outlines, colour)
        for kind, colour in KINDS.items():
            rows = [number for number, row in enumerate(network.rows) if row.kind == kind]
            if rows:
                axes.plot([0] * len(rows), rows, "o", ms=6, color=colour, label=kind)
        for number, row in enumerate(network.rows):
            axes.text(0.5, number, _text(row), va="center", color=INK, size=7.5)
        axes.set(xlim=(min(-1.2, reach - 0.8), 9.0), ylim=(len(network.rows) - 0.4, -0.6))
        axes.set_axis_off()
        figure.legend(loc="outside lower left", ncols=4, handletextpad=0.2)
    return figure


def _curves(axes: Any, outlines: Sequence[Outline], colour: str) -> None:
    """Bends with their end points and the points that draw them aside."""
    if not outlines:
        return
    patches, paths = import_module("matplotlib.patches"), import_module("matplotlib.path")
    codes = [paths.Path.MOVETO, *[paths.Path.CURVE4] * 3] * len(outlines)
    whole = paths.Path([point for outline in outlines for point in outline], codes)
    axes.add_patch(patches.PathPatch(whole, fill=False, edgecolor=colour, lw=1.0))


def schedule_figure(network: Network, interval: int) -> Any:
    """When each population collects input, and when it spikes; the next frame is a dashed line."""
    with style():
        figure, ((axes,),) = sheet(_height(network))
        rows = network.rows
        collects = [(row.opens - 0.5, max(0, row.first - row.opens)) for row in rows]
        strips(axes, collects, PALE, label="collects input")
        colours = [KINDS.get(row.kind, BLUE) for row in rows]
        strips(axes, spans(rows), colours, label="may spike, large values first")
        axes.axvline(interval - 0.5, color=GREY, ls="--", lw=0.8, label="next frame may start")
        end = max(row.last for row in rows) + 1
        axes.set(xlim=(-1, max(end, interval) + 1), xlabel="time step of the frame")
        name_rows(axes, [row.label for row in rows])
        figure.legend(loc="outside lower left", ncols=3, handlelength=1.2)
    return figure


def spans(rows: Sequence[Row]) -> list[tuple[float, int]]:
    """Where the strip of steps begins at which spikes may leave, and its width."""
    return [(row.first - 0.5, row.last - row.first + 1) for row in rows]


def _height(network: Network) -> float:
    return 0.9 + 0.22 * max(3, len(network.rows))


def _text(row: Row) -> str:
    each = f"{row.label} · {row.neurons:,} neurons"
    return f"{each}, {row.synapses:,} synapses" if row.synapses else each
