"""A pass defined outside the package: it removes channels that do not affect the outputs.

Pruning and training with weight decay leave such channels behind. On a chip each of their neurons
still costs one spike per frame, and each synapse one synaptic event.

A pipeline names such a pass as ``module:Class``; Python must be able to import the module. Run
this file as a command: it passes all arguments to `qcompile`, and Python puts its folder on the
import path. That works from every folder, for example from the repository root:

    python examples/custom_pass.py examples/digits/digits.onnx --target loihi \
--calibration examples/digits/digits_calibration.npz --scale-values 16 -o pruned.loihi \
--passes "fold-batchnorm,fold-linear{fan_in=1020},\
custom_pass:DropDeadChannels{threshold=0.001},lower-magnitudes,split-fan-in{fan_in=4083},\
standardize,split-inputs{fan_in=4083},equalize,split-ranges{fan_in=4083 potential=131071},\
refine-outputs,normalize,lower-activations{fan_in=4083 potential=131071},\
quantize{potential=131071 input=32512 pieces=true},\
split-windows{potential=131071 input=32512 delay=63 fan_in=4083},assign-windows{delay=63},\
choose-codes{fan_in=4083 input=32512 bias=4095},insert-readout"

From examples/digits, write ``python ../custom_pass.py digits.onnx`` and so on. `qcompile` itself
also finds a pass whose module is installed in its environment.

This pipeline is that of ``--target loihi`` with the pass added behind ``fold-linear``. For
``--target reference``, remove the options of all passes but this one. With ``--emit ir`` the
command prints the graph that the passes leave.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any, ClassVar, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from qcompiler.ir import Constant, Graph, Invariant, Node, Operand, Tensor, Value, infer
from qcompiler.ir.ann import Clip, Conv, Dense, MaxPool
from qcompiler.ir.spiking.invariants import NO_BATCHNORM
from qcompiler.ir.view import Reshape
from qcompiler.passes import Pass

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class DropDeadChannels(Pass):
    """Remove output channels of convolutions and dense layers that do not affect the outputs.

    A channel is removed, with the weights that read it, if its ReLU outputs 0 for every input, or
    if no weight that reads it exceeds ``threshold`` in absolute value. With the default of 0 the
    network computes the same function as before. Removing one channel can make another one
    unused, so the pass repeats until nothing changes. Raises ValueError for a negative or
    infinite ``threshold``.
    """

    name: ClassVar[str] = "drop-dead-channels"
    requires: ClassVar[tuple[Invariant, ...]] = (NO_BATCHNORM,)
    threshold: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.threshold < np.inf:
            raise ValueError(f"threshold must be 0 or more, not {self.threshold}")

    def __call__(self, graph: Graph) -> Graph:
        """Remove channels layer by layer until no layer changes."""
        while (smaller := self._shrink_one(graph)) is not None:
            graph = smaller
        return graph

    def _shrink_one(self, graph: Graph) -> Graph | None:
        for node in graph.nodes:
            chain = _chain(graph, node)
            if chain is None:
                continue
            alive = ~_always_zero(graph, chain) & (_largest_reading_weight(chain) > self.threshold)
            alive[0] |= not alive.any()  # a layer has at least one channel
            if not alive.all():
                smaller = {new.result.name: new for new in _shrunk(chain, alive)}
                nodes = tuple(smaller.get(old.result.name, old) for old in graph.nodes)
                return replace(graph, nodes=nodes)
        return None


class Chain(NamedTuple):
    """A linear layer, the channel-wise operations behind it, and the only layer that reads them."""

    writer: Node
    between: tuple[Node, ...]
    reader: Node


def _chain(graph: Graph, writer: Node) -> Chain | None:
    if not _is_linear(writer):
        return None
    between: list[Node] = []
    node = graph.only_user(writer.result)
    while node is not None and _keeps_channels(node):
        between.append(node)
        node = graph.only_user(node.result)
    return None if node is None or not _is_linear(node) else Chain(writer, tuple(between), node)


def _is_linear(node: Node) -> bool:
    """Whether every output of a node reads every channel of its input through constant weights."""
    linear = isinstance(node.op, Dense) or (isinstance(node.op, Conv) and node.op.groups == 1)
    return linear and all(isinstance(operand, Constant) for operand in node.operands[1:])


def _keeps_channels(node: Node) -> bool:
    flattens = isinstance(node.op, Reshape) and len(node.op.shape) == 1
    return flattens or isinstance(node.op, Clip | MaxPool)


def _parameters(node: Node) -> tuple[Array, Array]:
    """Weight, and bias with one entry per channel along the first axis."""
    weight, bias = (operand.data for operand in node.operands if isinstance(operand, Constant))
    shape = node.result.type.shape
    full = bias.reshape((1,) * (len(shape) - bias.ndim) + bias.shape)
    return weight, np.broadcast_to(full, (shape[0], *full.shape[1:]))


def _always_zero(graph: Graph, chain: Chain) -> Array:
    """Mask of the channels whose ReLU outputs 0 for every input, shape ``(channels,)``."""
    weight, bias = _parameters(chain.writer)
    source = graph.producer(chain.writer.operands[0])
    while source is not None and isinstance(source.op, MaxPool | Reshape):
        source = graph.producer(source.operands[0])
    low = None if source is None else _low(source)
    positive = low is not None and low >= 0
    rows = (weight if positive else np.abs(weight)).reshape(len(weight), -1)
    drive = np.maximum(rows.max(axis=1), bias.reshape(len(bias), -1).max(axis=1))
    rectified = any(_low(node) == 0 for node in chain.between)
    result: Array = (drive <= 0) & rectified
    return result


def _low(node: Node) -> float | None:
    return node.op.low if isinstance(node.op, Clip) else None


def _largest_reading_weight(chain: Chain) -> Array:
    """Largest absolute weight that reads each channel, shape ``(channels,)``."""
    weight, channels = _parameters(chain.reader)[0], chain.writer.result.type.shape[0]
    by_channel = np.abs(weight).reshape(len(weight), channels, -1)
    result: Array = by_channel.max(axis=(0, 2))
    return result


def _shrunk(chain: Chain, alive: Array) -> list[Node]:
    """Nodes of the chain with only the channels that ``alive`` selects, under the same names."""
    weight, bias = _parameters(chain.writer)
    nodes = [_linear(chain.writer, chain.writer.operands[0], weight[alive], bias[alive])]
    for node in chain.between:
        source = nodes[-1].result
        op = Reshape((prod(source.type.shape),)) if isinstance(node.op, Reshape) else node.op
        nodes.append(_retyped(replace(node, op=op, operands=(source,))))
    weight, bias = _parameters(chain.reader)
    by_channel = weight.reshape(len(weight), len(alive), -1)[:, alive]
    if isinstance(chain.reader.op, Conv):
        weight = by_channel.reshape(len(weight), -1, *weight.shape[2:])
    else:
        weight = by_channel.reshape(len(weight), -1)
    return [*nodes, _linear(chain.reader, nodes[-1].result, weight, bias)]


def _linear(node: Node, source: Operand, weight: Array, bias: Array) -> Node:
    name = node.result.name
    constants = Constant(f"{name}:weight", weight), Constant(f"{name}:bias", bias)
    return _retyped(replace(node, operands=(source, *constants)))


def _retyped(node: Node) -> Node:
    """The node with its type inferred from its operands; it keeps its value range."""
    old, new = node.result, infer(node.op, node.operands, node.origin)
    value = Value(old.name, new)
    known = old.type.range if isinstance(old.type, Tensor) else None
    return replace(node, result=value.ranged(known) if known else value)


if __name__ == "__main__":
    from qcompiler.cli.commands import qcompile

    raise SystemExit(qcompile())
