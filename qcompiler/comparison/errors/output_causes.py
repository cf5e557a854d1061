"""What makes the error of an output, as far as the outputs show it, and what helps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from qcompiler.ir.kernels import Array
from qcompiler.passes.spiking.quantize import Quantize, weight_bits_in

from .output_error import Part

_FEW_VALUES = 4
_BEYOND = 0.05  # share of frames: what a range of least squared error cuts is less
CROSSED = (
    "move the thresholds of the model between the values of the data; if these are no cause, "
    "compile with a larger --t-max"
)
_EXPLAIN = "qrun with --against MODEL.onnx --explain names the layer and the cause"


@dataclass(frozen=True)
class Causes:
    """Causes of errors that outputs do not show, looked for if there is an error.

    ``coarse`` finds populations with few weight bits, ``crossed`` says which jump values cross,
    ``pipeline`` is the text of the passes. ``by_input`` says which input's levels make most of an
    error that levels explain, and what helps. ``first`` is what to do first, as was said before.
    """

    coarse: Callable[[], Sequence[str]] = tuple
    crossed: Callable[[], str] = str
    pipeline: str = ""
    by_input: Callable[[], tuple[str, str] | None] = lambda: None
    first: str = ""

    @property
    def has_few_bits(self) -> bool:
        """Whether weights have fewer bits than by default: more than that hardly help."""
        return weight_bits_in(self.pipeline) < Quantize.weight_bits

    @property
    def remedy(self) -> str:
        """What helps against errors of no known cause."""
        if self.first:
            return self.first
        ways = ["a larger --percentile"] if "percentile=" in self.pipeline else []
        ways += ["--effort 1"] if "effort=" not in self.pipeline else []
        ways += ["a larger --t-max", *(["more --weight-bits"] if self.has_few_bits else [])]
        return f"compile with {' or '.join(ways)}; {_EXPLAIN}"


def cause_of(part: Part | None, ours: Array, theirs: Array, causes: Causes) -> tuple[str, str]:
    """What makes the error, where the outputs show it, and a remedy; one frame shows nothing."""
    if len(ours) == 1:
        return causes.crossed(), CROSSED if causes.crossed() else causes.remedy
    places = part.index if part else ()
    index = (slice(None), *(slice(None) if place is None else place for place in places))
    one, other = (x[index].reshape(len(x), -1) for x in (ours, theirs))
    at = int(np.square(one - other).mean(axis=0).argmax())
    one, other = one[:, at], other[:, at]
    values = _apart(one, np.abs(ours).max())
    frames = len(one)
    step = float(np.diff(values).min()) if len(values) > 1 else 0.0
    offset = float((one - other).mean())
    beyond = float(np.mean((other > values[-1] + step) | (other < values[0] - step)))
    levels = "compile with a larger --t-max, or scale the model's outputs to like spreads"
    if len(values) == 1:
        return f"the program gives one value, {values[0]:.4g}, in every frame", levels
    if crossed := causes.crossed():
        return crossed, CROSSED
    if len(values) <= _FEW_VALUES < frames:
        text = f"the program gives only {len(values)} different values, {step:.4g} apart"
        return f"{text}, for values with standard deviation {other.std():.4g}", levels
    if offset**2 > np.square(one - other).mean() / 2:
        text = f"the program's values lie {abs(offset):.4g} {'lower' if offset < 0 else 'higher'}"
        return f"{text} on average, for a standard deviation of {other.std():.4g}", causes.remedy
    if beyond > _BEYOND and not (causes.has_few_bits and causes.coarse()):
        text = (
            f"{beyond:.0%} of the model's values lie beyond the program's, "
            f"{values[0]:.4g} to {values[-1]:.4g}"
        )
        return text, causes.remedy  # of the calibration data themselves: others would not help
    if few := causes.coarse():
        remedy = "compile with a smaller --t-max, which leaves more"
        if causes.has_few_bits:
            remedy = "compile with more --weight-bits"
        remedy = causes.first or remedy
        return f"few weight bits are left in {', '.join(few)}", remedy
    return "", causes.remedy


def _apart(given: Array, size: float) -> Array:
    """The different values; what single precision makes of one, at this size, counts once."""
    values = np.unique(given)
    least = max(1e-4 * np.ptp(values), 8 * np.finfo(np.float32).eps * size)
    found: Array = values[np.append(True, np.diff(values) > least)]
    return found
