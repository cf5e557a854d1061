"""The page of `qrun --page`: one HTML file with its pictures in it, in need of nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

import numpy as np

from qcompiler.explain.measure.histograms import BINS, JointHistogram
from qcompiler.explain.measure.layer_error import ERROR_SOURCES
from qcompiler.ir.kernels import Array

from .diagnosis import Explanation, LayerLoss
from .text import columns, rows, sentences

_SIDE = 5  # pixels a bin
_SIZE = BINS * _SIDE
_SHADES = 5
_FIRST = ' class="first"'
_COLOURS = dict(zip(ERROR_SOURCES, ("#444", "#8a5", "#38a", "#a5a", "#d73", "#cb5"), strict=True))
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; background: #fff }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 90% }
th, td { text-align: right; padding: .15rem .7rem; border-bottom: 1px solid #ddd }
th:first-child, td:first-child { text-align: left; overflow-wrap: anywhere }
tr.first td { background: #fdecd8 }
dt { float: left; clear: left; width: 6rem; color: #777 }
dd { margin: 0 0 .3rem 6rem; overflow-wrap: anywhere }
section { border-top: 1px solid #ddd; margin-top: 1.5rem }
h2 { font-size: 1.05rem; overflow-wrap: anywhere }
figure { display: inline-block; margin: 0 1.5rem .5rem 0; vertical-align: top }
figcaption { font-size: 80%; color: #777; max-width: 17rem }
svg text { font: 10px system-ui, sans-serif; fill: #777 }
p.parts { font-size: 85%; color: #777; margin: .3rem 0 }
"""
_HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title><style>{style}</style></head><body>
"""
_READING = """
<p>All layers up to this one spike; the rest of the network computes real numbers.
<b>changed</b>: share of frames whose prediction differs from the ANN's (without classes: squared
error of the scores, relative to their variance). <b>error</b>: root-mean-square error of the
layer's values, relative to the standard deviation of the ANN's values. <b>own</b>: the part of the
error that the layer adds to the error of its inputs, split by cause in the columns beside it.</p>
"""


def page(found: Explanation, program: str, model: str) -> str:
    """The whole page; ``program`` and ``model`` are what it calls the two networks."""
    title = escape(f"{program} against {model}")
    parts = [
        _HEAD.format(title=title, style=_STYLE),
        f"<h1>{title}</h1>",
        _definitions(sentences(found)),
        _table(found),
        _READING,
        *(_section(layer) for layer in found.layers),
        "</body></html>\n",
    ]
    return "\n".join(parts)


def _definitions(pairs: Iterable[tuple[str, str]]) -> str:
    items = (f"<dt>{escape(name)}</dt><dd>{escape(line)}</dd>" for name, line in pairs)
    return f"<dl>{''.join(items)}</dl>"


def _table(found: Explanation) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns(found))
    lines = []
    for layer, row in zip(found.layers, rows(found), strict=True):
        first = found.first is not None and found.first.layer == layer.name
        cells = "".join(f"<td>{escape(str(cell))}</td>" for cell in row)
        lines.append(f"<tr{_FIRST if first else ''}>{cells}</tr>")
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>"


def _section(layer: LayerLoss) -> str:
    origin = f" ({', '.join(layer.origin)})" if layer.origin else ""
    text = f"{layer.neurons:,} neurons, {layer.t_max} levels, step {layer.step:.4g}"
    if layer.dead:
        text += f", {len(layer.dead)} dead channels, which never change"
    pictures = ""
    if layer.histogram is not None:
        pictures = _figure(
            _scatter(layer.histogram),
            "x: value in the ANN, y: value in the spiking network; darker: more values "
            "(logarithmic); dashed: the lowest and the highest level",
        ) + _figure(
            _histograms(layer.histogram),
            "histogram of the values in the ANN (grey) and the spiking network (orange), "
            "logarithmic",
        )
    return (
        f"<section><h2>{escape(layer.name + origin)}</h2>"
        f'<p class="parts">{escape(text)}</p>{pictures}{_bar(layer)}</section>'
    )


def _figure(picture: str, caption: str) -> str:
    return f"<figure>{picture}<figcaption>{escape(caption)}</figcaption></figure>"


def _svg(width: int, height: int, content: str) -> str:
    return f'<svg width="{width}" height="{height}" role="img">{content}</svg>'


def _scatter(histogram: JointHistogram) -> str:
    """Bins of pairs as squares, those of one shade as one path."""
    most = np.log1p(histogram.pairs.max())
    shade = np.ceil(np.log1p(histogram.pairs) / most * _SHADES).astype(int)
    paths = []
    for level in range(1, _SHADES + 1):
        squares = "".join(
            f"M{x * _SIDE} {_SIZE - (y + 1) * _SIDE}h{_SIDE}v{_SIDE}h-{_SIDE}z"
            for x, y in np.argwhere(shade == level)
        )
        if squares:
            paths.append(f'<path d="{squares}" fill="#246" fill-opacity="{level / _SHADES:.2g}"/>')
    lines = "".join(
        f'<path d="M0 {at:.1f}H{_SIZE}" stroke="#d73" stroke-dasharray="3 3"/>'
        for at in (_SIZE - _place(histogram, v) for v in (histogram.bottom, histogram.top))
        if 0 <= at <= _SIZE
    )
    frame = f'<path d="M0 {_SIZE}L{_SIZE} 0M0 0V{_SIZE}H{_SIZE}" fill="none" stroke="#ccc"/>'
    return _svg(_SIZE, _SIZE + 14, f"{frame}{''.join(paths)}{lines}{_ends(histogram)}")


def _histograms(histogram: JointHistogram) -> str:
    """The ANN's counts as bars, those of levels as a line."""
    real, ours = (np.log1p(histogram.pairs.sum(axis=axis)) for axis in (1, 0))
    unit = (_SIZE - 4) / max(real.max(), ours.max())
    bars = "".join(
        f"M{n * _SIDE} {_SIZE}v-{height:.1f}h{_SIDE}v{height:.1f}z"
        for n, height in enumerate(unit * real)
        if height
    )
    content = (
        f'<path d="{bars}" fill="#bbb"/>'
        f'<path d="M0 {_SIZE}{_steps(unit * ours)}" fill="none" stroke="#d73" stroke-width="1.5"/>'
        f'<path d="M0 {_SIZE}H{_SIZE}" stroke="#ccc"/>{_ends(histogram)}'
    )
    return _svg(_SIZE, _SIZE + 14, content)


