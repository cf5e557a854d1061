"""Nodes that onnxruntime's optimiser makes of several: those of ONNX come in their place."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .message_checks import nested_nodes, subgraphs
from .node_context import attributes_of
from .onnx_tensor import Array

_Attributes = dict[str, Any]
_DOMAIN = "com.microsoft"
_PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "Clip": ("min", "max"),
    "Elu": ("alpha",),
    "HardSigmoid": ("alpha", "beta"),
    "LeakyRelu": ("alpha",),
    "Relu": (),
    "Selu": ("alpha", "gamma"),
    "Sigmoid": (),
    "Softplus": (),
    "Softsign": (),
    "Tanh": (),
    "ThresholdedRelu": ("alpha",),
}
_MOST_AXES, _MOST_GROUPS = 16, 1 << 16
_CLIP_READS_BOUNDS = 11  # the opset from which they are operands


class _Unknown(Exception):
    """A node that is none of those that are known: it stays."""


class _Parts:
    """The nodes that a node stands for."""

    def __init__(self, node: onnx.NodeProto, name: str, opset: int, taken: set[str]) -> None:
        self.node, self.name, self.opset, self.taken = node, name, opset, taken
        self.nodes: list[onnx.NodeProto] = []
        self.attributes: _Attributes = attributes_of(node)

    def given(self, index: int) -> str:
        """The name of an operand, which is empty if there is none."""
        return self.node.input[index] if index < len(self.node.input) else ""

    def add(self, op_type: str, *inputs: str, result: str = "", **attributes: Any) -> str:
        """Append a node; the name of its result."""
        name = result or f"{self.node.output[0]}.{op_type}"
        while not result and name in self.taken:
            name += "_"
        self.taken.add(name)
        self.nodes.append(helper.make_node(op_type, inputs, [name], self.name, **attributes))
        return name

    def constant(self, array: Array) -> str:
        """Append a constant."""
        return self.add("Constant", value=numpy_helper.from_array(array))

    def activate(self, x: str, parameters: Mapping[str, Any]) -> None:
        """Append the activation, if there is one."""
        kind = self.attributes.get("activation", b"").decode()
        if not kind:
            return
        if kind not in _PARAMETERS:
            raise _Unknown
        if kind != "Clip" or self.opset < _CLIP_READS_BOUNDS:
            self.add(kind, x, **parameters)
        else:
            bounds = (np.array(bound, np.float32) for bound in parameters.values())
            self.add(kind, x, *map(self.constant, bounds))


def apart(graph: onnx.GraphProto, opset: int) -> onnx.GraphProto:
    """The graph without the nodes that are known, in a copy if it or one of its bodies has any."""
    if not any(map(_known, nested_nodes(graph.node))):
        return graph
    made = onnx.GraphProto()
    made.CopyFrom(graph)
    nodes = [*nested_nodes(graph.node)]
    taken = {name for node in nodes for name in (*node.input, *node.output)}
    bodies = (body for node in nodes for body in subgraphs(node))
    read = {name for node in nodes for name in node.input}
    read |= {output.name for one in (graph, *bodies) for output in one.output}
    _expand(made, opset, taken, read)
    return made


def _expand(
    graph: onnx.GraphProto, opset: int, taken: set[str], read: Collection[str], prefix: str = ""
) -> None:
    """Put nodes of ONNX in the place of those that are known, in bodies as well."""
    given = list(graph.node)
    del graph.node[:]
    for index, node in enumerate(given):
        name = node.name or f"{prefix}{node.op_type}_{index}"
        for body in subgraphs(node):
            _expand(body, opset, taken, read, f"{name}/")
        graph.node.extend(_nodes(node, name, opset, taken, read) if _known(node) else [node])


def _known(node: onnx.NodeProto) -> bool:
    return node.domain == _DOMAIN and node.op_type in _EXPANDED and bool(node.output)


def _nodes(
    node: onnx.NodeProto, name: str, opset: int, taken: set[str], read: Collection[str]
) -> list[onnx.NodeProto]:
    if any(one in read for one in node.output[1:2]):  # an index of a mask
        return [node]
    try:
        parts = _Parts(node, name, opset, taken)
        _EXPANDED[node.op_type](parts)
    except (_Unknown, AttributeError, TypeError, ValueError):  # the refusal says what helps
        return [node]
    parts.nodes[-1].output[0] = node.output[0]
    return parts.nodes


def _convolution(parts: _Parts) -> None:
    """FusedConv: a convolution, a summand, and an activation."""
    own = ("activation", "activation_params")
    attributes = {name: one for name, one in parts.attributes.items() if name not in own}
    found = parts.add("Conv", *(parts.given(index) for index in range(3)), **attributes)
    if summand := parts.given(3):
        found = parts.add("Add", found, summand)
    names = _PARAMETERS.get(parts.attributes.get("activation", b"").decode(), ())
    given = parts.attributes.get("activation_params", ())
    parts.activate(found, dict(zip(names, given, strict=False)))


def _matrix(parts: _Parts) -> None:
    """FusedGemm: a product with a matrix, and an activation."""
    own = "activation_"
    given = parts.attributes.items()
    attributes = {name: one for name, one in given if not name.startswith(own[:-1])}
    found = parts.add("Gemm", *(parts.given(index) for index in range(3)), **attributes)
    names = {name.removeprefix(own): one for name, one in given if name.startswith(own)}
    parts.activate(found, names)


def _softmax(parts: _Parts) -> None:
    """BiasSoftmax: the softmax of a sum, over the axes from one on."""
    axis = parts.attributes.get("axis", 1)
    if axis != -1 and not 0 < axis <= _MOST_AXES:
        raise _Unknown
    whole = parts.add("Add", parts.given(0), parts.given(1))
    if axis == -1:
        parts.add("Softmax", whole, axis=-1)
        return
    rows = parts.add("Reshape", whole, parts.constant(np.array([0] * axis + [-1])))
    found = parts.add("Softmax", rows, axis=-1)
    parts.add("Reshape", found, parts.add("Shape", whole))


def _group_norm(parts: _Parts) -> None:
    """GroupNorm: with a scale and a shift for each channel, and maybe a swish."""
    x, last = parts.given(0), parts.attributes.get("channels_last", 1)
    groups = parts.attributes.get("groups", 1)
    if not 0 < groups <= _MOST_GROUPS:
        raise _Unknown
    if last:
        x = parts.add("Transpose", x, perm=[0, 3, 1, 2])
    rows = parts.add("Reshape", x, parts.constant(np.array([0, groups, -1])))
    ones = np.ones(groups, np.float32)
    same = parts.constant(ones), parts.constant(0 * ones)
    epsilon = parts.attributes.get("epsilon", 1e-5)
    found = parts.add("InstanceNormalization", rows, *same, epsilon=epsilon)
    found = parts.add("Reshape", found, parts.add("Shape", x))
    channels = parts.constant(np.array([-1, 1, 1]))
    for op_type, index in (("Mul", 1), ("Add", 2)):
        found = parts.add(op_type, found, parts.add("Reshape", parts.given(index), channels))
    if parts.attributes.get("activation", 0):
        found = parts.add("Mul", found, parts.add("Sigmoid", found))
    if last:
        parts.add("Transpose", found, perm=[0, 2, 3, 1])


def _embedding(parts: _Parts) -> None:
    """EmbedLayerNormalization: the norm of a sum of rows of tables."""
    words, kinds, positions = (parts.given(index) for index in (0, 1, 8))
    found = parts.add("Gather", parts.given(2), words)
    if positions:
        rows = parts.add("Gather", parts.given(3), positions)
    else:
        begin, end = (parts.constant(np.array([at])) for at in (1, 2))
        length = parts.add("Slice", parts.add("Shape", words), begin, end)
        rows = parts.add("Slice", parts.given(3), parts.constant(np.array([0])), length)
    whole = parts.node.output[2] if len(parts.node.output) > 2 else ""
    if kinds:
        found = parts.add("Add", found, parts.add("Gather", parts.given(4), kinds))
    found = parts.add("Add", found, rows, result=whole)
    epsilon = parts.attributes.get("epsilon", 1e-12)
    scale = parts.given(5), parts.given(6)
    parts.add("LayerNormalization", found, *scale, axis=-1, epsilon=epsilon)


_EXPANDED: Mapping[str, Callable[[_Parts], None]] = {
    "BiasSoftmax": _softmax,
    "EmbedLayerNormalization": _embedding,
    "FusedConv": _convolution,
    "FusedGemm": _matrix,
    "GroupNorm": _group_norm,
}
