"""Cells of recurrent layers, step by step: RNN, GRU and LSTM in one direction."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import NamedTuple, TypeAlias

import numpy as np

from qcompiler.frontend.importers.elementwise.activations import scaled_by
from qcompiler.frontend.importers.elementwise.arithmetic import affine
from qcompiler.frontend.importers.elementwise.formulas import formulas
from qcompiler.frontend.importers.views.reshape import placed
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, MixesBatch, Refused, differs
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.frontend.model.placement import Placement
from qcompiler.frontend.model.sample_constants import repeats
from qcompiler.ir import Value
from qcompiler.ir.ann import Add, Clip, Dense, Function, Multiply
from qcompiler.ir.view import Reshape, Take

from .sequence_lengths import SequenceLengths

State: TypeAlias = Value | Array  # an array is the same for all samples
_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
_DEFAULT = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}
_SEQUENCES = (
    "give it sequences of shape [N, T, F]: --input-shape NAME=.. fixes all axes but that of N",
    "give it sequences of shape [T, N, F]: --input-shape NAME=.. fixes all axes but that of N",
)
_MOST_NODES = 1 << 14  # that recurrent layers unroll to: some 800 steps of a GRU
_FORMULAS = {"Tanh": "x tanh", "Sigmoid": "x sigmoid"}


def with_batch_at(node: NodeContext, value: Value, at: int) -> Value:
    """The value with its batch axis there; refused if that mixes samples."""
    try:
        return placed(node, value, Placement(at))
    except MixesBatch as error:
        raise Refused(
            f"{node.op_type} whose batch axis is not axis {at} is not supported",
            _SEQUENCES[at],
        ) from error


def check_shapes(node: NodeContext, features: int, directions: int) -> None:
    """InvalidNode unless weights and bias are as `hidden_size` and the input ask for."""
    weights = {"W": 1, "R": 2} | ({"B": 3} if node.item(3) is not None else {})
    shapes = {name: node.weight(at, "weight")[1].shape for name, at in weights.items()}
    size = node.integer("hidden_size", shapes["R"][-1] if shapes["R"] else 0)
    each = _GATES[node.op_type] * size
    wanted = {"W": (each, features), "R": (each, size), "B": (2 * each,)}
    for name, shape in shapes.items():
        if shape != (asked := (directions, *wanted[name])):
            why = f"its hidden_size is {size} and its input has {features} features"
            raise InvalidNode(f"has {name} of shape {shape}, not {asked}, though {why}")


class Run(NamedTuple):
    """Steps of a cell: the hidden state after each, and both states at the end."""

    hidden: list[State]
    last: State
    cell: State


def _is_zero(state: State) -> bool:
    return not isinstance(state, Value) and not state.any()


class RecurrentCell:
    """One direction of a layer."""

    def __init__(self, node: NodeContext, index: int, count: int) -> None:
        self.node = node
        gates = _GATES[node.op_type]
        self.weight, self.back = (node.weight(i, "weight")[1][index] for i in (1, 2))
        self.size = self.back.shape[1]
        pair = np.zeros(2 * gates * self.size, np.float32)
        if node.item(3) is not None:
            pair = node.weight(3, "bias")[1][index]
        self.bias, self.back_bias = pair[: gates * self.size], pair[gates * self.size :]
        self.hidden: State = self._start(5, index)
        self.cell: State = self._start(6, index) if node.op_type == "LSTM" else self.hidden
        names = node.attributes.get("activations")
        chosen = [n.decode() if isinstance(n, bytes) else n for n in names] if names else None
        each = len(_DEFAULT[node.op_type])
        chosen = (chosen or _DEFAULT[node.op_type] * count)[index * each : (index + 1) * each]
        if any(name not in (*_FORMULAS, "Relu") for name in chosen) or len(chosen) != each:
            raise Refused(f"{node.op_type} with activations {', '.join(chosen)} is not supported")
        self.functions = chosen

    def _start(self, at: int, index: int) -> State:
        node, layout = self.node, self.node.integer("layout", 0)
        if isinstance(given := node.item(at), Value):
            states = with_batch_at(node, given, 1 - layout)
            taken = node.part("start", Take(0, (index,)), states)
            return node.part("start", Reshape((self.size,)), taken)
        known = node.known(at, "initial state")
        if known is None:
            return np.zeros(self.size, np.float32)
        if known.arrays[0].shape[-1:] != (self.size,):
            raise InvalidNode(f"has an initial state of shape {known.arrays[0].shape}")
        first = np.moveaxis(known.arrays[0], 0, 1 if layout else 0)[index]
        if not repeats(first, first[:1]):
            raise differs(f"the initial state of {node.op_type}")
        return np.asarray(first[0], np.float32)

    def run(self, x: Value, way: int, lengths: SequenceLengths | None) -> Run:
        """The steps in one direction, in the order of the input.

        Backwards, the states stay as they start until the sequence is there. Forwards they go on
        behind its end, where nothing reads them.
        """
        length = x.type.shape[0]
        start = self.hidden, self.cell
        advance: Callable[[Value], None] = getattr(self, f"_{self.node.op_type.lower()}")
        hidden, cells = list[State](), list[State]()
        nodes = self.node.scope.builder.nodes
        for time in range(length)[::way]:
            before = len(nodes)
            taken = self.node.part("time", Take(0, (time,)), x)
            advance(self.node.part("time", Reshape(x.type.shape[1:]), taken))
            if lengths is not None and way < 0:
                present = lengths.at(lengths.present, time, self.size)
                self.hidden = self._chosen(present, self.hidden, start[0])
                self.cell = self._chosen(present, self.cell, start[1])
            hidden.append(self.hidden)
            cells.append(self.cell)
            self._count(len(nodes) - before)
        ends = self.hidden, self.cell
        if lengths is not None and way > 0:
            ends = self._last(lengths, hidden), self._last(lengths, cells)
        if lengths is not None and (way > 0 or not _is_zero(start[0])):
            hidden = [
                self._times(lengths.at(lengths.present, time, self.size), h)
                for time, h in zip(range(length)[::way], hidden, strict=True)
            ]
        return Run(hidden[::way], *ends)

    def _chosen(self, present: Value, x: State, other: State) -> State:
        """A state where a step is there, else another one."""
        if _is_zero(other):
            return self._times(present, x)
        change = self._sum(x, self._times(np.asarray(-1, np.float32), other))
        return self._sum(other, self._times(present, change))

    def _last(self, lengths: SequenceLengths, states: list[State]) -> State:
        """The state after the last step that is there."""
        places = enumerate(states)
        parts = [self._times(lengths.at(lengths.last, time, self.size), h) for time, h in places]
        return reduce(self._sum, parts)

    def _count(self, nodes: int) -> None:
        """Refuse sequences that are too long, before all of their steps are made."""
        self.node.scope.unrolled_nodes += nodes
        if self.node.scope.unrolled_nodes > _MOST_NODES:
            raise Refused(
                f"{self.node.op_type} unrolls to more than {_MOST_NODES:,} nodes",
                "shorten the sequences, or export one step of the cell, whose state is an input "
                "and an output, and compile that with --state OUT:IN",
            )

    def _rnn(self, x: Value) -> None:
        self.hidden = self._apply(0, self._sum(self._input(x, 0), self._recur(self.hidden, 0)))

    def _gru(self, x: Value) -> None:
        before = self.hidden
        z, r = (
            self._apply(0, self._sum(self._input(x, g), self._recur(before, g))) for g in (0, 1)
        )
        if self.node.integer("linear_before_reset", 0):
            inner = self._times(r, self._recur(before, 2))
        else:
            inner = self._recur(self._times(r, before), 2)
        new = self._apply(1, self._sum(self._input(x, 2), inner))
        change = self._sum(before, self._times(np.asarray(-1, np.float32), new))
        self.hidden = self._sum(new, self._times(z, change))

    def _lstm(self, x: Value) -> None:
        i, o, f, c = (
            self._apply(int(g == 3), self._sum(self._input(x, g), self._recur(self.hidden, g)))
            for g in range(4)
        )
        self.cell = self._sum(self._times(f, self.cell), self._times(i, c))
        self.hidden = self._times(o, self._apply(2, self.cell))

    def _input(self, x: State, gate: int) -> State:
        return self._linear(x, self.weight, self.bias, gate, "input")

    def _recur(self, h: State, gate: int) -> State:
        return self._linear(h, self.back, self.back_bias, gate, "recur")

    def _linear(self, x: State, weight: Array, bias: Array, gate: int, role: str) -> State:
        rows = slice(gate * self.size, (gate + 1) * self.size)
        if not isinstance(x, Value):
            self.node.scope.folded_products += weight[rows].size if x.any() else 0
            found: Array = weight[rows] @ x + bias[rows]
            return found
        constant = self.node.constant
        operands = constant(f"{role}.W", weight[rows]), constant(f"{role}.B", bias[rows])
        return self.node.part(role, Dense(), x, *operands)

    def _apply(self, index: int, x: State) -> State:
        if not isinstance(x, Value):
            raise InvalidNode("has no data")
        name = self.functions[index]
        if name == "Relu":
            return self.node.part("relu", Clip(0.0), x)
        return self.node.part(name.lower(), Function(_FORMULAS[name]), x)

    def _sum(self, a: State, b: State) -> State:
        if isinstance(a, Value) and isinstance(b, Value):
            return self.node.part("sum", Add(), a, b)
        if isinstance(a, Value) or isinstance(b, Value):
            x, shift = (a, b) if isinstance(a, Value) else (b, a)
            assert isinstance(x, Value) and not isinstance(shift, Value)
            return affine(self.node, x, 1.0, shift, "shift")
        return a + b

    def _times(self, a: State, b: State) -> State:
        if isinstance(a, Value) and isinstance(b, Value):
            (root, first), (other, second) = formulas(self.node, a), formulas(self.node, b)
            if root == other:
                return self.node.part("product", Function(f"{first} {second} *"), root)
            return self.node.part("product", Multiply(), a, b)
        if isinstance(a, Value) or isinstance(b, Value):
            x, scale = (a, b) if isinstance(a, Value) else (b, a)
            assert isinstance(x, Value) and not isinstance(scale, Value)
            zero = np.zeros(x.type.shape, np.float32)
            return zero if not scale.any() else scaled_by(self.node, x, scale, "scaled")
        return a * b
