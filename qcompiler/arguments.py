"""Arguments of the Python interface, checked: a wrong one is a PipelineError that names it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from .ir import PipelineError


def integer(given: Any, name: str) -> int:
    """A whole number; an array that holds one is none."""
    if not isinstance(given, Integral) or isinstance(given, bool):
        raise PipelineError(f"{name} must be an integer, not {_shown(given)}")
    return int(given)


def number(given: Any, name: str) -> float:
    """A number, which may be none of a range."""
    if not isinstance(given, Real) or isinstance(given, bool):
        raise PipelineError(f"{name} must be a number, not {_shown(given)}")
    return float(given)


def function(given: Any, name: str) -> None:
    """Something that can be called, or None."""
    if given is not None and not callable(given):
        raise PipelineError(f"{name} must be a function, not {_shown(given)}")


def dask_client(given: Any) -> None:
    """A client of Dask."""
    if not callable(getattr(given, "submit", None)):
        raise PipelineError(f"client must be a client of Dask, not {_shown(given)}")


def one_of(given: Any, name: str, known: Sequence[str]) -> str:
    """One of a few texts."""
    if string(given, name) not in known:
        raise PipelineError(f"{name} must be one of {', '.join(known)}, not {given:.60}")
    return str(given)


def strings(given: Any, name: str) -> None:
    """A text, or several."""
    several = isinstance(given, Sequence) and not isinstance(given, bytes)
    if not several or not all(isinstance(one, str) for one in given):
        raise PipelineError(f"{name} must be strings, not {_shown(given)}")


def string(given: Any, name: str) -> str:
    """A text."""
    if not isinstance(given, str):
        raise PipelineError(f"{name} must be a string, not {_shown(given)}")
    return given


def flag(given: Any, name: str) -> bool:
    """True or false."""
    if not isinstance(given, bool | np.bool_) and not (isinstance(given, int) and given in (0, 1)):
        raise PipelineError(f"{name} must be true or false, not {_shown(given)}")
    return bool(given)


def numbers(given: Any, name: str) -> tuple[float, ...]:
    """One number, or one for each channel."""
    if given is None:
        return ()
    try:
        found = np.asarray(given)
    except ValueError:  # lists of unlike lengths
        found = np.asarray("")
    if found.ndim > 1 or (found.size and found.dtype.kind not in "iuf"):
        raise PipelineError(
            f"{name} must be a number, or one number per channel, not {_shown(given)}"
        )
    return tuple(found.reshape(-1).astype(float).tolist())


def axes_by_input(given: Any, name: str) -> Mapping[str, Sequence[int | str | None]]:
    """Axes of inputs, as a mapping of sequences."""
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(map(_are_axes, given, given.values())):
        shown = f"not {_shown(given)}"
        raise PipelineError(f"{name} must map names of inputs to their axes, {shown}")
    return given


def _are_axes(name: Any, axes: Any) -> bool:
    return isinstance(name, str) and isinstance(axes, Sequence) and not isinstance(axes, str)


def _shown(given: Any) -> str:
    return f"{given!r:.60}"
