"""Networks of one operator, put between layers as they are in a trained network."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np

from qcompiler.ir import Constant, Graph, Node, Op, Operand, Tensor, Value, infer
from qcompiler.ir.ann import Clip, Dense
from qcompiler.ir.view import Reshape

Array = np.ndarray[Any, Any]

_INPUTS, _HIDDEN, _OUTPUTS = 7, 6, 3


@dataclass
class _Layers:
    """Collects layers with random weights."""

    name: str
    rng: np.random.Generator
    nodes: list[Node] = field(default_factory=list)

    def add(self, op: Op, *operands: Operand) -> Value:
        name = f"{self.name}{len(self.nodes)}"
        result = Value(name, infer(op, operands))
        self.nodes.append(Node(op, operands, result, (name,)))
        return result

    def dense(self, source: Value, outputs: int, size: float = 1.0) -> Value:
        inputs, name = prod(source.type.shape), f"{self.name}{len(self.nodes)}"
        weight = self.rng.standard_normal((outputs, inputs)) * size / np.sqrt(inputs)
        bias = self.rng.standard_normal(outputs) * size / 5
        constants = (
            Constant(f"{name}:{role}", array.astype(np.float32))
            for role, array in (("weight", weight), ("bias", bias))
        )
        return self.add(Dense(), source, *constants)

    def relu(self, source: Value, outputs: int, size: float = 1.0) -> Value:
        return self.add(Clip(0.0), self.dense(source, outputs, size))


def behind_layers(graph: Graph, sizes: list[float]) -> Graph:
    """The network with a dense layer and a ReLU before each input.

    ``sizes`` holds the size of the numbers of each input.
    """
    layers = _Layers("before", np.random.default_rng(5))
    inputs, made = [], {}
    for value, size in zip(graph.inputs, sizes, strict=True):
        inputs.append(Value(f"{value.name}:input", Tensor((_INPUTS,))))
        flat = layers.relu(inputs[-1], prod(value.type.shape), size)
        made[value.name] = layers.add(Reshape(value.type.shape), flat)
    nodes = tuple(
        replace(node, operands=tuple(made.get(o.name, o) for o in node.operands))
        for node in graph.nodes
    )
    outputs = tuple(made.get(value.name, value) for value in graph.outputs)
    return Graph(graph.name, tuple(inputs), (*layers.nodes, *nodes), outputs, graph.output_names)


def before_layers(graph: Graph) -> Graph:
    """The network with two dense layers behind each output of real numbers."""
    layers = _Layers("behind", np.random.default_rng(6))
    read = {
        name: layers.dense(layers.relu(value, _HIDDEN), _OUTPUTS)
        for name, value in zip(graph.output_names, graph.outputs, strict=True)
        if getattr(value.type, "dtype", "f32") == "f32"
    }
    nodes = (*graph.nodes, *layers.nodes)
    return replace(graph, nodes=nodes, outputs=tuple(read.values()), output_names=tuple(read))
