"""The cores of a chip as squares: each population's, coloured by what fills them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from .canvas import INK, sheet, style
from .core_plot import COLOURS, fullest
from .row_axes import name_rows
from .rows import Network, Row

_COLUMNS, _LINES = 24, 4  # squares beside each other, and lines of them, in a row at most
_SHADES = 4  # of a colour, from a nearly empty core to a full one
_SIDE = 0.84  # of a square, where 1 is the distance to the next
_PITCH = 0.13  # inches from a square to the next
_GAP = 0.5  # between rows, in squares


class Square(NamedTuple):
    """Where a square stands, what it shows, and whether other populations are on the core."""

    row: int
    column: int
    line: int
    resource: str
    shade: int
    shared: bool


def cores_per_square(network: Network) -> int:
    """How many cores a square stands for, so that the largest population has room."""
    most = max((_own(row) for row in network.rows), default=0)
    return max(1, -(-most // (_COLUMNS * _LINES)))


def squares(network: Network) -> Iterator[Square]:
    """The squares of all populations that are on cores, population by population."""
    each = cores_per_square(network)
    for number, row in enumerate(_placed(network)):
        count = -(-_own(row) // each)
        resource, share = fullest(row)
        shade = min(_SHADES, max(1, int(np.ceil(_SHADES * share))))
        some_shared = any(member.shares_core for member in row.members)
        for index in range(count + some_shared):
            line, column = divmod(index, _COLUMNS)
            yield Square(number, column, line, resource, shade, index == count)


def square_figure(network: Network) -> Any:
    """Squares in a row for each population; a frame alone is a core that others are on, too."""
    rows, found = _placed(network), list(squares(network))
    lines = dict.fromkeys(range(len(rows)), 1) | {one.row: 1 + one.line for one in found}
    ends = list(accumulate(count + _GAP for count in lines.values()))
    tops = [end - count - _GAP for end, count in zip(ends, lines.values(), strict=True)]
    height = max([5.0, *ends])
    with style():
        figure, ((axes,),) = sheet(0.8 + _PITCH * height)
        for one in sorted({(s.resource, s.shade, s.shared) for s in found}):
            resource, shade, shared = one
            alike = [s for s in found if (s.resource, s.shade, s.shared) == one]
            at = [(s.column, tops[s.row] + s.line) for s in alike]
            colour = COLOURS[resource]
            look = {"facecolor": colour, "alpha": shade / _SHADES, "lw": 0}
            if shared:
                look = {"facecolor": "none", "edgecolor": colour, "lw": 0.8}
            look["label"] = resource
            axes.add_patch(_patch(np.array(at), look))
        middles = [top + (_SIDE + lines[n] - 1) / 2 for n, top in enumerate(tops)]
        name_rows(axes, [row.label for row in rows], middles)
        axes.grid(visible=False)
        axes.set(xlim=(-0.3, _COLUMNS + 0.3), xticks=(), ylim=(height, -_GAP))
        axes.spines["bottom"].set_visible(False)
        each = cores_per_square(network)
        text = "one square: a core" if each == 1 else f"one square: {each:,} cores"
        axes.text(0, 1.01, text, transform=axes.transAxes, color=INK, size=7.5)
        _legend(figure, axes)
    return figure


def _legend(figure: Any, axes: Any) -> None:
    """One entry for each resource."""
    handles, labels = axes.get_legend_handles_labels()
    first = {label: handle for handle, label in zip(handles[::-1], labels[::-1], strict=True)}
    if first:
        figure.legend(
            first.values(), first.keys(), loc="outside lower left", ncols=4, handlelength=1.2
        )


def _placed(network: Network) -> tuple[Row, ...]:
    return tuple(row for row in network.rows if any(member.core_use for member in row.members))


def _own(row: Row) -> int:
    return sum(member.cores or 0 for member in row.members if not member.shares_core)


def _patch(corners: np.ndarray[Any, Any], look: dict[str, Any]) -> Any:
    """Squares whose upper left corners these are, as one shape."""
    paths, patches = import_module("matplotlib.path"), import_module("matplotlib.patches")
    outline = _SIDE * np.array([(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)])
    polygons = corners[:, None, :] + outline
    return patches.PathPatch(paths.Path.make_compound_path_from_polys(polygons), **look)
