"""Encode input levels as digits, one spike per digit, to shorten the input window.

Inputs get many levels, because precision lost at the input cannot be recovered. As a single spike,
an input would need the longest window of the network. Two digits to base b give b * b levels in a
window of b steps; with three, 343 levels take 7 steps. Readers have synapses from all digits;
weights of a higher digit are b times larger. The host computes the digits, so the only cost is in
synapses. Values inside the network have no digits, because a neuron computes a single level.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import ClassVar

from qcompiler.ir import Graph, Invariant, Node, Tensor, Value
from qcompiler.ir.ann import (
    Add,
    Affine,
    Clip,
    Conv,
    Dense,
    Function,
    Multiply,
    Pad,
    Rescale,
    SumPool,
)
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.invariants import NO_BATCHNORM, TENSOR_LEVEL
from qcompiler.ir.types import check_digits, size
from qcompiler.ir.view import Reshape, View
from qcompiler.passes.base import HIDDEN, Pass, check_limits
from qcompiler.passes.calibration.data import check
from qcompiler.passes.calibration.grid import chooses, grid_of
from qcompiler.passes.calibration.trace import products_of
from qcompiler.passes.folding.clips import is_code
from qcompiler.passes.folding.linear import elements_summed
from qcompiler.passes.quantization.fusion_groups import is_network_output
from qcompiler.passes.quantization.levels import (
    check_levels,
    coded_inputs,
    map_values,
    output_levels,
)
from qcompiler.passes.quantization.logits import logits
from qcompiler.passes.slicing.slice_costs import EVENTS, PRICES, UPDATE, slice_costs

_FEW_DIGITS, _MORE_DIGITS = 2, 3
_MANY_LEVELS = 64  # of other values, from which inputs have the levels of more digits
_SMALL = 1 / 64  # of the energy of a frame, or of the neurons
_TIMES = 4  # the levels of other values: as three digits they take 7 steps beside 64
_ADDS = Conv | Dense | SumPool | Pad | Affine | Add | Clip | Function | Multiply


@dataclass(frozen=True)
class SplitInputs(Pass):
    """Set the number of levels and digits of every input.

    ``levels`` is the number of levels; 0 takes that of the outputs: ``t_max``, but at least 64, and
    up to 256 for many classes. ``digits`` 0 takes two, and if ``t_max`` is 64 or more, three, with
    four times as many levels; one more where these windows are long and its events take little of a
    frame's energy, or fewer than updates that go because frames come faster. With ``price`` energy
    only windows longer than ``t_max`` are long.
    ``calibration`` holds one array per input, ``images x shape``.
    If it contains integers that span fewer values, each integer gets one level, and so do multiples
    of another number if the network rounds or compares. An input that
    already has a t_max keeps it, with two digits. Of an input that is rescaled, the result of that
    is split; if it has a t_max, and the input is no code, that is the least number of levels of its
    digits together. An input has fewer digits if the fan-in of a reader would exceed ``fan_in`` (0:
    no limit), and one if a reader does not sum it. Raises DataError if the data do not fit, are
    empty or not finite.
    """

    name: ClassVar[str] = "split-inputs"
    requires: ClassVar[tuple[Invariant, ...]] = (TENSOR_LEVEL, NO_BATCHNORM)
    t_max: int = 16
    levels: int = 0
    digits: int = 0
    fan_in: int = 0
    price: str = "neurons"
    calibration: tuple[Array, ...] | None = field(default=None, metadata=HIDDEN, compare=False)

    def __post_init__(self) -> None:
        check_levels(self.t_max, levels=self.levels)
        check_digits(self.digits or _FEW_DIGITS)
        check_limits(fan_in=self.fan_in)
        if self.price not in PRICES:
            raise ValueError(f"price must be one of {', '.join(PRICES)}, not {self.price}")

    def __call__(self, graph: Graph) -> Graph:
        """Write levels and digits into the types of inputs."""
        if self.calibration is not None:
            check(graph, self.calibration)
        data = self.calibration or (None,) * len(graph.inputs)
        coded = zip(graph.inputs, coded_inputs(graph), data, strict=True)
        found = {
            value.name: self._kept(graph, value)
            if is_code(raw)
            else self._split(graph, value, array, value is raw)
            for raw, value, array in coded
        }
        return map_values(graph, lambda value: found.get(value.name, value))

    def _kept(self, graph: Graph, value: Value) -> Value:
        """A code, whose levels must stay, as digits if they have a short window."""
        assert isinstance(value.type, Tensor)
        digits, levels = self._digits(graph, value, _FEW_DIGITS), value.type.t_max or 0
        t_max = _root(levels, digits)
        if t_max**digits == levels > _longest(graph, self.t_max):
            return replace(value, type=replace(value.type, t_max=t_max, digits=digits))
        return value

    def _split(self, graph: Graph, value: Value, data: Array | None, raw: bool) -> Value:
        assert isinstance(value.type, Tensor)
        coded = raw and value.type.t_max is not None
        digits = self._digits(graph, value, _FEW_DIGITS if coded else _MORE_DIGITS)
        if raw and value.type.t_max:
            return replace(value, type=replace(value.type, digits=digits))
        levels = self.levels or most_output_levels(graph, self.t_max)
        if digits > _FEW_DIGITS and not (self.levels or self.digits):
            levels = max(levels, _TIMES * self.t_max)
        if digits > 1 and not self.levels:
            levels = max(levels, value.type.t_max or 0)
        if raw and data is not None and (grid := grid_of(data, chooses(graph))):
            levels = min(levels, grid.span + 1)
        t_max = _root(levels, digits)
        free, longest = not (self.levels or self.digits), self.t_max
        if digits > 1 and free and t_max > (longest if self.price == "energy" else longest / 2):
            t_max, digits = self._finer(graph, value, levels, t_max, digits)
        digits = next(fewer for fewer in range(1, digits + 1) if _root(levels, fewer) <= t_max)
        if 2 * t_max > levels:
            t_max, digits = levels, 1
        return replace(value, type=replace(value.type, t_max=t_max, digits=digits))

    def _digits(self, graph: Graph, value: Value, most: int) -> int:
        """The digits of an input, by default at most this many, that its readers can sum."""
        many = most if self.t_max >= _MANY_LEVELS else _FEW_DIGITS
        wanted = range(self.digits or many, 1, -1)
        return next((d for d in wanted if self._can_split(graph, value, d)), 1)

    def _finer(
        self, graph: Graph, value: Value, levels: int, t_max: int, digits: int
    ) -> tuple[int, int]:
        """One digit more, with a shorter window, if its events are a small part of a frame's cost.

        Or if inputs are few beside neurons, and updates that go, as frames come faster, cost more.
        """
        shorter = _root(levels, digits + 1)
        neurons, cost = (slice_costs(graph, self.t_max, price).whole for price in PRICES)
        events = EVENTS * sum(map(products_of, _readers(graph, value)))
        saved = UPDATE * neurons * (t_max - max(self.t_max, shorter))
        cheap = events <= _SMALL * cost or (
            size(value.type) <= _SMALL * neurons and events <= saved
        )
        if not cheap or not self._can_split(graph, value, digits + 1):
            return t_max, digits
        return shorter, digits + 1

    def _can_split(self, graph: Graph, value: Value, digits: int) -> bool:
        """Whether all readers of a value, or of a view of it, can read so many digits."""
        return not graph.is_output(value) and all(
            self._can_split(graph, user.result, digits)
            if isinstance(user.op, View)
            else self._adds(user, digits)
            for user in graph.users(value)
        )

    def _adds(self, node: Node, digits: int) -> bool:
        """Whether a node sums its inputs and its fan-in stays within the limit."""
        spikes = elements_summed(node) * digits
        return isinstance(node.op, _ADDS) and (not self.fan_in or spikes <= self.fan_in)


def _readers(graph: Graph, value: Value) -> Iterator[Node]:
    """The nodes that read a value, or a view of it, other than views."""
    for user in graph.users(value):
        if isinstance(user.op, View):
            yield from _readers(graph, user.result)
        else:
            yield user


def most_output_levels(graph: Graph, t_max: int) -> int:
    """The largest default number of levels among the outputs."""
    made = (end for value in graph.outputs for end in logits(graph, value, Reshape))
    return max(output_levels(t_max, 0, value.type.shape) for value in made)


def _longest(graph: Graph, t_max: int) -> int:
    """Spike times of the longest window behind the inputs, as far as types tell.

    Those of outputs do not count: `split-windows` shortens them.
    """
    values = (node.result for node in graph.nodes if not isinstance(node.op, Rescale))
    types = [value.type for value in values if not is_network_output(graph, value)]
    return max(t_max, *(t.t_max for t in types if isinstance(t, Tensor) and t.t_max), 0)


def _root(levels: int, digits: int) -> int:
    """The smallest base in which ``digits`` digits represent ``levels`` levels."""
    base = max(2, int(levels ** (1 / digits)))
    return base if base**digits >= levels else base + 1