def _steps(heights: Array) -> str:
    return "".join(f"V{_SIZE - height:.1f}h{_SIDE}" for height in heights)


def _ends(histogram: JointHistogram) -> str:
    """What the ends of the axis stand for."""
    return (
        f'<text x="0" y="{_SIZE + 12}">{histogram.low:.4g}</text>'
        f'<text x="{_SIZE}" y="{_SIZE + 12}" text-anchor="end">{histogram.high:.4g}</text>'
    )


def _place(histogram: JointHistogram, value: float) -> float:
    return (value - histogram.low) / (histogram.high - histogram.low) * _SIZE


def _bar(layer: LayerLoss) -> str:
    """What the layer loses by itself, by cause, as shares of squared error."""
    squares = {source: part**2 for source, part in layer.parts.items() if part}
    total = sum(squares.values())
    if not total:
        return ""
    at, width, pieces, names = 0.0, 2 * _SIZE, [], []
    for source, square in squares.items():
        share = square / total
        colour = _COLOURS[source]
        pieces.append(
            f'<rect x="{at:.1f}" width="{share * width:.1f}" height="10" fill="{colour}"/>'
        )
        names.append(f'<b style="color:{colour}">{source}</b> {share:.0%}')
        at += share * width
    causes = ", ".join(names)
    return f'<p class="parts">own error by cause: {causes}</p>{_svg(width, 10, "".join(pieces))}'
