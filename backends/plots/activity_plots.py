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
from qcompiler.ir.spiking.integer_network import spikes_of, spiking_nodes
from qcompiler.ir.spiking.senders import start

from .canvas import BLUE, GREY, PALE, sheet, shown, style
from .network_plots import KINDS, spans
from .row_axes import name_rows, strips
from .rows import Network

SAMPLED = 60  # neurons of a row that are drawn
_DRAWN = 6000  # neurons of a picture
_COLUMNS = 3
SHOWN = 24  # histograms of a picture
_MARGINS, _GAPS = (0.54, 0.41, 0.04, 0.2), (0.11, 0.42)  # inches, from the left and from below
_LEAST = -2  # power of ten of the percentage below which bars do not show


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
        strips(axes, spans(rows), PALE, height=0.9, alpha=0.5)
        outlines = []
        for number, row in enumerate(rows):
            pairs = [sent[member.name] for member in row.members]
            first, last = (np.concatenate([pair[n] for pair in pairs]) for n in (0, 1))
            chosen = np.linspace(0, len(first) - 1, min(most, len(first))).round().astype(int)
            outlines.append(_ticks(first[chosen], last[chosen], number - 0.45, 0.9))
        made = import_module("matplotlib.collections").PathCollection
        colours = [KINDS.get(row.kind, BLUE) for row in rows]
        look = {"facecolors": "none", "edgecolors": colours, "linewidths": 1.6}
        axes.add_collection(made(outlines, capstyle="butt", **look))
        end = max(row.last for row in rows) + 1
        axes.set(xlim=(-1, end), xlabel="time step of the frame")
        name_rows(axes, [row.label for row in rows])
    return figure


def _spikes(graph: Graph, levels: Mapping[str, Array]) -> Iterator[tuple[str, Array, Array]]:
    """Steps of every neuron's first and last spike, flat; -1 for those that are silent."""
    for node in spiking_nodes(graph):
        name, code = node.result.name, spikes_of(node.result)
        begin = start(graph, node.result) or 0
        first = step_of(code, begin, levels[name].astype(np.int64)).ravel()
        last = np.where(first < 0, -1, begin + code.top - 1) if code.coding == "burst" else first
        yield name, first, last


def _ticks(first: Array, last: Array, top: float, height: float) -> Any:
    """A path with a tick for each spike; a burst is a line from its first spike to its last."""
    pitch = height / len(first)
    half = max(0.45 * pitch, 0.03)
    points: list[tuple[float, float]] = []
    for number, (one, other) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
        at = top + pitch * (number + 0.5)
        if other > one >= 0:
            points += [(one - 0.3, at), (other + 0.3, at)]
        elif one >= 0:
            points += [(one, at - half), (one, at + half)]
    path = import_module("matplotlib.path").Path
    return path(np.reshape(points, (-1, 2)), [path.MOVETO, path.LINETO] * (len(points) // 2))


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
        figure, axes = sheet(0.5 + 0.95 * lines, lines, columns, layout=None, sharey=True)
        figure.subplots_adjust(**_places(figure, lines, columns))
        for name, one in zip_longest(names, axes.ravel()):
            if name is None:
                one.set_axis_off()
                continue
            _histogram(one, name, counts[name])
        axes[0, 0].set(ylim=(_LEAST, 2), yticks=(-2, 0, 2), yticklabels=("0.01", "1", "100"))
        figure.supylabel("values, %", size=8, x=0.009)
        figure.supxlabel("level", size=8, y=0.04 / figure.get_figheight())
    return figure


def _places(figure: Any, lines: int, columns: int) -> dict[str, float]:
    """Where histograms stand: all need the same room, which a layout would measure for each."""
    width, height = figure.get_size_inches()
    left, bottom, right, top = _MARGINS
    across, down = _GAPS
    wide = (width - left - right + across) / columns - across
    high = (height - bottom - top + down) / lines - down
    found = {"left": left / width, "right": 1 - right / width, "wspace": across / wide}
    return found | {"bottom": bottom / height, "top": 1 - top / height, "hspace": down / high}


def _histogram(axes: Any, name: str, counts: Array) -> None:
    top = len(counts) - 1
    shares = 100 * counts / max(1, counts.sum())
    powers = np.log10(np.maximum(shares, 10.0**_LEAST))  # cheaper than a logarithmic axis
    axes.stairs(powers, np.arange(top + 2) - 0.5, fill=True, color=BLUE, baseline=_LEAST)
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
