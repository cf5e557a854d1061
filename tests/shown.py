"""Whether commands and examples print what the documentation shows."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e[-+]\d+)?")
_DIGEST = re.compile(r"\b[0-9a-f]{16}\b")
_SHARE, _ABSOLUTE = 0.1, 0.5


def alike(printed: str, shown: str) -> bool:
    """Whether words are the same and numbers nearly so.

    Weights are fitted with sums of floating-point numbers, whose last bits depend on the machine:
    now and then one rounds to the next integer, and figures behind it change a little.
    """
    numbers = [
        [float(n.replace(",", "")) for n in _NUMBER.findall(_plain(t))] for t in (printed, shown)
    ]
    words = [" ".join(_NUMBER.sub("0", _plain(t)).split()) for t in (printed, shown)]
    return words[0] == words[1] and all(
        abs(one - other) <= _ABSOLUTE + _SHARE * abs(other)
        for one, other in zip(*numbers, strict=True)
    )


def _plain(text: str) -> str:
    return _DIGEST.sub("digest", text)
