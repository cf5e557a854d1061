"""Builds the sum of clips that replaces a function or product node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from qcompiler.ir import Constant, Node, Op, Operand, Range, Tensor, Value, infer
from qcompiler.ir.ann import Add, Affine, Clip
from qcompiler.ir.kernels import Array

from .piecewise import PiecewiseLinear

Number: TypeAlias = "float | Array"  # one of each channel, or one for all
Term: TypeAlias = tuple[Operand, Number]  # a value and its factor

_PIECE = ":piece"


def is_piece(name: str) -> bool:
    """Whether a value is part of what replaces a function."""
    return _PIECE in name


class ClipSumBuilder:
    """Collects the nodes that replace one node; clips have ``levels``, or those of the network."""

    def __init__(self, node: Node, levels: int | None) -> None:
        self.node, self.levels = node, levels
        self.nodes: list[Node] = []

    def segments(self, x: Operand, fit: PiecewiseLinear, start: int) -> tuple[list[Term], float]:
        """One term per segment and jump of ``fit(x)``, and the value at the knot ``start``.

        Segments below that knot are turned around: their clips begin at it.
        """
        found: list[Term] = []
        ends = zip(fit.knots, fit.knots[1:], fit.slopes, strict=False)
        for index, (begin, end, slope) in enumerate(ends):
            if slope == 0:
                continue
            width, sign = float(np.float32(end - begin)), -1.0 if index < start else 1.0
            shift = float(end) if index < start else -float(begin)
            found.append((self._clip([(x, sign)], shift, width), sign * float(slope)))
        for jump in fit.steps:
            clip = self._clip([(x, 1.0)], -jump.begin, jump.width, t_max=2)
            found.append((clip, jump.height / jump.width))
        return found, float(fit.values[start])

    def clip(
        self, terms: Sequence[Term], shift: float, width: float, t_max: int | None = None
    ) -> Value:
        """``sum(factor x) + shift`` between 0 and a width, which its levels span."""
        return self._clip(terms, shift, width, t_max)

    def bit(self, terms: Sequence[Term], shift: float) -> Value:
        """1 if ``sum(factor x) + shift`` is at least 1/2, else 0."""
        return self._clip(terms, shift, 1.0, t_max=2, nearest=True)

    def _clip(
        self,
        terms: Sequence[Term],
        shift: float,
        width: float,
        t_max: int | None = None,
        nearest: bool = False,
    ) -> Value:
        parts = [
            self.affine(x, factor, 0.0 if index else shift)
            for index, (x, factor) in enumerate(terms)
        ]
        inner = parts[0] if len(parts) == 1 else self.add(Add(), *parts)
        clip = Clip(0.0, width, nearest)
        return self.add(clip, inner, bounds=(0.0, width), t_max=t_max)

    def view(self, op: Op, x: Operand, *constants: Operand) -> Value:
        """Append a view of a value, which keeps its range and levels."""
        held = x.type
        assert isinstance(held, Tensor)
        return self._append(op, (x, *constants), held.range, held.t_max)

    def total(self, terms: Sequence[Term], shift: Number) -> tuple[Node, ...]:
        """All nodes; the last one adds the terms and has the result of the replaced node.

        The gain of the replaced node, if it has one, multiplies all terms and the shift, to which
        its own is added.
        """
        last = self.node.result
        if self.node.arrays:
            gain, own = (*self.node.arrays, np.zeros(()))[:2]
            terms, shift = [(x, factor * gain) for x, factor in terms], shift * gain + own
        if len(terms) < 2:
            x, factor = terms[0] if terms else (self.node.operands[0], 0.0)
            operands = (x, *self._constants(x, factor, shift))
            return (*self.nodes, Node(Affine(), operands, last, self.node.origin))
        rest = tuple(
            self.affine(x, factor, 0.0 if index else shift)
            for index, (x, factor) in enumerate(terms)
        )
        return (*self.nodes, Node(Add(), rest, last, self.node.origin))

    def affine(self, x: Operand, scale: Number, shift: Number) -> Operand:
        """``x scale + shift``, if that is not x itself."""
        if np.all(scale == 1) and not np.any(shift):
            return x
        return self._append(Affine(), (x, *self._constants(x, scale, shift)))

    def add(
        self, op: Op, *operands: Operand, bounds: Range | None = None, t_max: int | None = None
    ) -> Value:
        """Append a node; its range and its number of levels may be known."""
        return self._append(op, operands, bounds, t_max)

    def _constants(self, x: Operand, *numbers: Number) -> tuple[Constant, ...]:
        name = f"{self.node.result.name}:{len(self.nodes) + 1}"
        ones = np.ones((1,) * len(x.type.shape))
        return tuple(
            Constant(f"{name}:{role}", np.asarray(ones * number, np.float32))
            for role, number in zip(("scale", "shift"), numbers, strict=True)
        )

    def _append(
        self,
        op: Op,
        operands: tuple[Operand, ...],
        bounds: Range | None = None,
        t_max: int | None = None,
    ) -> Value:
        name = f"{self.node.result.name}{_PIECE}{len(self.nodes) + 1}"
        type_ = infer(op, operands, self.node.origin)
        assert isinstance(type_, Tensor)
        value = Value(name, replace(type_, range=bounds, t_max=t_max or self.levels))
        self.nodes.append(Node(op, operands, value, self.node.origin))
        return value
