"""The cores of a chip: what each population takes of its fullest core."""

from __future__ import annotations

from typing import Any

from qcompiler.backends.loihi.mapping.core_usage import RESOURCES

from .canvas import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, sheet, style
from .row_axes import name_rows, strips
from .rows import Network, Row

COLOURS = dict(zip(RESOURCES, (BLUE, GREEN, PURPLE, ORANGE), strict=True))


def fullest(row: Row) -> tuple[str, float]:
    """The resource that runs out first on a core of these populations, and its used share."""
    uses = [member.core_use for member in row.members if member.core_use]
    pairs = [(share, name) for use in uses for name, share in use.items()]
    share, name = max(pairs, default=(0.0, RESOURCES[0]))
    return name, share


def cores_text(row: Row) -> str:
    """How many cores these populations take."""
    if all(member.cores is None for member in row.members):
        return ""
    own = sum(m.cores or 0 for m in row.members if not m.shares_core)
    shared = any(m.shares_core for m in row.members)
    text = f"{own:,} core{'s' * (own != 1)}" if own else ""
    return (f"{text} + shared" if text else "shared core") if shared else text


def core_figure(network: Network) -> Any:
    """Populations that are on cores, each with the resource that runs out first."""
    rows = tuple(row for row in network.rows if any(member.core_use for member in row.members))
    with style():
        figure, ((axes,),) = sheet(0.9 + 0.22 * max(3, len(rows)))
        found = [fullest(row) for row in rows]
        for resource, colour in COLOURS.items():
            chosen = [n for n, (name, _) in enumerate(found) if name == resource]
            if chosen:
                shares = [(0.0, 100 * found[n][1]) for n in chosen]
                strips(axes, shares, colour, chosen, label=resource)
        for number, row in enumerate(rows):  # behind the line at 100 %, which crosses no text
            axes.text(102, number, cores_text(row), va="center", color=INK, size=7)
        axes.axvline(100, color=GREY, lw=0.8)
        axes.set(xlim=(0, 140), xlabel="used of the fullest core, %")
        name_rows(axes, [row.label for row in rows])
        axes.set_xticks((0, 25, 50, 75, 100))
        figure.legend(loc="outside lower left", ncols=4, handlelength=1.2)
    return figure
