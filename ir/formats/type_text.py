"""Types of values as text, as ``str`` writes them."""

from __future__ import annotations

import re
from typing import get_args

from qcompiler.ir.types import Coding, Current, Spikes, Tensor, Tick, Type

_TENSOR = re.compile(
    r"([a-z]\d+)\[([\dx]*)(?: in ([^\s:]+):([^\s:]+))?(?: t=(\d{1,6}))?(?: digits=(\d\d?))?\]"
)
_SPIKES = re.compile(
    r"spikes\[([\dx]*) t=(\d+) scale=(\S+?)(?: zero=(-?\d+))?(?: coding=(silent|burst))?\]"
)
_CURRENT = re.compile(r"current\[([\dx]*)\]")


def read_type(text: str) -> Type:
    """The type that a text stands for; ValueError if there is none."""
    if found := _TENSOR.fullmatch(text):
        return _tensor(found)
    if found := _SPIKES.fullmatch(text):
        code = int(found[2]), float(found[3]), int(found[4] or 0)
        coding: Coding = next((c for c in get_args(Coding) if c == found[5]), "one-spike")
        return Spikes(_shape(found[1]), *code, coding)
    if found := _CURRENT.fullmatch(text):
        return Current(_shape(found[1]))
    if text == "tick[]":
        return Tick()
    raise ValueError(f"unknown type: {text}")


def _tensor(found: re.Match[str]) -> Tensor:
    bounds = (float(found[3]), float(found[4])) if found[3] else None
    levels = int(found[5]) if found[5] else None
    return Tensor(_shape(found[2]), found[1], bounds, levels, int(found[6] or 1))


def _shape(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split("x"))) if text else ()
