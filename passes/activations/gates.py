"""Products as gates: the bits of one operand's level let the other operand pass.

With ``b = low_b + s q`` and ``q = sum 2^k bit_k``, where a lies within ``low_a .. low_a + w``,

    a b = low_b a + low_a b - low_a low_b + s sum 2^k clip(a - low_a - w (1 - bit_k), 0, w)

A gate is one neuron, and exact in the levels of a. Bits are neurons of two levels, from the highest
down: ``bit_k = [q - sum of higher bits >= 2^k]``. All products of an operand share them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, log2

from qcompiler.ir import Constant, Graph, Node, Operand, Tensor, Value, size
from qcompiler.ir.view import View
from qcompiler.passes.quantization.level_codes import code_in
from qcompiler.passes.quantization.levels import coded_inputs, levels_of

from .clip_sums import ClipSumBuilder, Term
from .fine_values import Divided

_FINER = 4  # times the levels of a population, where bits are computed of a sum without one
_FINE_BITS = 5  # highest bits, which open a gate for each digit of the other operand


def product_neurons(t_max: int, products: int = 1, operands: int = 1) -> int:
    """Neurons of products: a bit for each of some operands, gates, and one for each sum."""
    bits = ceil(log2(t_max))
    return bits * (operands + products) + products


def source_of(graph: Graph, value: Value) -> Value:
    """What the bits of a value are computed of: views in front that repeat it are left out."""
    made = graph.producer(value)
    while made is not None and isinstance(made.op, View):
        inner = made.operands[0]
        assert isinstance(inner, Value)
        if size(inner.type) > size(value.type):
            break
        value, made = inner, graph.producer(inner)
    return value


@dataclass(frozen=True)
class Operating:
    """An operand of products: where its lowest level lies, one level, and how many there are."""

    low: float
    step: float
    levels: int

    @property
    def width(self) -> float:
        """From the lowest level to the highest."""
        return self.step * (self.levels - 1)

    @property
    def bits(self) -> int:
        """Bits of a level."""
        return ceil(log2(self.levels))


class Gates:
    """Makes products of one graph, and keeps the bits that they share."""

    def __init__(
        self,
        graph: Graph,
        t_max: int,
        output_t_max: int,
        divided: Mapping[str, Divided],
        finer: frozenset[str] = frozenset(),
    ) -> None:
        self.graph, self.t_max, self.output_t_max = graph, t_max, output_t_max
        self.divided, self.finer = divided, finer
        self._bits: dict[str, list[Value]] = {}  # from the highest down, by the operand's name

    def operating(self, operand: Operand, in_bits: bool = False) -> Operating:
        """The levels of the population that an operand is, or is a view of, or those of its bits.

        Inputs, such as states, keep those of all their digits.
        """
        assert isinstance(operand, Value)
        if found := self.divided.get(operand.name):
            return Operating(found.low, found.step, found.levels)
        base = self.base(operand)
        bounds = base.type.range if isinstance(base.type, Tensor) else None
        if bounds is None:
            assert isinstance(operand.type, Tensor) and operand.type.range is not None
            bounds = operand.type.range
        levels = levels_of(self.graph, base, self.t_max, self.output_t_max)
        levels = levels if base in coded_inputs(self.graph) else min(levels, self.t_max)
        levels *= _FINER if in_bits and base.name in self.finer else 1
        code = code_in(self.graph, base, levels, bounds)
        return Operating(-code.zero * code.scale, code.scale, levels)

    def base(self, value: Value) -> Value:
        """What a value is a view of, at worst itself."""
        made = self.graph.producer(value)
        while made is not None and isinstance(made.op, View):
            inner = made.operands[0]
            assert isinstance(inner, Value)
            value, made = inner, self.graph.producer(inner)
        return value

    def source(self, value: Value) -> Value:
        """What the bits of a value are computed of."""
        return source_of(self.graph, value)

    def factors(self, product: Node) -> tuple[Value, Value]:
        """The operands of a product: the second is the one whose bits are shared by more."""
        a, b, *_ = product.operands
        assert isinstance(a, Value) and isinstance(b, Value)
        one, other = (size(self.source(x).type) for x in (a, b))
        if one == other and not self.finer.isdisjoint((self.base(a).name, self.base(b).name)):
            one, other = (-self.operating(x, in_bits=True).levels for x in (a, b))
        return (b, a) if one < other else (a, b)

    def terms(self, new: ClipSumBuilder) -> tuple[list[Term], float]:
        """A product as a sum of terms and a constant."""
        a, b = self.factors(new.node)
        one, other = self.operating(a), self.operating(b, in_bits=True)
        parts, zero = self._parts(a)
        terms: list[Term] = []
        for k, bit in enumerate(reversed(self._bits_of(new, b, other))):
            apart = len(parts) > 1 and k >= other.bits - _FINE_BITS
            for some in [[part] for part in parts] if apart else [parts]:
                width = sum(map(_width, some)) if len(parts) > 1 else one.width
                operands = [*((part, 1.0) for part in some), (bit, width)]
                levels = max(map(_levels, some)) if len(parts) > 1 else None
                gate = new.clip(operands, -zero - width, width, levels)
                terms.append((gate, other.step * 2**k))
        shift = -one.low * other.low
        for x, factor in ((a, other.low), (b, one.low)):
            some, lowest = self._parts(x)
            if factor:
                terms += [(part, factor) for part in some]
                shift += factor * (self.operating(x).low - lowest)
        return terms, shift

    def _parts(self, operand: Value) -> tuple[list[Operand], float]:
        """What adds up to an operand, but for its lowest level, and the lowest level of that."""
        if found := self.divided.get(operand.name):
            return [*found.digits], 0.0
        return [operand], self.operating(operand).low

    def cost(self, product: Node) -> tuple[int, int]:
        """The bits of a product, and its neurons; bits count for the first product only."""
        _, b = self.factors(product)
        bits, source = self.operating(b, in_bits=True).bits, self.source(b)
        shared = source.name in self._bits
        self._bits.setdefault(source.name, [])
        return bits, bits * (size(product.result.type) + (0 if shared else size(source.type)))

    def _bits_of(self, new: ClipSumBuilder, value: Value, code: Operating) -> list[Value]:
        if value.name in self._bits:
            return self._bits[value.name]
        made = self.graph.producer(value)
        if made is not None and self.source(value) != value:
            source, *places = made.operands
            assert isinstance(source, Value) and all(isinstance(p, Constant) for p in places)
            inner = self._bits_of(new, source, code)
            found = [new.view(made.op, bit, *places) for bit in inner]
        else:
            found = []
            for k in reversed(range(code.bits)):
                higher = zip(found, range(code.bits - 1, k, -1), strict=True)
                parts, _ = self._parts(value)
                low = 0.0 if value.name in self.divided else code.low
                terms: list[Term] = [(part, 1 / code.step) for part in parts]
                terms += [(bit, -float(2**place)) for bit, place in higher]
                found.append(new.bit(terms, -low / code.step - 2**k + 1))
        self._bits[value.name] = found
        return found


def _width(digit: Operand) -> float:
    """The width of the range of a digit."""
    assert isinstance(digit.type, Tensor) and digit.type.range is not None
    return digit.type.range[1]


def _levels(digit: Operand) -> int:
    assert isinstance(digit.type, Tensor) and digit.type.t_max is not None
    return digit.type.t_max
