"""Draw slices.svg: one value coded by three populations, each with a slice of its range.

python docs/pictures/slices.py
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from style import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, save

SLICES, LEVELS, X = 3, 8, 1.57  # the range of a slice is 1
COLORS = (BLUE, GREEN, PURPLE)


def main() -> None:
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(8.2, 3.3), layout="constrained", gridspec_kw={"width_ratios": (1.1, 1)}
    )
    curves(left)
    windows(right)
    save(figure, "slices")


def level(part: int) -> int:
    """The level of one slice of X."""
    return int(np.rint(np.clip(X - part, 0, 1) * (LEVELS - 1)))


def curves(axes: Any) -> None:
    """What each population represents, as a function of the value."""
    x = np.linspace(0, SLICES, 400)
    total = np.rint(x * (LEVELS - 1)) / (LEVELS - 1)
    axes.plot(x, total, color=GREY, lw=1.2, label="sum of the slices: 22 levels")
    for part, color in enumerate(COLORS):
        axes.plot(
            x, np.clip(x - part, 0, 1), color=color, lw=2, label=f"population {part}: 8 levels"
        )
    axes.vlines(X, 0, 2.5, color=ORANGE, ls="--", lw=1.2)
    axes.text(X - 0.1, 2.56, f"x = {X}", color=ORANGE, weight="bold")
    axes.set(xlabel="value x", ylabel="represented", ylim=(-0.05, 3.9), xlim=(0, SLICES))
    axes.set(xticks=range(SLICES + 1), yticks=range(SLICES + 1))
    axes.legend(loc="upper left", frameon=False, fontsize=8.5, ncols=1, borderaxespad=0.1)


def windows(axes: Any) -> None:
    """When the neurons of x spike: all in the same window."""
    for part, color in enumerate(COLORS):
        axes.broken_barh([(-0.5, LEVELS)], (part - 0.3, 0.6), color=color, alpha=0.14, lw=0)
        step = LEVELS - 1 - level(part)
        axes.plot(step, part, "|", ms=20, mew=3, color=color)
        near = -0.35 if step > 4 else 0.35
        side = "right" if step > 4 else "left"
        axes.text(
            step + near, part, f"level {level(part)}", color=color, va="center", ha=side, size=9
        )
    total = sum(map(level, range(SLICES)))
    text = f"levels {' + '.join(str(level(p)) for p in range(SLICES))} = {total} of 0 to 21"
    axes.text(3.5, 2.72, text, ha="center", va="center", color=INK, size=9.5)
    axes.set(
        yticks=range(SLICES),
        yticklabels=[f"population {part}" for part in range(SLICES)],
        ylim=(3.1, -0.6),
        xlim=(-0.6, LEVELS - 0.4),
        xlabel="step in the common window",
    )
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


if __name__ == "__main__":
    main()
