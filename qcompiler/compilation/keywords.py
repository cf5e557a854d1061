"""Messages in the words of Python: keywords, ``t_max=16``, in place of options, ``--t-max 16``.

All messages are written for the shell. `qcompiler.compile` tells them translated; the commands call
`qcompiler.api.compile`, which tells them as they are.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import fields, replace
from functools import cache, partial, wraps
from typing import ParamSpec

from qcompiler.backends.program.program import Program
from qcompiler.data import DataSet
from qcompiler.ir import CompileError, CompileWarning, Diagnostic

from .options import Options

_P = ParamSpec("_P")
_RENAMED = {
    **{"state": "states", "input-shape": "input_shapes", "input-value": "input_values"},
    "calibration-frames": "frames",
}
_FLAGS = {"allow_products", "proved", "reverse_input_channels", "skip_bad"}
_NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"
_NUMBERS = rf"{_NUMBER}(?:,{_NUMBER})*"
_VALUES = {  # of options that take no numbers, as messages have them
    "input-shape": r"[^\s=]+=[\w.]+(?:,[\w.]+)*",
    "input-value": rf"[^\s=]+=(?:{_NUMBER}|\.\.)",
    "layout": r"nhwc or nchw",
    "objective": r"\w+",
    "split": r"(?!out\b)\w+",
    "state": r"[^\s:]+:[^\s:]+",
    "target": r"\w+",
}


def told_in_keywords(function: Callable[_P, Program]) -> Callable[_P, Program]:
    """The function, whose errors name keywords, and which warns of what looks wrong."""

    @wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> Program:
        try:
            program = function(*args, **kwargs)
        except CompileError as error:
            error.args = error.diagnostics = tuple(map(_translated, error.diagnostics))
            raise
        for text in program.warnings:
            warnings.warn(in_keywords(text), CompileWarning, stacklevel=2)
        return program

    return call


def _translated(finding: Diagnostic) -> Diagnostic:
    help_ = None if finding.help is None else in_keywords(finding.help)
    return replace(finding, message=in_keywords(finding.message), help=help_)


def in_keywords(text: str) -> str:
    """A message with the options of `compile` and `DataSet` as keywords; others stay."""
    for pattern, keyword in _patterns():
        text = pattern.sub(partial(_argument, keyword), text)
    return text


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """What matches each option in a message, with its value if that follows, and its keyword."""
    names = (field.name for kind in (Options, DataSet) for field in fields(kind))
    known = {name.replace("_", "-"): name for name in names} | _RENAMED
    return tuple(
        (re.compile(rf"(?<![\w./-])--{option}(?![\w-])(?: (?P<value>{value}))?"), keyword)
        for option, keyword in known.items()
        for value in [_VALUES.get(option, _NUMBERS)]
    )


def _argument(keyword: str, found: re.Match[str]) -> str:
    """A keyword as Python writes it, with its value if the message has one."""
    value: str | None = found["value"]
    if keyword in _FLAGS:
        return f"{keyword}=True"
    if value is None:
        return keyword
    if keyword == "input_shapes":
        name, _, axes = value.partition("=")
        return f'{keyword}={{"{name}": [{", ".join(map(_axis, axes.split(",")))}]}}'
    if keyword == "input_values":
        name, _, number = value.partition("=")
        return f'{keyword}={{"{name}": {number}}}'
    if not re.match(_NUMBER, value):
        return f"{keyword}=" + " or ".join(f'"{word}"' for word in value.split(" or "))
    return f"{keyword}=[{value.replace(',', ', ')}]" if "," in value else f"{keyword}={value}"


def _axis(text: str) -> str:
    """An axis: a length, a name, or dots for lengths to state."""
    return f'"{text}"' if text.isidentifier() else text
