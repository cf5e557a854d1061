"""Whether commands and examples print what the documentation shows.

The same model and data make the same program nearly everywhere (docs/portability.md), and what a
program answers is exact. So figures may differ for two reasons only. Real numbers come from single
precision: their last digit may round the other way, and numbers that are shown in full differ by a
millionth. And where the trained network is compared with, a frame may be another one's, if its two
largest outputs are as close as that.
"""

from __future__ import annotations

import re
from itertools import zip_longest

_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e[-+]\d+)?")
_DIGEST = re.compile(r"\b[0-9a-f]{16}\b")
_OF_FRAMES = re.compile(r"\s*(ANN|agreement|agree)\b")
_FRAMES = re.compile(r"frames +([\d,]+)")
_DIGITS = 540  # frames of the test images of the digits
_SINGLE = 1e-6  # a few roundings of single precision, 6e-8 each, one upon the other


def alike(printed: str, shown: str) -> bool:
    """Whether words are the same, and numbers within one in the last digit shown.

    Shares of frames that the trained network has a part in may be one frame more or less.
    """
    said = _FRAMES.search(shown)
    one = 100 / (float(said[1].replace(",", "")) if said else _DIGITS)
    pairs = zip_longest(_lines(printed), _lines(shown), fillvalue="")
    return all(_line(*pair, one if _OF_FRAMES.match(pair[1]) else 0.0) for pair in pairs)


def _lines(text: str) -> list[str]:
    return _DIGEST.sub("digest", text).splitlines()


def _line(printed: str, shown: str, frame: float) -> bool:
    found, known = (_NUMBER.findall(text) for text in (printed, shown))
    words = [" ".join(_NUMBER.sub("0", text).split()) for text in (printed, shown)]
    near = (_near(*pair, frame) for pair in zip(found, known, strict=False))
    return words[0] == words[1] and all(near)


def _near(printed: str, shown: str, frame: float) -> bool:
    one, other = (float(number.replace(",", "")) for number in (printed, shown))
    digits, _, exponent = shown.partition("e")
    unit = 10.0 ** (int(exponent or 0) - len(digits.partition(".")[2]))
    return abs(one - other) <= 1.001 * unit + _SINGLE * abs(other) + frame
