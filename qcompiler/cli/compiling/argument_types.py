"""What the options of `qcompile` take: numbers, shapes, states, targets, files."""

from __future__ import annotations

import argparse
from contextlib import suppress
from math import isfinite, nan
from pathlib import Path

SWEEPS = (".csv", ".json", ".svg")


def numbers_of(text: str) -> tuple[float, ...]:
    """Numbers with commas between them."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers such as 1,2,3, not {text!r}") from None


def axes_of(text: str) -> tuple[str, tuple[int | str, ...]]:
    """The name of an input, and the lengths of its axes; names of those that stay open."""
    name, _, axes = text.rpartition("=")
    parts = [part.strip() for part in axes.split(",")]
    if not name or not all(part == "?" or part.isidentifier() or _length(part) for part in parts):
        raise argparse.ArgumentTypeError(f"expected NAME=N,3,224,224, not {text!r}")
    return name, tuple(int(part) if _length(part) else part for part in parts)


def value_of(text: str) -> tuple[str, float]:
    """The name of an input, and its value."""
    name, _, value = text.rpartition("=")
    number: float = nan
    for kind in (float, int):  # exact where it is one
        with suppress(ValueError):
            number = kind(value)
    if not name or not isfinite(number):
        raise argparse.ArgumentTypeError(f"expected NAME=16000, not {text!r}")
    return name, number


def pair_of(text: str) -> str:
    """A pair of an output and an input, or ``auto``."""
    from qcompiler.streaming.pairs import parse_state

    try:
        return "auto" if text == "auto" else str(parse_state(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _length(text: str) -> bool:
    return text.isdecimal() and int(text) > 0


def target_name(text: str) -> str:
    """The name of a target; its plugin is loaded later, which tells what is wrong with it."""
    from qcompiler.ir import CompileError
    from qcompiler.registry import backend_names

    try:
        names = backend_names()
    except CompileError:
        return text
    if text not in names:
        raise argparse.ArgumentTypeError(f"no target is named {text!r}: choose {', '.join(names)}")
    return text


def sweep_file(text: str) -> Path:
    """A file of measured schedules, of a kind that can be written."""
    if Path(text).suffix not in SWEEPS:
        raise argparse.ArgumentTypeError(f"{text!r} should end in one of {', '.join(SWEEPS)}")
    return Path(text)


def target_names() -> tuple[str, ...]:
    """The names of all targets, for completion."""
    from qcompiler.registry import backend_names

    return backend_names()
