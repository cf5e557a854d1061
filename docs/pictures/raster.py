"""Draw raster.svg: every spike of one image in the compiled digits network.

python docs/pictures/raster.py [FRAME]
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path as Outline
from style import BLUE, DIGITS, GREEN, GREY, INK, ORANGE, PURPLE, save, sheet

import qcompiler
from qcompiler.backends import LOIHI

SCALE = (16,)  # pixels go from 0 to 16


class Band(NamedTuple):
    """One population in the picture: its label, height and colour."""

    label: str
    height: float
    color: str


BANDS = {
    "image:digit1": Band("input, high digit", 1.0, GREY),
    "image:digit0": Band("input, low digit", 1.0, GREY),
    "/relu1/Relu_output_0": Band("conv 1, ReLU", 2.2, BLUE),
    "/pool1/MaxPool_output_0": Band("max pool 1", 1.1, PURPLE),
    "/relu2/Relu_output_0": Band("conv 2, ReLU", 1.8, BLUE),
    "/pool2/MaxPool_output_0": Band("max pool 2", 1.0, PURPLE),
    "scores": Band("scores", 2.0, GREEN),
}
GAP = 0.28


# As the target's, but the output stays one population, which spikes in the order of its levels.
PASSES = ",".join(p for p in LOIHI.pipeline.split(",") if not p.startswith("split-windows"))


def main(frame: int) -> None:
    program = qcompiler.compile(
        DIGITS / "digits.onnx",
        calibration=DIGITS / "digits_calibration.npz",
        scale_values=SCALE,
        passes=PASSES,
    )
    with np.load(DIGITS / "digits_test.npz") as data:
        image = data["images"][frame]
    spikes = program.spikes(image[None, None])
    figure, ((axes,),) = sheet(8.4, 6.0)
    windows = {node.result.name: getattr(node.op, "window", None) for node in program.graph.nodes}
    top = 0.0
    for row in program.report().populations:
        band = BANDS[row.name]
        shade(axes, top, band, windows[row.name], (row.first_step, row.last_step))
        ticks(axes, top, band, spikes[row.name].ravel())
        name(axes, top, band, f"{row.neurons} neurons")
        if row.name == "scores":
            winner(axes, top, band, spikes[row.name].ravel())
        top += band.height + GAP
    axes.set(xlim=(-1, 104), ylim=(top, -GAP), yticks=[], xlabel="time step")
    axes.spines["left"].set_visible(False)
    thumbnail(axes, image)
    legend(axes)
    save(figure, "raster")


def shade(axes: Any, top: float, band: Band, window: Any, answer: tuple[int, int]) -> None:
    """Pale where a population collects its input, darker where its spikes may leave."""
    first, last = answer
    if window is not None:
        axes.broken_barh(
            [(window[0] - 0.5, first - window[0])], (top, band.height), color="#f1f3f6"
        )
    axes.broken_barh(
        [(first - 0.5, last - first + 1)], (top, band.height), color=band.color, alpha=0.16, lw=0
    )


def ticks(axes: Any, top: float, band: Band, steps: np.ndarray[Any, Any]) -> None:
    """A short vertical line for each spike, neurons from top to bottom."""
    pitch = band.height / len(steps)
    length = max(pitch * 0.8, 0.03)
    y = top + pitch * (np.arange(len(steps)) + 0.5)
    ends = [((x, at - length / 2), (x, at + length / 2)) for x, at in zip(steps, y, strict=True)]
    points = [point for pair in ends for point in pair]
    codes = [Outline.MOVETO, Outline.LINETO] * len(ends)
    axes.add_patch(PathPatch(Outline(points, codes), edgecolor=band.color, lw=1.6, fill=False))


def name(axes: Any, top: float, band: Band, neurons: str) -> None:
    middle = top + band.height / 2
    axes.text(-2, middle - 0.02, band.label, ha="right", va="bottom", color=INK)
    axes.text(-2, middle + 0.02, neurons, ha="right", va="top", color=GREY, size=8.5)


def winner(axes: Any, top: float, band: Band, steps: np.ndarray[Any, Any]) -> None:
    """Mark the first output spike: it names the class."""
    best, pitch = int(steps.argmin()), band.height / len(steps)
    y = top + pitch * (best + 0.5)
    axes.plot(steps[best], y, "o", ms=8, mfc="none", mec=ORANGE, mew=1.8)
    axes.annotate(
        f"first output spike, step {steps[best]}: class {best}",
        (steps[best], y),
        (steps[best] - 1, top - 1.1),
        color=ORANGE,
        weight="bold",
        arrowprops={"arrowstyle": "-", "color": ORANGE, "shrinkB": 5},
    )
    for number in range(len(steps)):
        at = top + pitch * (number + 0.5)
        axes.text(103, at, str(number), va="center", ha="left", size=7, color=GREY)


def thumbnail(axes: Any, image: np.ndarray[Any, Any]) -> None:
    inset = axes.inset_axes((0.72, 0.72, 0.2, 0.24))
    inset.pcolormesh(image[::-1], cmap="gray_r", edgecolors="none")
    inset.set(xticks=[], yticks=[], aspect="equal", title="the image, 8 x 8 pixels")
    inset.title.set_size(9)
    for spine in inset.spines.values():
        spine.set_visible(True)


def legend(axes: Any) -> None:
    """What pale and tinted areas are."""
    rows = [("#f1f3f6", 1.0, "collects its input"), (BLUE, 0.16, "may spike: large values first")]
    patches = [Patch(facecolor=color, alpha=alpha, label=label) for color, alpha, label in rows]
    axes.legend(
        handles=patches, loc="upper left", bbox_to_anchor=(0.56, 0.62), frameon=False, fontsize=9
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 0)
