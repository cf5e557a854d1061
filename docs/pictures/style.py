"""How the pictures look: one style, and files that are the same bytes on every run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")

import matplotlib.pyplot as plt

HERE = Path(__file__).parent
DIGITS = HERE.parents[1] / "examples" / "digits"
PAPER, INK, GREY, PALE = "#ffffff", "#1d2430", "#6b7480", "#e3e7ec"
BLUE, ORANGE, GREEN, PURPLE = "#2f6db3", "#c65a1e", "#2a8563", "#7a55a5"

plt.rcParams.update(
    {
        "svg.hashsalt": "qcompiler",
        "font.family": "DejaVu Sans",
        "font.size": 10,
        "figure.facecolor": PAPER,  # solid: pages may be dark
        "axes.facecolor": PAPER,
        "axes.edgecolor": GREY,
        "axes.labelcolor": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
    }
)


def sheet(width: float, height: float, *rows: float) -> tuple[Any, Any]:
    """A figure of this size in inches, with one column of axes; ``rows`` are relative heights."""
    return plt.subplots(
        len(rows) or 1,
        squeeze=False,
        figsize=(width, height),
        sharex=True,
        layout="constrained",
        gridspec_kw={"height_ratios": rows or (1,)},
    )


def save(figure: Any, name: str) -> None:
    """Write ``name.svg`` beside this file, without date and version."""
    path = HERE / f"{name}.svg"
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    plt.close(figure)
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(line.rstrip() for line in lines) + "\n", encoding="utf-8")
