"""Probabilities that a softmax makes of scores: it may magnify errors that scores hardly show."""

from __future__ import annotations

from qcompiler.ir import Diagnostic

from .judge import TOLERATED, Causes, Explained, on
from .output_error import OutputError


def magnified(
    found: OutputError,
    scores: OutputError,
    data: str,
    causes: Causes,
    explained: Explained | None = None,
) -> Diagnostic | None:
    """The warning on probabilities with too large an error, or one beyond what levels explain.

    The ``scores`` in front of them deserve none. ``data`` is what the frames are called.
    """
    if found.error is None or scores.error is None:
        return None
    text = f'the error of output "{found.name}" is {found.error:.0%} of its spread '
    text += on(found.frames, data)
    beyond = explained is not None and explained.exceeded(found.error, None) > 1
    if beyond and explained:
        text += f", where levels explain {explained.of(None) or 0.0:.1%}"
    elif found.error <= TOLERATED:
        return None
    text += f": its softmax magnifies that of its scores, which is {scores.error:.0%} of theirs"
    return Diagnostic(text, help=causes.remedy)
