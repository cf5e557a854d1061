"""More levels for what chains of products compute, as in recurrent cells: digits of both signs.

The error of a product reaches the next one, so the levels of all of them add up. A value between
them becomes two digits of its range, a coarse one and what its levels leave, which spikes later:

    v  =  low + c + clip(v - low - c, 0, d)      c = clip(v - low - d / 2, 0, ..)

They have few levels each, so that the rounding of weights matters little, and membranes hold steep
slopes. Digits are clips of the layer, which is copied for both (see `duplication`). Functions read
the layer as well, and not what is rounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import ceil, sqrt

import numpy as np

from qcompiler.ir import Constant, Graph, Node, Op, Operand, Tensor, Value, drop_dead, infer, size
from qcompiler.ir.ann import Add, Affine, Clip, Conv, Dense, Function, Multiply
from qcompiler.passes.folding.clips import is_code
from qcompiler.passes.quantization.fusion_groups import fusion_groups, is_network_output
from qcompiler.passes.quantization.level_codes import code_in
from qcompiler.passes.quantization.levels import PRECISE, spiking_values

from .products import ahead_of_products, are_chained, behind_products

_FINE = ":fine"  # in names of digits, which have another offset than their value: see `explain`
_LEFT = f"{_FINE}:digit0:left"  # of what a coarse digit leaves
_SMALL = 1024  # values of a network in which neurons are cheap
_READERS = Function | Multiply | Dense | Conv | Affine | Add  # which add digits up themselves


@dataclass(frozen=True)
class Divided:
    """The digits of a value, each of which begins at zero, the lowest level, and one level."""

    digits: tuple[Value, Value]
    low: float
    step: float
    levels: int


@dataclass
class FineValues:
    """Digits of the values between products, by name; ``whole`` is what is divided.

    Values that are ``kept`` get none.
    """

    graph: Graph
    t_max: int
    kept: frozenset[str] = frozenset()
    found: dict[str, Divided] = field(default_factory=dict)
    whole: dict[str, str] = field(default_factory=dict)

    def divided(self) -> Graph:
        """The graph with digits: readers but functions and products read their sum."""
        chosen = {value.name for value in self._values() if value.name not in self.kept}
        if not chosen:
            return self.graph
        nodes: list[Node] = []
        for node in self.graph.nodes:
            name = node.result.name
            operands = [
                self._operand(nodes, node, o) if o.name in chosen else o for o in node.operands
            ]
            node = replace(node, operands=tuple(operands))
            if name in chosen:
                nodes += self._split(node)
            else:
                nodes.append(node)
        return drop_dead(replace(self.graph, nodes=tuple(nodes)))

    def populations(self, lowered: Graph) -> frozenset[str]:
        """The divided values that are populations of their own: their layer is not copied."""
        names = {group.result.name for group in fusion_groups(lowered)}
        return frozenset(of for name, of in self.whole.items() if name in names)

    def _values(self) -> Iterator[Value]:
        """The values that get digits."""
        graph = self.graph
        if not needs_fine_values(graph, self.t_max):
            return
        behind, ahead = behind_products(graph), ahead_of_products(graph)
        sums = [group.result for group in fusion_groups(graph) if not group.clip]
        made = [n.result for n in graph.nodes if isinstance(n.op, Function | Multiply)]
        for value in (*sums, *made):
            if value.name in behind | ahead and self._suits(value):
                yield value

    def _suits(self, value: Value) -> bool:
        """Whether a value becomes a population that all readers can read as a sum."""
        readers = self.graph.users(value)
        ends = all(is_network_output(self.graph, reader.result) for reader in readers)
        merged = len(readers) == 1 and isinstance(readers[0].op, Affine | Add)
        if self.graph.is_output(value) or is_code(value) or ends or merged:
            return False
        ranged = isinstance(value.type, Tensor) and value.type.range is not None
        plain = isinstance(value.type, Tensor) and value.type.t_max in (None, self.t_max)
        others = any(not isinstance(reader.op, Function) for reader in readers)
        return ranged and plain and others and all(isinstance(r.op, _READERS) for r in readers)

    def _split(self, node: Node) -> Iterator[Node]:
        """A node, whose result has another name, and its digits."""
        value, base = node.result, _base(self.t_max)
        assert isinstance(value.type, Tensor) and value.type.range is not None
        levels = base * (base - 1) + 1
        code = code_in(self.graph, value, levels, value.type.range)
        low, apart = -code.zero * code.scale, code.scale * (base - 1)
        whole = Value(self.graph.fresh(f"{value.name}:whole"), replace(value.type, t_max=levels))
        self.whole[whole.name] = value.name
        yield replace(node, result=whole)
        coarse, finer = (
            Value(
                self.graph.fresh(f"{value.name}{_FINE}:digit{place}"),
                replace(value.type, range=(0.0, width), t_max=base),
            )
            for place, width in ((1, apart * (base - 1)), (0, apart))
        )
        moved = _scaled(whole, 1.0, -low - apart / 2, f"{coarse.name}:moved", node)
        yield moved
        yield Node(Clip(0.0, apart * (base - 1)), (moved.result,), coarse, node.origin)
        taken = _scaled(coarse, -1.0, -low, f"{finer.name}:taken", node)
        left = self._node(Add(), (whole, taken.result), f"{value.name}{_LEFT}", node)
        yield from (taken, left, Node(Clip(0.0, apart), (left.result,), finer, node.origin))
        divided = Divided((coarse, finer), low, code.scale, levels)
        self.found[value.name] = divided
        first, total = self._sum(divided, value.name, node)
        yield from (first, replace(total, result=value))  # for products, which know the digits

    def _operand(self, nodes: list[Node], reader: Node, operand: Operand) -> Operand:
        """What a reader reads instead of a divided value."""
        assert isinstance(operand, Value)
        if isinstance(reader.op, Multiply):
            return operand
        divided = self.found[operand.name]
        if isinstance(reader.op, Function):
            name = next(n for n, of in self.whole.items() if of == operand.name)
            return next(node.result for node in nodes if node.result.name == name)
        made = self._sum(divided, f"{operand.name}:for:{reader.result.name}", reader)
        nodes += made
        return made[-1].result

    def _sum(self, divided: Divided, name: str, like: Node) -> tuple[Node, Node]:
        """The sum of digits, and the lowest level, which the first of two nodes adds."""
        coarse, finer = divided.digits
        first = _scaled(coarse, 1.0, divided.low, self.graph.fresh(f"{name}:first"), like)
        operands = first.result, finer
        return first, self._node(Add(), operands, f"{name}:sum", like)

    def _node(self, op: Op, operands: tuple[Operand, ...], name: str, like: Node) -> Node:
        type_ = infer(op, operands, like.origin)
        assert isinstance(type_, Tensor)
        return Node(op, operands, Value(self.graph.fresh(name), type_), like.origin)


def fine_sums(graph: Graph, t_max: int) -> set[str]:
    """Names of the sums that lowering may divide, once they have ranges."""
    if not needs_fine_values(graph, t_max):
        return set()
    between = behind_products(graph) | ahead_of_products(graph)
    return {g.result.name for g in fusion_groups(graph) if not g.clip} & between


def needs_fine_values(graph: Graph, t_max: int) -> bool:
    """Whether precision is asked for, and products are computed of others in a small network."""
    if t_max < PRECISE or not are_chained(graph):
        return False
    return sum(size(value.type) for value in spiking_values(graph)) <= _SMALL


def _base(t_max: int) -> int:
    """Levels of a digit: together they have about four times as many as other values."""
    return 2 * ceil(sqrt(t_max))


def is_left(node: Node) -> bool:
    """Whether a node is what the levels of a coarse digit leave of a value."""
    return isinstance(node.op, Add) and _LEFT in node.result.name


def _scaled(value: Value, scale: float, shift: float, name: str, like: Node) -> Node:
    """A value times a number, plus another."""
    ones = np.ones((1,) * len(value.type.shape), np.float32)
    given = {"scale": ones * np.float32(scale), "shift": ones * np.float32(shift)}
    constants = (Constant(f"{name}:{role}", array) for role, array in given.items())
    assert isinstance(value.type, Tensor)
    result = Value(name, Tensor(value.type.shape))
    return Node(Affine(), (value, *constants), result, like.origin)
