"""How short the pieces of an output may become.

`split-windows` makes them shorter than other windows where that costs next to nothing. Slopes are
found before that, and must leave room: the shorter the pieces, the larger the clock's input at the
ends of the range.
"""

from __future__ import annotations

from collections.abc import Iterator

from qcompiler.ir import Graph, Value
from qcompiler.ir.types import size

from .levels import longest_window, spiking_values
from .output_pieces import most_digits

SHORTEST = 8  # levels of a window that is short enough
_SHARE = 1 / 256  # of all neurons: so few slices cost next to nothing
_MANY = 9  # slices: digits are far fewer than more, and worth bits of weights


def windows_of_pieces(graph: Graph, value: Value, levels: int, t_max: int) -> Iterator[int]:
    """Levels of the longest pieces that an output of so many levels may get, most first."""
    longest = max(2, longest_window(graph, t_max))
    yield longest
    while longest > SHORTEST:
        longest = (longest + 1) // 2
        if not _are_cheap(graph, value, _count(levels, longest)):
            return
        yield longest


def digits_in_place(graph: Graph, value: Value, levels: int, longest: int) -> int:
    """Digits of an output that must fit, or as few as possible if that is more.

    Slices would be too many, or most neurons of the network; 0 if these may be.
    """
    count, neurons = _count(levels, longest), _neurons(graph)
    few = count <= _MANY and count * size(value.type) <= neurons
    if few or _are_cheap(graph, value, count):
        return 0
    return max(1, most_digits(size(value.type), neurons))


def _count(levels: int, longest: int) -> int:
    return len(range(0, levels - 1, longest - 1))


def _are_cheap(graph: Graph, value: Value, slices: int) -> bool:
    return slices * size(value.type) <= _SHARE * _neurons(graph)


def _neurons(graph: Graph) -> int:
    return sum(size(one.type) for one in spiking_values(graph))
