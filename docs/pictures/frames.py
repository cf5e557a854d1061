"""Draw frames.svg: the windows of one frame, and how frames follow each other.

python docs/pictures/frames.py
"""

from __future__ import annotations

from typing import Any

from style import BLUE, DIGITS, GREEN, GREY, INK, ORANGE, PURPLE, save, sheet

import qcompiler

LEVELS = 16
PASSES = (
    "fold-batchnorm,fold-linear,normalize{output_t_max=16},quantize{output_t_max=16},"
    "assign-windows,insert-readout"
)
LABELS = {
    "image:spikes": "input",
    "/relu1/Relu_output_0": "conv 1",
    "/pool1/MaxPool_output_0": "max pool 1",
    "/relu2/Relu_output_0": "conv 2",
    "/pool2/MaxPool_output_0": "max pool 2",
    "scores": "scores",
}
COLORS = (BLUE, ORANGE, GREEN, PURPLE)


def main() -> None:
    program = qcompiler.compile(
        DIGITS / "digits.onnx",
        target="reference",
        calibration=DIGITS / "digits_calibration.npz",
        scale_values=(16,),
        passes=PASSES,
        t_max=LEVELS,
    )
    report = program.report()
    windows = {node.result.name: getattr(node.op, "window", None) for node in program.graph.nodes}
    figure, ((axes,),) = sheet(8.4, 3.7)
    interval = report.frame_interval_steps
    for frame, color in enumerate(COLORS):
        for row, population in enumerate(report.populations):
            begin = frame * interval
            window = windows[population.name]
            answers = (population.first_step, population.last_step)
            draw(axes, row, begin, window, answers, color)
        axes.text(frame * interval, -0.72, f"frame {frame}", color=color, weight="bold", size=9.5)
    measure(axes, interval, report.latency_steps, len(report.populations))
    axes.set(
        yticks=range(len(report.populations)),
        yticklabels=[LABELS[p.name] for p in report.populations],
        ylim=(len(report.populations) + 0.9, -1.1),
        xlim=(-1, 4 * interval + 1),
        xlabel="time step",
    )
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    save(figure, "frames")


def draw(
    axes: Any, row: int, begin: int, window: Any, answers: tuple[int, int], color: str
) -> None:
    """Pale while the population collects its input, strong while its spikes may leave."""
    first, last = answers
    if window is not None:
        axes.broken_barh(
            [(begin + window[0], first - window[0])],
            (row - 0.32, 0.64),
            color=color,
            alpha=0.22,
            lw=0,
        )
    axes.broken_barh([(begin + first, last - first + 1)], (row - 0.32, 0.64), color=color, lw=0)


def measure(axes: Any, interval: int, latency: int, rows: int) -> None:
    """Arrows for the latency of a frame and the interval between frames."""
    for y, begin, end, text in (
        (rows - 0.1, 0, latency, f"latency: last output spike at step {latency}"),
        (rows + 0.55, 0, interval, f"a frame enters every {interval} steps"),
    ):
        axes.annotate("", (begin, y), (end, y), arrowprops={"arrowstyle": "<->", "color": GREY})
        axes.text(end + 1.5, y, text, va="center", color=INK, size=9)
    for x, alpha, text in ((109, 0.22, "collects input"), (109, 1.0, "may spike")):
        y = rows - 0.1 if alpha < 1 else rows + 0.55
        axes.broken_barh([(x, 5)], (y - 0.2, 0.4), color=GREY, alpha=alpha, lw=0)
        axes.text(x + 6.5, y, text, va="center", color=INK, size=9)


if __name__ == "__main__":
    main()
