"""Draw dataflow.svg: from an ONNX file to spikes.

python docs/pictures/dataflow.py
"""

from __future__ import annotations

from typing import Any

from matplotlib.patches import FancyBboxPatch
from style import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, save, sheet

STAGES: tuple[tuple[str, tuple[str, ...], str], ...] = (  # title, lines, colour
    ("ONNX model", ("weights, shapes;", "calibration data"), GREY),
    ("tensor level", ("real numbers:", "ann.conv, ann.clip, ..."), BLUE),
    ("spiking level", ("integer synapses,", "windows, clocks"), PURPLE),
    ("program", ("network.qir, arrays,", "manifest"), GREEN),
)
STEPS = (  # what leads from one stage to the next
    ("import", ("every node is", "compiled, folded", "or refused")),
    ("lower", ("normalize", "quantize", "assign-windows", "insert-readout")),
    ("emit", ("checked", "against limits", "of the target")),
)
RUNS = (
    ("fast", "closed form on onnxruntime"),
    ("steps", "membranes, step by step"),
    ("lava", "Lava, fixed point"),
)
PITCH, WIDTH, HEIGHT, MIDDLE = 3.45, 2.1, 1.05, 2.6


def main() -> None:
    figure, ((axes,),) = sheet(9.6, 3.6)
    for place, (title, lines, color) in enumerate(STAGES):
        box(axes, place * PITCH, MIDDLE, title, lines, color)
    for place, (title, passes) in enumerate(STEPS):
        arrow(axes, place * PITCH + WIDTH, title, passes)
    loop(axes)
    engines(axes)
    axes.set(xlim=(-0.1, 3 * PITCH + WIDTH + 0.1), ylim=(0, 3.6))
    axes.axis("off")
    save(figure, "dataflow")


def box(axes: Any, x: float, y: float, title: str, lines: tuple[str, ...], color: str) -> None:
    """A rounded box with a title and up to two small lines."""
    style = "round,pad=0,rounding_size=0.12"
    axes.add_patch(
        FancyBboxPatch((x, y - HEIGHT / 2), WIDTH, HEIGHT, style, fc=color, alpha=0.13, lw=0)
    )
    axes.add_patch(
        FancyBboxPatch((x, y - HEIGHT / 2), WIDTH, HEIGHT, style, fc="none", ec=color, lw=1.3)
    )
    axes.text(x + WIDTH / 2, y + 0.22, title, ha="center", va="center", weight="bold", color=INK)
    axes.text(x + WIDTH / 2, y - 0.2, "\n".join(lines), ha="center", va="center", size=9)


def arrow(axes: Any, x: float, title: str, lines: tuple[str, ...]) -> None:
    """An arrow to the next box: its title above, passes below."""
    end = x + PITCH - WIDTH
    line = {"arrowstyle": "-|>", "color": GREY, "lw": 1.4}
    axes.annotate("", (end - 0.05, MIDDLE), (x + 0.05, MIDDLE), arrowprops=line)
    middle = (x + end) / 2
    axes.text(middle, MIDDLE + 0.12, title, ha="center", va="bottom", size=9, color=ORANGE)
    axes.text(middle, MIDDLE - 0.14, "\n".join(lines), ha="center", va="top", size=8, color=GREY)


def loop(axes: Any) -> None:
    """Passes that stay at the tensor level."""
    left, top = PITCH + WIDTH / 2, MIDDLE + HEIGHT / 2
    line = {"arrowstyle": "-|>", "color": GREY, "lw": 1.4, "connectionstyle": "arc3,rad=-1.1"}
    axes.annotate("", (left + 0.35, top), (left - 0.35, top), arrowprops=line)
    text = "fold-batchnorm, fold-linear,\nequalize, split-ranges, your own passes"
    axes.text(left + 0.6, top + 0.22, text, va="center", size=9, color=GREY)


def engines(axes: Any) -> None:
    """What runs a program: three engines with the same spikes."""
    wide, gap, y = 2.5, 0.35, 0.42
    right = 3 * PITCH + WIDTH
    for place, (title, text) in enumerate(reversed(RUNS)):
        x = right - wide - place * (wide + gap)
        axes.add_patch(
            FancyBboxPatch(
                (x, y - 0.36), wide, 0.72, "round,pad=0,rounding_size=0.12", fc="none", ec=GREEN
            )
        )
        axes.text(x + wide / 2, y + 0.13, title, ha="center", va="center", weight="bold", size=9)
        axes.text(x + wide / 2, y - 0.15, text, ha="center", va="center", size=9)
    start, middle = right - WIDTH / 2, 1.28
    axes.plot((start, start), (MIDDLE - HEIGHT / 2, middle), color=GREY, lw=1.4)
    axes.plot((right - 2.5 * wide - 2 * gap, start), (middle, middle), color=GREY, lw=1.4)
    for place in range(len(RUNS)):
        x = right - wide / 2 - place * (wide + gap)
        line = {"arrowstyle": "-|>", "color": GREY, "lw": 1.4}
        axes.annotate("", (x, y + 0.38), (x, middle), arrowprops=line)
    axes.text(
        right - 2.5 * wide - 2 * gap - 0.15 - wide / 2,
        y,
        "engines: the same spikes,\nneuron for neuron",
        ha="right",
        va="center",
        size=9,
    )


if __name__ == "__main__":
    main()
