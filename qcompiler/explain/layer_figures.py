"""The pictures of `qrun --page`: each layer's values in both networks, and what it loses."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from qcompiler.backends.plots.canvas import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PALE,
    PURPLE,
    YELLOW,
    sheet,
    shown,
    style,
)
from qcompiler.backends.plots.row_axes import name_rows, strips
from qcompiler.explain.measure.histograms import BINS, JointHistogram
from qcompiler.explain.measure.layer_error import ERROR_SOURCES
from qcompiler.ir.kernels import Array

from .explanation import LayerLoss

_SHADES = 5
_COLOURS = dict(zip(ERROR_SOURCES, (INK, GREEN, BLUE, PURPLE, ORANGE, YELLOW), strict=True))


def loss_figure(layers: Sequence[LayerLoss]) -> Any:
    """What each layer adds to the error, by cause: shares of its squares, which add up."""
    with style():
        figure, ((axes,),) = sheet(1.0 + 0.22 * max(3, len(layers)))
        squares = np.array([[layer.parts[s] ** 2 for s in ERROR_SOURCES] for layer in layers])
        sums = squares.sum(axis=1, keepdims=True)
        own = 100 * np.array([[layer.own] for layer in layers])
        widths = np.divide(squares, sums, out=np.zeros_like(squares), where=sums > 0) * own
        begins = np.cumsum(widths, axis=1) - widths
        for index, source in enumerate(ERROR_SOURCES):
            if widths[:, index].any():
                pairs = list(zip(begins[:, index], widths[:, index], strict=True))
                strips(axes, pairs, _COLOURS[source], label=source)
        axes.set(xlim=(0, 1.05 * max(1.0, own.max())))
        axes.set_xlabel("own error, % of the spread of the layer's values")
        name_rows(axes, [shown(layer.name) for layer in layers])
        figure.legend(loc="outside lower left", ncols=4, handlelength=1.2)
    return figure


def layer_figure(found: JointHistogram) -> Any:
    """Values of the ANN against those of the spiking network, and histograms of both."""
    with style():
        figure, ((left, right),) = sheet(2.4, 1, 2)
        edges = np.linspace(found.low, found.high, BINS + 1)
        _pairs(left, found, edges)
        ends = found.low, found.high
        left.plot(ends, ends, color=PALE, lw=0.8, zorder=0)
        for level in (found.bottom, found.top):
            left.axhline(level, color=ORANGE, lw=0.8, ls="--")
        left.set(xlim=ends, ylim=ends, xlabel="value in the ANN", ylabel="in the spiking network")
        counts = [np.log10(np.maximum(1, found.pairs.sum(axis=axis))) for axis in (1, 0)]
        right.stairs(counts[0], edges, fill=True, color=PALE, label="ANN")
        right.stairs(counts[1], edges, color=ORANGE, lw=1.2, label="spiking")
        most = int(np.ceil(max(1.0, *(count.max() for count in counts))))
        powers = range(0, most + 1, max(1, most // 4))
        right.set(xlim=ends, ylim=(0, 1.25 * most), xlabel="value", ylabel="how often")
        right.set_yticks([*powers], [f"{10**power:,}" for power in powers])
        right.legend(loc="upper right", ncols=2, handlelength=1)
        for axes in (left, right):
            axes.xaxis.set_major_locator(import_module("matplotlib.ticker").MaxNLocator(4))
            axes.tick_params(color=GREY, length=2)
    return figure


def _pairs(axes: Any, found: JointHistogram, edges: Array) -> None:
    """Squares of bins, those of one shade as one path: darker where there are more values."""
    patches, paths = import_module("matplotlib.patches"), import_module("matplotlib.path")
    most = np.log1p(found.pairs.max())
    shade = np.ceil(np.log1p(found.pairs) / most * _SHADES).astype(int)
    step = edges[1] - edges[0]
    corners = np.array([(0, 0), (step, 0), (step, step), (0, step), (0, 0)])
    for level in range(1, _SHADES + 1):
        places = np.argwhere(shade == level)
        if len(places):
            points = (edges[places][:, None] + corners).reshape(-1, 2)
            codes = [paths.Path.MOVETO, *[paths.Path.LINETO] * 3, paths.Path.CLOSEPOLY]
            outline = paths.Path(points, codes * len(places))
            look = {"facecolor": BLUE, "alpha": level / _SHADES, "lw": 0}
            axes.add_patch(patches.PathPatch(outline, **look))
