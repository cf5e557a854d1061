"""What neurons do: the spikes of one frame, and histograms of levels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from itertools import zip_longest
from typing import Any

import numpy as np

from qcompiler.ir import Graph
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.coding import step_of
from qcompiler.ir.spiking.integer_network import spikes_of, spiking_nodes, start

from .canvas import BLUE, GREY, PALE, sheet, shown, style
from .network_plots import KINDS, name_rows
from .rows import Network

SAMPLED = 60  # neurons of a row that are drawn
_DRAWN = 6000  # neurons of a picture
_COLUMNS = 3
SHOWN = 24  # histograms of a picture
_LEAST = 1e-4  # share of values below which bars do not show


def raster_figure(network: Network, graph: Graph, levels: Mapping[str, Array]) -> Any:
    """The spikes of a frame; ``levels`` are those of each population, ``shape`` or ``1 x shape``.

    Of large populations some neurons are drawn, evenly spread.
    """
    rows = network.rows
    most = max(8, min(SAMPLED, _DRAWN // len(rows)))
    sent = {name: (first, last) for name, first, last in _spikes(graph, levels)}
    high = 0.5 if len(rows) <= 8 else 0.32
    with style():
        figure, ((axes,),) = sheet(0.7 + high * max(3, len(rows)))
        outlines = import_module("matplotlib.path")
        patches = import_module("matplotlib.patches")
        spans = [row.last - row.first + 1 for row in rows]
        firsts = [row.first - 0.5 for row in rows]
        axes.barh(range(len(rows)), spans, 0.9, firsts, color=PALE, alpha=0.5)
        for number, row in enumerate(rows):
            pairs = [sent[member.name] for member in row.members]
            first, last = (np.concatenate([pair[n] for pair in pairs]) for n in (0, 1))
            chosen = np.linspace(0, len(first) - 1, min(most, len(first))).round().astype(int)
            codes, points = _ticks(first[chosen], last[chosen], number - 0.45, 0.9)
            colour = KINDS.get(row.kind, BLUE)
            if points:
                look = {"fill": False, "edgecolor": colour, "lw": 1.6, "capstyle": "butt"}
                axes.add_patch(patches.PathPatch(outlines.Path(points, codes), **look))
        end = max(row.last for row in rows) + 1
        axes.set(xlim=(-1, end), ylim=(len(rows) - 0.4, -0.6), xlabel="time step of the frame")
        name_rows(axes, rows)
    return figure


def _spikes(graph: Graph, levels: Mapping[str, Array]) -> Iterator[tuple[str, Array, Array]]:
    """Steps of every neuron's first and last spike, flat; -1 for those that are silent."""
    for node in spiking_nodes(graph):
        name, code = node.result.name, spikes_of(node.result)
        begin = start(graph, node.result) or 0
        first = step_of(code, begin, levels[name].astype(np.int64)).ravel()
        last = np.where(first < 0, -1, begin + code.top - 1) if code.coding == "burst" else first
        yield name, first, last


def _ticks(first: Array, last: Array, top: float, height: float) -> tuple[list[int], Any]:
    """An outline with a tick for each spike; a burst is a line from its first spike to its last."""
    pitch = height / len(first)
    half = max(0.45 * pitch, 0.03)
    codes: list[int] = []
    points: list[tuple[float, float]] = []
    for number, (one, other) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
        if one < 0:
            continue
        at = top + pitch * (number + 0.5)
        pair = [(one, at - half), (one, at + half)]
        if other > one:
            pair = [(one - 0.3, at), (other + 0.3, at)]
        codes += [1, 2]  # move to, line to
        points += pair
    return codes, points


def histogram_figure(counts: Mapping[str, Array]) -> Any:
    """How many values have which level, by population, in percent on a logarithmic axis.

    Of many populations some are drawn, evenly spread.
    """
    names = list(counts)
    if len(names) > SHOWN:
        names = [names[round(n)] for n in np.linspace(0, len(names) - 1, SHOWN)]
    with style():
        columns = min(_COLUMNS, len(names))
        lines = -(-len(names) // columns)
        figure, axes = sheet(0.5 + 0.95 * lines, lines, columns, sharey=True)
        for name, one in zip_longest(names, axes.ravel()):
            if name is None:
                one.set_axis_off()
                continue
            _histogram(one, name, counts[name])
        axes[0, 0].set(yscale="log", ylim=(100 * _LEAST, 100), yticks=(0.01, 1, 100))
        axes[0, 0].set_yticklabels(("0.01", "1", "100"))
        axes[0, 0].yaxis.set_minor_locator(import_module("matplotlib.ticker").NullLocator())
        figure.supylabel("values, %", size=8)
        figure.supxlabel("level", size=8)
    return figure


def _histogram(axes: Any, name: str, counts: Array) -> None:
    top = len(counts) - 1
    shares = 100 * counts / max(1, counts.sum())
    axes.stairs(shares, np.arange(top + 2) - 0.5, fill=True, color=BLUE, baseline=0)
    axes.set_title(shown(name, 19), loc="left", size=7)
    axes.set_xticks((0, top))
    axes.tick_params(color=GREY, length=2)


def count_levels(graph: Graph, levels: Mapping[str, Array]) -> dict[str, Array]:
    """How often each level occurs, by population."""
    tops = {node.result.name: spikes_of(node.result).top for node in spiking_nodes(graph)}
    return {
        name: np.bincount(levels[name].ravel().astype(np.int64), minlength=top + 1)
        for name, top in tops.items()
    }
