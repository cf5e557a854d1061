"""Builds the sum of clips that replaces a function or product node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from qcompiler.ir import Constant, Graph, Node, Op, Operand, Range, Tensor, Value, infer
from qcompiler.ir.ann import Add, Affine, Clip

from .segments import PiecewiseLinear

Term: TypeAlias = tuple[Operand, float]  # a value and its factor

_PIECE = ":piece"


def is_piece(name: str) -> bool:
    """Whether a value is part of what replaces a function."""
    return _PIECE in name


class ClipSumBuilder:
    """Collects the nodes that replace one node."""

    def __init__(self, graph: Graph, node: Node) -> None:
        self.node = node
        self.nodes: list[Node] = []
        self.ones = (1,) * len(node.result.type.shape)

    def segments(
        self, terms: Sequence[Term], shift: float, fit: PiecewiseLinear, gain: float
    ) -> list[Term]:
        """One term per segment of ``gain fit(sum(factor x) + shift)`` beyond its first knot."""
        found: list[Term] = []
        for begin, end, slope in zip(fit.knots, fit.knots[1:], fit.slopes * gain, strict=False):
            if slope == 0:
                continue
            width = float(np.float32(end - begin))
            moved = shift - float(begin)
            parts = [
                self.affine(x, factor, 0.0 if index else moved)
                for index, (x, factor) in enumerate(terms)
            ]
            inner = parts[0] if len(parts) == 1 else self.add(Add(), *parts)
            clip = self.add(Clip(0.0, width), inner, bounds=(0.0, width))
            found.append((clip, float(slope)))
        return found

    def total(self, terms: Sequence[Term], shift: float) -> tuple[Node, ...]:
        """All nodes; the last one adds the terms and has the result of the replaced node."""
        last = self.node.result
        if len(terms) < 2:
            x, factor = terms[0] if terms else (self.node.operands[0], 0.0)
            operands = (x, *self._constants(factor, shift))
            return (*self.nodes, Node(Affine(), operands, last, self.node.origin))
        rest = tuple(
            self.affine(x, factor, 0.0 if index else shift)
            for index, (x, factor) in enumerate(terms)
        )
        return (*self.nodes, Node(Add(), rest, last, self.node.origin))

    def affine(self, x: Operand, scale: float, shift: float) -> Operand:
        """``x scale + shift``, if that is not x itself."""
        if scale == 1 and not shift:
            return x
        return self._append(Affine(), (x, *self._constants(scale, shift)))

    def add(self, op: Op, *operands: Operand, bounds: Range | None = None) -> Value:
        """Append a node; its range may be known."""
        return self._append(op, operands, bounds)

    def _constants(self, *numbers: float) -> tuple[Constant, ...]:
        name = f"{self.node.result.name}:{len(self.nodes) + 1}"
        return tuple(
            Constant(f"{name}:{role}", np.full(self.ones, number, np.float32))
            for role, number in zip(("scale", "shift"), numbers, strict=True)
        )

    def _append(self, op: Op, operands: tuple[Operand, ...], bounds: Range | None = None) -> Value:
        name = f"{self.node.result.name}{_PIECE}{len(self.nodes) + 1}"
        type_ = infer(op, operands, self.node.origin)
        assert isinstance(type_, Tensor)
        last = self.node.result.type
        assert isinstance(last, Tensor)
        value = Value(name, replace(type_, range=bounds, t_max=last.t_max))
        self.nodes.append(Node(op, operands, value, self.node.origin))
        return value
