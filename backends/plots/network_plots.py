"""The network as a graph, and its schedule as a Gantt chart: a row for each population."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .canvas import BAND, BLUE, GREEN, GREY, INK, ORANGE, PALE, PURPLE, sheet, style
from .rows import Network, Row

KINDS = {"input": GREEN, "integrate": BLUE, "first spike": PURPLE, "relay": ORANGE}


def graph_figure(network: Network) -> Any:
    """Populations from top to bottom; synapses to others than the next one bend to the left."""
    with style():
        figure, ((axes,),) = sheet(_height(network))
        patches, paths = import_module("matplotlib.patches"), import_module("matplotlib.path")
        reach = 1.0
        for (source, target), delay in network.links.items():
            bend = 0.0 if target == source + 1 else -0.9 * (target - source) ** 0.6
            reach = min(reach, bend)
            outline = paths.Path(
                [
                    (0, source),
                    (1.33 * bend, source + 0.1),
                    (1.33 * bend, target - 0.1),
                    (0, target),
                ],
                [paths.Path.MOVETO, *[paths.Path.CURVE4] * 3],
            )
            colour = ORANGE if delay else GREY
            axes.add_patch(patches.PathPatch(outline, fill=False, edgecolor=colour, lw=1.0))
            if delay:
                place = {"ha": "right", "va": "center", "color": ORANGE, "size": 7}
                axes.text(bend - 0.1, (source + target) / 2, f"+{delay}", **place)
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


def schedule_figure(network: Network, interval: int) -> Any:
    """When each population collects input, and when it spikes; the next frame is a dashed line."""
    with style():
        figure, ((axes,),) = sheet(_height(network))
        rows = network.rows
        numbers = range(len(rows))
        collects = [max(0, row.first - row.opens) for row in rows]
        opens = [row.opens - 0.5 for row in rows]
        axes.barh(numbers, collects, 0.72, opens, color=PALE, label="collects input")
        firsts = [row.first - 0.5 for row in rows]
        spikes = [row.last - row.first + 1 for row in rows]
        colours = [KINDS.get(row.kind, BLUE) for row in rows]
        bars = axes.barh(numbers, spikes, 0.72, firsts, color=colours)
        bars[0].set_label("may spike, large values first")
        axes.axvline(interval - 0.5, color=GREY, ls="--", lw=0.8, label="next frame may start")
        end = max(row.last for row in rows) + 1
        axes.set(xlim=(-1, max(end, interval) + 1), ylim=(len(rows) - 0.4, -0.6))
        axes.set_xlabel("time step of the frame")
        name_rows(axes, rows)
        figure.legend(loc="outside lower left", ncols=3, handlelength=1.2)
    return figure


def name_rows(axes: Any, rows: tuple[Row, ...]) -> None:
    """Write the rows' names along the vertical axis."""
    axes.set_yticks(range(len(rows)), [row.label for row in rows])
    axes.tick_params("y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=BAND, lw=0.8)
    axes.xaxis.set_major_locator(import_module("matplotlib.ticker").MaxNLocator(8, integer=True))


def _height(network: Network) -> float:
    return 0.9 + 0.22 * max(3, len(network.rows))


def _text(row: Row) -> str:
    each = f"{row.label} · {row.neurons:,} neurons"
    return f"{each}, {row.synapses:,} synapses" if row.synapses else each
