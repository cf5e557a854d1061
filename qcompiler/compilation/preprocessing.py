"""What happens to raw inputs before the model, as options say it."""

from __future__ import annotations

from collections.abc import Sequence

from qcompiler.arguments import flag, numbers, string
from qcompiler.frontend.import_model import Preprocessing
from qcompiler.frontend.model.node_errors import Refused
from qcompiler.ir import Diagnostic, PipelineError

_PIXEL_THRESHOLD = 16  # a mean or scale above it is that of pixels from 0 to 255


def preprocessing(
    mean_values: float | Sequence[float] = (),
    scale_values: float | Sequence[float] = (),
    reverse_input_channels: bool = False,
    layout: str | None = None,
) -> Preprocessing:
    """What happens to the raw input before the model; see `qcompiler.compile`.

    Raises PipelineError for numbers that fit no input.
    """
    if layout is not None and string(layout, "layout") not in ("nchw", "nhwc"):
        raise PipelineError(f"no layout is named {layout}: choose nchw or nhwc")
    mean, scale = numbers(mean_values, "mean_values"), numbers(scale_values, "scale_values")
    reverse = flag(reverse_input_channels, "reverse_input_channels")
    found = Preprocessing(mean, scale, reverse, layout)
    try:
        found.check_numbers()
    except Refused as error:
        raise PipelineError(Diagnostic(error.reason, help=error.help)) from error
    return found


def assumed_high(mean_values: Sequence[float], scale_values: Sequence[float]) -> float:
    """The largest input that is assumed without calibration data; the smallest is 0."""
    largest = max((*mean_values, *scale_values), default=1.0)
    return 255.0 if largest > _PIXEL_THRESHOLD else max(1.0, largest)
