"""Whether commands and examples print what the documentation shows."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e[-+]\d+)?")
_DIGEST = re.compile(r"\b[0-9a-f]{16}\b")
_SHARE = 0.002  # one of the 540 frames of the digits


def alike(printed: str, shown: str) -> bool:
    """Whether words are the same, and numbers within one in the last digit shown and 0.2 %.

    Here all figures are exact, on Python 3.10 with numpy 1 as on 3.13 with numpy 2. But on machines
    without AVX-512 sums differ in their last bits, a weight rounds to the next integer now and
    then, and 15 % of the frames become 14 %: one frame less.
    """
    found, known = (_NUMBER.findall(_plain(text)) for text in (printed, shown))
    words = [" ".join(_NUMBER.sub("0", _plain(text)).split()) for text in (printed, shown)]
    return words[0] == words[1] and all(map(_near, found, known))


def _near(printed: str, shown: str) -> bool:
    one, other = (float(number.replace(",", "")) for number in (printed, shown))
    digits, _, exponent = shown.partition("e")
    unit = 10.0 ** (int(exponent or 0) - len(digits.partition(".")[2]))
    return abs(one - other) <= 1.001 * unit + _SHARE * abs(other)


def _plain(text: str) -> str:
    return _DIGEST.sub("digest", text)
