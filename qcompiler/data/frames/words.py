"""Cells and names that are numbers, and whole numbers, as people write them."""

from __future__ import annotations

from math import isfinite

_NOTHING = frozenset({"", "na", "n/a", "<na>", "null"})  # as programs write a missing value


def is_number(text: str) -> bool:
    """Whether a text is a number, NaN and infinities included; not as Python writes 1_000."""
    if "_" in text or not text.isascii():
        return False
    try:
        float(text)
    except ValueError:
        return False
    return True


def is_whole(text: str) -> bool:
    """Whether a text is a whole number of digits alone."""
    return text.isdecimal() and text.isascii() and len(text) < 19


def is_missing(value: object) -> bool:
    """Whether a cell holds nothing, or a number that is not finite."""
    if isinstance(value, str):
        return value.strip().lower() in _NOTHING or (
            is_number(value) and not isfinite(float(value))
        )
    return value is None or (isinstance(value, float) and not isfinite(value))
