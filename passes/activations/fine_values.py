"""More levels for what chains of products compute, as in recurrent cells: slices of both signs.

The error of a product reaches the next one, so the levels of all of them add up. A value between
them becomes a sum of slices of its range, which spike in one window:

    v  =  low + clip(v - low, 0, w) + clip(v - low - w, 0, w) + clip(v - low - 2 w, 0, w)

The slices are clips of the layer, which is copied for each of them (see `duplication`). Functions
read the layer as well, and not what is rounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from qcompiler.ir import Constant, Graph, Node, Op, Operand, Tensor, Value, drop_dead, infer, size
from qcompiler.ir.ann import Add, Affine, Clip, Conv, Dense, Function, Multiply
from qcompiler.passes.folding.clips import is_code
from qcompiler.passes.quantization.fusion_groups import fusion_groups, is_network_output
from qcompiler.passes.quantization.level_codes import code_of
from qcompiler.passes.quantization.levels import PRECISE, spiking_values

_SLICES = 3
_SMALL = 1024  # values of a network in which neurons are cheap
_LEAST_BITS = 12  # of weights: the rounding of fewer outweighs that of the levels
_READERS = Function | Multiply | Dense | Conv | Affine | Add  # which add slices up themselves


@dataclass(frozen=True)
class Sliced:
    """The slices of a value, each of which begins at zero, the lowest level, and one level."""

    slices: tuple[Value, ...]
    low: float
    step: float
    levels: int


@dataclass
class FineValues:
    """Slices of the values between products, by name; ``whole`` is what is sliced.

    Weights have ``weight_bits``. Values that are ``kept`` get no slices.
    """

    graph: Graph
    t_max: int
    weight_bits: int
    kept: frozenset[str] = frozenset()
    found: dict[str, Sliced] = field(default_factory=dict)
    whole: dict[str, str] = field(default_factory=dict)

    def sliced(self) -> Graph:
        """The graph with slices: readers but functions and products read their sum."""
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
        """The sliced values that are populations of their own: their layer is not copied."""
        names = {group.result.name for group in fusion_groups(lowered)}
        return frozenset(of for name, of in self.whole.items() if name in names)

    def _values(self) -> Iterator[Value]:
        """The values that get slices."""
        graph = self.graph
        if self.weight_bits < _LEAST_BITS or not needs_fine_values(graph, self.t_max):
            return
        behind, ahead = _behind_products(graph), _ahead_of_products(graph)
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
        """A node, whose result has another name, and its slices."""
        value = node.result
        assert isinstance(value.type, Tensor) and value.type.range is not None
        levels = _SLICES * (self.t_max - 1) + 1
        code = code_of(value.type.shape, levels, value.type.range)
        low, width = -code.zero * code.scale, code.scale * (self.t_max - 1)
        whole = Value(self.graph.fresh(f"{value.name}:whole"), replace(value.type, t_max=levels))
        self.whole[whole.name] = value.name
        yield replace(node, result=whole)
        type_, slices = replace(value.type, range=(0.0, width)), []
        for index in range(_SLICES):
            name = self.graph.fresh(f"{value.name}:slice{index}")
            moved = _scaled(whole, -low - index * width, f"{name}:moved", node)
            yield moved
            slices.append(Value(name, type_))
            yield Node(Clip(0.0, width), (moved.result,), slices[-1], node.origin)
        sliced = Sliced(tuple(slices), low, code.scale, levels)
        self.found[value.name] = sliced
        first, total = self._sum(sliced, value.name, node)
        yield from (first, replace(total, result=value))  # for products, which know the slices

    def _operand(self, nodes: list[Node], reader: Node, operand: Operand) -> Operand:
        """What a reader reads instead of a sliced value."""
        assert isinstance(operand, Value)
        if isinstance(reader.op, Multiply):
            return operand
        sliced = self.found[operand.name]
        if isinstance(reader.op, Function):
            name = next(n for n, of in self.whole.items() if of == operand.name)
            return next(node.result for node in nodes if node.result.name == name)
        made = self._sum(sliced, f"{operand.name}:for:{reader.result.name}", reader)
        nodes += made
        return made[-1].result

    def _sum(self, sliced: Sliced, name: str, like: Node) -> tuple[Node, Node]:
        """The sum of slices, and the lowest level, which the first of two nodes adds."""
        first = _scaled(sliced.slices[0], sliced.low, self.graph.fresh(f"{name}:first"), like)
        operands = (first.result, *sliced.slices[1:])
        return first, self._node(Add(), operands, f"{name}:sum", like)

    def _node(self, op: Op, operands: tuple[Operand, ...], name: str, like: Node) -> Node:
        type_ = infer(op, operands, like.origin)
        assert isinstance(type_, Tensor)
        return Node(op, operands, Value(self.graph.fresh(name), type_), like.origin)


def needs_fine_values(graph: Graph, t_max: int) -> bool:
    """Whether precision is asked for, and products are computed of others in a small network."""
    products = [node.result.name for node in graph.nodes if isinstance(node.op, Multiply)]
    if t_max < PRECISE or _ahead_of_products(graph).isdisjoint(products):
        return False
    return sum(size(value.type) for value in spiking_values(graph)) <= _SMALL


def _scaled(value: Value, shift: float, name: str, like: Node) -> Node:
    """A value plus a number."""
    ones = np.ones((1,) * len(value.type.shape), np.float32)
    constants = Constant(f"{name}:scale", ones), Constant(f"{name}:shift", ones * np.float32(shift))
    assert isinstance(value.type, Tensor)
    result = Value(name, Tensor(value.type.shape))
    return Node(Affine(), (value, *constants), result, like.origin)


def _behind_products(graph: Graph) -> set[str]:
    """Names of products, and of what is computed of them."""
    found: set[str] = set()
    for node in graph.nodes:
        if isinstance(node.op, Multiply) or any(o.name in found for o in node.operands):
            found.add(node.result.name)
    return found


def _ahead_of_products(graph: Graph) -> set[str]:
    """Names of what products are computed of."""
    found: set[str] = set()
    for node in reversed(graph.nodes):
        if isinstance(node.op, Multiply) or node.result.name in found:
            found |= {operand.name for operand in node.operands}
    return found
