"""Random spiking networks in their final form, and the levels that they must compute."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qcompiler.backends.program.program import Program
from qcompiler.ir import Builder, Constant, Graph, Op, Operand, Spikes, Tensor, Value, verify
from qcompiler.ir.kernels import Array, pool_max
from qcompiler.ir.snn import Connect, Convolve, Decode, Encode, First, Neuron, Relay, Synapse
from qcompiler.ir.spiking.integer_network import layer_of, spiking_nodes
from qcompiler.ir.spiking.invariants import READ_OUT, SCHEDULED, SPIKING
from qcompiler.ir.spiking.synapse import current
from qcompiler.ir.view import View, arrange
from qcompiler.passes import Pipeline

READOUT = "assign-windows,insert-readout"


class Net:
    """Builds a network of integer neurons with random weights, biases and slopes.

    All are even if weights are larger than the odd ones of a synapse. ``drive`` is the size of the
    slopes: 1.0 spreads the potentials over the levels, less lets most neurons saturate.
    """

    def __init__(self, seed: int, largest: int = 254, drive: float = 1.0) -> None:
        self.rng = np.random.default_rng(seed)
        self.builder = Builder("random")
        self.largest, self.drive, self.unit = largest, drive, 2 if largest > 127 else 1

    def input(self, shape: tuple[int, ...], t_max: int = 16) -> Value:
        """An encoder whose real numbers are its levels."""
        value = self.builder.input("x", Tensor(shape))
        return self.builder.add(Encode(t_max, start=None), value, name="encoded")

    def numbers(self, low: float, high: float, shape: tuple[int, ...]) -> Array:
        """Multiples of the unit from low to high."""
        low, high = int(np.ceil(low / self.unit)), int(high // self.unit)
        return self.unit * self.rng.integers(low, max(low, high), shape, endpoint=True)

    def constant(self, name: str, data: Array) -> Constant:
        return Constant(self.builder.unique(name), data.astype(np.int32))

    def synapse(self, op: Synapse, source: Value, weight: tuple[int, ...]) -> Value:
        """Synapses with weights over the whole range of 8 bits, a tenth of them 0."""
        w = self.numbers(-self.largest, self.largest, weight)
        w[self.rng.random(weight) < 0.1] = 0
        return self.builder.add(op, source, self.constant("w", w), name="current")

    def neurons(self, *currents: Value, t_max: int = 16, bias: float = 1.0) -> Value:
        """A population with a bias and a slope for each channel."""
        shape = currents[0].type.shape
        spread = (shape[0],) + (1,) * (len(shape) - 1)
        incoming = sum(self._size(value) for value in currents) / (t_max - 1)
        high = max(2, self.drive * incoming)
        slope = self.numbers(2, high, spread)
        slope[self.rng.random(spread) < 0.2] = 2
        b = self.numbers(-bias * incoming, bias * incoming, spread)
        constants = self.constant("bias", b), self.constant("slope", slope)
        return self.builder.add(Neuron(t_max), *currents, *constants, name="neurons")

    def _size(self, value: Value) -> float:
        """Typical potential that a current adds up to."""
        node = self.builder.nodes[[n.result for n in self.builder.nodes].index(value)]
        source, weight = node.operands
        assert isinstance(source.type, Spikes)
        assert isinstance(weight, Constant)
        fan_in = 1 if isinstance(node.op, Relay) else weight.data[0].size
        return float(source.type.top * np.abs(weight.data).mean() * np.sqrt(fan_in))

    def dense(self, source: Value, outs: int, t_max: int = 16, bias: float = 1.0) -> Value:
        weight = (outs, int(np.prod(source.type.shape)))
        return self.neurons(self.synapse(Connect(), source, weight), t_max=t_max, bias=bias)

    def conv(
        self,
        source: Value,
        outs: int,
        kernel: tuple[int, ...],
        *,
        stride: int = 1,
        pad: int = 0,
        groups: int = 1,
        t_max: int = 16,
    ) -> Value:
        rank = len(kernel)
        op = Convolve((stride,) * rank, (pad,) * 2 * rank, (1,) * rank, groups)
        weight = (outs, source.type.shape[0] // groups, *kernel)
        return self.neurons(self.synapse(op, source, weight), t_max=t_max)

    def pool(self, source: Value, kernel: int, stride: int, pad: int = 0) -> Value:
        rank = len(source.type.shape) - 1
        op = First((stride,) * rank, (pad,) * 2 * rank, (1,) * rank, (kernel,) * rank)
        return self.view(op, source)

    def branches(self) -> tuple[Value, Value]:
        """A convolution of the input and a relay of it, both 3x5x5 with 4 levels."""
        x = self.input((3, 5, 5), 4)
        a = self.conv(x, 3, (3, 3), pad=1, t_max=4)
        return a, self.neurons(self.synapse(Relay(), x, (3, 1, 1)), t_max=4)

    def addition(self, t_max: int = 16) -> Value:
        """A population that both `branches` reach, through one synapse from every channel."""
        op = Convolve((1, 1), (0, 0, 0, 0), (1, 1))
        currents = [self.synapse(op, branch, (2, 3, 1, 1)) for branch in self.branches()]
        return self.neurons(*currents, t_max=t_max)

    def view(self, op: Op, source: Value) -> Value:
        return self.builder.add(op, source, name="value")

    def graph(self, *outputs: Value) -> Graph:
        """The network of integer neurons that decodes these spikes."""
        decoded = [self.builder.add(Decode(), value, name="out") for value in outputs]
        return self.builder.build(decoded)


def final(graph: Graph) -> Graph:
    """Windows, clocks and readout, checked."""
    result = Pipeline.parse(READOUT).run(graph)
    verify(result, SPIKING, SCHEDULED, READ_OUT)
    return result


def levels(graph: Graph, x: Array) -> Mapping[str, Array]:
    """Levels of every population, by ``clip(floor((sum W q + B) / D), 0, T)``, and of every view.

    ``graph`` is one of integer neurons; ``x`` holds levels, ``frames x shape``.
    """
    known: dict[str, Array] = {graph.inputs[0].name: x}
    for node in graph.nodes:
        op, name = node.op, node.result.name
        operand = known[node.operands[0].name]
        match op:
            case Encode():
                known[name] = operand.astype(np.int64)
            case First():
                known[name] = pool_max(operand, op, op.kernel, -1)
            case Connect() | Convolve() | Relay():
                weight = node.operands[1]
                assert isinstance(weight, Constant)
                known[name] = current(op, operand, weight.data).astype(np.int64)
            case Neuron():
                layer = layer_of(graph, node)
                total = sum(known[s.result.name] for s in layer.synapses) + layer.bias
                known[name] = np.clip(total // layer.slope, 0, op.t_max - 1)
            case Decode():
                continue
            case _ if isinstance(op, View):
                known[name] = arrange(op, operand, *node.arrays)
    return {node.result.name: known[node.result.name] for node in spiking_nodes(graph)}


def equal_neurons(expected: Mapping[str, Array], found: Mapping[str, Array]) -> None:
    """Fail unless every neuron of every population has the same number, spike step or level."""
    assert expected.keys() == found.keys()
    for name, numbers in expected.items():
        np.testing.assert_array_equal(found[name], numbers, err_msg=name)


def same_spikes(program: Program, engine: str, *inputs: Any) -> None:
    """Hold an engine to the golden model, in the spike of every neuron."""
    equal_neurons(program.spikes(*inputs), program.spikes(*inputs, engine=engine))


def writable(constant: Operand) -> Array:
    """The array that a constant shows, to be changed before anything has looked at it."""
    assert isinstance(constant, Constant)
    found: Array | None = constant.data.base
    assert found is not None
    found.flags.writeable = True
    return found
