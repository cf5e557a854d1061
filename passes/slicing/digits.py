"""Two digits of one value: a coarse population, and a finer one of what its levels leave.

    clip(x, 0, ..) = c + clip(x - c, 0, d)      c = clip(x - d / 2, 0, ..)

A value that has no ReLU begins at the low end of its range, a multiple of d, instead of at 0.
Rounded to levels that lie d apart, c is the highest level below x, and the other digit holds the
remainder in levels of its own. The coarse digit inhibits it, so it spikes one window later; its
window is as short as its levels are few.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from qcompiler.ir import Graph, Node, Tensor, Value
from qcompiler.ir.ann import Add, Clip, MaxPool
from qcompiler.ir.view import View
from qcompiler.passes.calibration.histogram import Histogram
from qcompiler.passes.folding.neighbours import affine
from qcompiler.passes.quantization.fusion_groups import FusionGroup
from qcompiler.passes.quantization.group_index import group_named

from .slice_ranges import covered
from .slices import SliceRewriter, digit_name

_FINER = 8  # levels of the finer digit: many more would only add steps


def finer_levels(t_max: int, price: str) -> int:
    """Levels of the finer digit: where energy counts, no window is longer than others."""
    return _FINER if price == "neurons" else min(_FINER, t_max)


def can_have_digits(graph: Graph, value: Value) -> bool:
    """Whether the readers of a value that can have slices only add up: no pool compares it."""
    return all(
        not isinstance(user.op, MaxPool)
        and (not isinstance(user.op, View) or can_have_digits(graph, user.result))
        for user in graph.users(value)
    )


def with_digits(graph: Graph, name: str, histogram: Histogram, t_max: int, finer: int) -> Graph:
    """The graph with two digits of a value, of least squared error within the bounds of its clip.

    The group that makes the value ends in a clip.
    """
    group = group_named(graph, name)
    low, width = covered(histogram, group, t_max * (finer - 1) + 1, t_max)
    return split_digits(graph, group, width, t_max, finer, low) if width > 0 else graph


def split_digits(
    graph: Graph, group: FusionGroup, width: float, t_max: int, finer: int, low: float = 0.0
) -> Graph:
    """Split a group's result into digits of ``t_max`` and ``finer`` levels.

    Together they cover ``width`` from ``low`` on, or up to the bound of the clip if that is less.
    The low end is a whole number of coarse levels below 0. The function stays the same.
    """
    return _DigitRewriter(graph, group, width / t_max, t_max, finer, low).rewritten()


class _DigitRewriter(SliceRewriter):
    """Here ``width`` is the distance of the coarse levels, and ``count`` their number."""

    def __init__(
        self,
        graph: Graph,
        group: FusionGroup,
        width: float,
        t_max: int,
        finer: int,
        low: float,
    ) -> None:
        super().__init__(graph, group, width, t_max, low)
        self.finer = finer

    def producers(self, clip: Node) -> Iterator[Node]:
        """The coarse digit behind a copy of the layer, and the other behind the layer."""
        type_ = clip.result.type
        assert isinstance(type_, Tensor) and isinstance(clip.op, Clip)
        ends = self.low, self.low + self.width * (self.count - 1)
        coarse, finer = self.part(clip, 0), self.part(clip, 1)
        coarse = replace(coarse, type=replace(type_, range=ends, t_max=self.count))
        finer = replace(finer, type=replace(type_, range=(0.0, self.width), t_max=self.finer))
        self.values[clip.result.name] = coarse, finer
        copies = self.shifted_copies(0, 0.5 * self.width)
        yield from copies
        made = self.bounded(clip, copies[-1].result, clip.op.low, self.width)
        yield replace(made, result=coarse)
        yield from self.remainder(clip, coarse, finer)

    def remainder(self, clip: Node, coarse: Value, finer: Value) -> Iterator[Node]:
        """The layer less the coarse digit, and its clip."""
        before = self.group.nodes[-2]
        less = self.part(before, 1)
        taken = replace(less, name=self.graph.fresh(f"{finer.name}:inhibition"))
        yield affine(coarse, np.array(-1.0), np.array(0.0), taken, clip.origin)
        summed = before.operands if isinstance(before.op, Add) else (before.result,)
        yield Node(Add(), (*summed, taken), less, before.origin)
        yield replace(clip, op=Clip(0.0, self.width), operands=(less,), result=finer)

    def name(self, name: str, index: int) -> str:
        """A fresh name for a digit; the finer one is the lowest."""
        return self.graph.fresh(digit_name(name, 1 - index))
