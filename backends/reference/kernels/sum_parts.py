"""The products of which the sums of populations are made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Connect, Convolve, Relay, Synapse
from qcompiler.ir.spiking.integer_network import Layer, connection, weight_of

from .digit import Digit
from .level_forms import LevelForms
from .pieces import Piece


@dataclass(frozen=True, eq=False)
class SumPart:
    """A synapse, its weight, and the levels that it multiplies.

    Weights have 16 bits at most; what they become on the way to 8-bit kernels fits int32.
    """

    op: Synapse
    weight: Array
    source: LevelForms


def parts_of(layer: Layer, pieces: Mapping[str, Piece]) -> list[SumPart]:
    """The parts of a sum, kernels first; those of one kind and size from one source are added."""
    found: dict[Hashable, tuple[Synapse, dict[Piece, Array]]] = {}
    for synapse in layer.synapses:
        op, piece = replace(connection(synapse), delay=0), pieces[synapse.operands[0].name]
        weight = weight_of(synapse).astype(np.int32)
        _, weights = found.setdefault((op, piece.whole, weight.shape[2:]), (op, {}))
        weights[piece] = weights[piece] + weight if piece in weights else weight
    parts = [part for op, weights in found.values() for part in _joined(op, weights)]
    return sorted(parts, key=lambda part: isinstance(part.op, Relay))


def _joined(op: Synapse, weights: dict[Piece, Array]) -> Iterator[SumPart]:
    """Products with pieces of one whole: one product, if the pieces make up the whole."""
    ranges: dict[tuple[int, int], dict[Piece, Array]] = defaultdict(dict)
    for piece, weight in weights.items():
        ranges[piece.first, piece.channels][piece] = weight
    whole = next(iter(weights)).whole
    by_channel = isinstance(op, Connect) or (isinstance(op, Convolve) and op.groups == 1)
    covered = sum(count for _, count in ranges) == (whole.shape or (1,))[0]
    if covered and (by_channel or len(ranges) == 1) and all(map(add_up, ranges.values())):
        each = [next(iter(ranges[key].values())) for key in sorted(ranges)]
        yield SumPart(op, np.concatenate(each, 1) if len(each) > 1 else each[0], whole)
        return
    for piece, weight in weights.items():
        yield SumPart(op, weight, piece.alone)


def add_up(weights: Mapping[Piece, Array]) -> bool:
    """Whether pieces of the same channels add up to all levels, and have the same weights."""
    first, *others = weights.values()
    reached = 0
    for piece in sorted(weights, key=lambda piece: piece.below):
        if piece.below != reached:
            return False
        reached += piece.top
    same = all(np.array_equal(first, other) for other in others)
    return same and reached == next(iter(weights)).highest


def with_whole_inputs(parts: Sequence[SumPart]) -> list[SumPart]:
    """Parts that read the levels of inputs and a digit in place of both digits.

    ``W d1 + w d0 = w q + (W - t w) d1`` for levels ``q = t d1 + d0``; the second weight is small,
    or 0. Sums in float32 could leave the range of exact integers on the way.
    """
    found = list(parts)
    lowest = {(part.op, part.source, part.weight.shape): part for part in parts}
    for high in parts:
        digit = high.source.digit
        if digit is None or not digit.is_highest_byte:
            continue
        for (op, source, shape), low in lowest.items():
            if (op, shape) != (high.op, high.weight.shape):
                continue
            if source.digit == Digit(digit.whole, digit.place, 1):
                found = [part for part in found if part is not high and part is not low]
                assert isinstance(digit.whole, LevelForms)
                found.append(SumPart(op, low.weight, digit.whole))
                rest = high.weight - digit.place * low.weight
                if rest.any():
                    found.append(SumPart(op, rest, high.source))
    return found
