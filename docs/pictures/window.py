"""Draw window.svg: one neuron through its window, step by step.

The neuron is that of docs/explanation/method.md: three inputs of 8 levels, integer weights 3, -2
and 4, bias 5, slope 6. Its inputs have levels 7, 1 and 2, so it spikes at the time of level
floor((3 * 7 - 2 * 1 + 4 * 2 + 5) / 6) = 5.

    python docs/pictures/window.py
"""

from __future__ import annotations

from typing import Any, NamedTuple

from style import BLUE, GREEN, GREY, INK, ORANGE, PALE, save, sheet

WEIGHTS, BIAS, SLOPE, LEVELS, T_MAX = (3, -2, 4), 5, 6, (7, 1, 2), 8
HOLD = 8  # the smallest even number that prevents early spikes, for these weights
OPEN, READ, CLOSE = 1, T_MAX, 2 * T_MAX - 1
THRESHOLD = SLOPE * T_MAX - 1


class Trace(NamedTuple):
    """The membrane at the end of each step, and the step of the spike."""

    steps: list[int]
    membrane: list[int]
    spike: int


def simulate() -> Trace:
    arrivals = [T_MAX - level for level in LEVELS]  # one step after the spike of its sender
    pulses = {OPEN: BIAS - HOLD, OPEN + 1: HOLD - BIAS, READ: HOLD, READ + 1: -HOLD}
    current = membrane = 0
    steps, values = [OPEN - 1], [0]
    for step in range(OPEN, CLOSE + 1):
        current += sum(w for w, at in zip(WEIGHTS, arrivals, strict=True) if at == step)
        current += pulses.get(step, 0)
        if step == READ:
            current += SLOPE - sum(WEIGHTS)
        membrane += current
        steps.append(step)
        values.append(membrane)
        if membrane > THRESHOLD:
            break
    return Trace(steps, values, steps[-1])


def main() -> None:
    trace = simulate()
    figure, ((inputs,), (membrane,)) = sheet(8.0, 5.0, 1.0, 2.5)
    for axes in (inputs, membrane):
        axes.axvspan(OPEN - 0.5, READ - 0.5, color="#f1f3f6", lw=0)
        axes.axvspan(READ - 0.5, CLOSE + 0.5, color=GREEN, alpha=0.14, lw=0)
    arrivals(inputs)
    ramp(membrane, trace)
    save(figure, "window")


def arrivals(axes: Any) -> None:
    """One row for each input: when its spike arrives."""
    for row, (weight, level) in enumerate(zip(WEIGHTS, LEVELS, strict=True)):
        axes.hlines(row + 0.38, OPEN, READ - 1, color=PALE)
        axes.plot(T_MAX - level, row, "|", ms=15, mew=2.5, color=BLUE)
        beside, side = (0.25, "left") if level > 1 else (-0.25, "right")
        at = T_MAX - level + beside
        axes.text(at, row, f"level {level}", va="center", ha=side, size=9, color=BLUE)
        axes.text(-0.1, row, f"weight {weight}", ha="right", va="center", size=9)
    axes.set(ylim=(2.6, -0.6), yticks=[], xlim=(0, CLOSE + 0.5))
    axes.spines["left"].set_visible(False)
    axes.text((OPEN + READ - 1) / 2, -0.75, "input spikes arrive", ha="center", va="bottom")
    axes.text((READ + CLOSE) / 2, -0.75, "the neuron spikes", ha="center", va="bottom")
    for step in range(READ, CLOSE + 1):
        strong = step == READ + T_MAX - 1 - 5
        color = ORANGE if strong else GREY
        axes.text(step, 0.6, str(CLOSE - step), ha="center", va="center", color=color)
    axes.text(
        (READ + CLOSE) / 2,
        1.6,
        "level that a spike at this step means",
        ha="center",
        size=9,
        color=GREY,
    )


def ramp(axes: Any, trace: Trace) -> None:
    """The membrane, the threshold and the spike."""
    axes.plot(trace.steps, trace.membrane, "-o", color=INK, ms=3.5, lw=1.6)
    axes.axhline(THRESHOLD, color=ORANGE, lw=1.2, ls="--")
    axes.text(0.15, THRESHOLD + 1, "threshold", color=ORANGE, size=9)
    axes.plot(trace.spike, trace.membrane[-1], "o", ms=11, mfc="none", mec=ORANGE, mew=1.8)
    axes.annotate(
        f"spike at step {trace.spike}: level {CLOSE - trace.spike}",
        (trace.spike, trace.membrane[-1]),
        (trace.spike + 0.9, trace.membrane[-1] + 4),
        color=ORANGE,
        weight="bold",
        arrowprops={"arrowstyle": "-", "color": ORANGE, "shrinkB": 6},
    )
    axes.text(
        1.3, 27, "each spike switches a current on;\nthe membrane adds it at every step", size=9
    )
    axes.text(
        READ + 0.2,
        24,
        "read step: clock spikes cancel the input currents,\n"
        f"release the hold of {HOLD} and start a ramp of {SLOPE} per step",
        size=9,
        va="top",
    )
    axes.set(ylim=(-2, 60), xlabel="time step", ylabel="membrane", xticks=range(CLOSE + 1))


if __name__ == "__main__":
    main()
