"""The text form: one node a line, constants as digests; `parser` reads it back.

    graph @tiny(%image: f32[1x4x4]) {
      const #w: f32[2x1x3x3] = 5f1d0c7be2aa90d1
      %conv: f32[2x2x2] = ann.conv(%image, #w, #b) {strides=(1, 1)} from "Conv_0"
      return %conv
    }

A name that is not made of letters, digits and ``_ . / : + -`` is written as a JSON string behind
its sigil. Attributes are Python literals; defaults are left out.
"""

from __future__ import annotations

import json
import re
from hashlib import sha256

from qcompiler.ir import ann, snn, view
from qcompiler.ir.given import check_graph
from qcompiler.ir.graph import Constant, Graph, Node, Operand, Value
from qcompiler.ir.ops import Op

OPS: dict[str, type[Op]] = {
    op.mnemonic: op
    for op in (
        *(ann.Conv, ann.Dense, ann.BatchNorm, ann.Affine, ann.Clip, ann.MaxPool, ann.SumPool),
        *(
            ann.Pad,
            ann.Add,
            ann.Concat,
            ann.Function,
            ann.Multiply,
            ann.Rescale,
            ann.Softmax,
            ann.ArgMax,
            ann.TopK,
            ann.Fill,
            ann.Lookup,
            ann.Embed,
            ann.Integer,
            ann.CumSum,
            ann.Reduce,
            ann.Feed,
            view.Reshape,
            view.Transpose,
            view.Take,
            view.Pick,
        ),
        *(snn.Encode, snn.Decode, snn.Convolve, snn.Connect, snn.Relay, snn.Clock, snn.Fanout),
        *(snn.Neuron, snn.Population, snn.First),
    )
}

_BARE = re.compile(r"[\w./:+-]+")


def show(graph: Graph) -> str:
    """Write a graph as text; InvalidGraph for what is no graph."""
    check_graph(graph)
    inputs = ", ".join(f"%{_name(v.name)}: {v.type}" for v in graph.inputs)
    lines = [f"graph @{_name(graph.name)}({inputs}) {{"]
    lines += [f"  const #{_name(c.name)}: {c.type} = {c.digest}" for c in graph.constants]
    lines += [f"  {show_node(node)}" for node in graph.nodes]
    outputs = zip(graph.outputs, graph.output_names, strict=True)
    lines.append("  return " + ", ".join(_output(value, name) for value, name in outputs))
    return "\n".join([*lines, "}"]) + "\n"


def digest(graph: Graph) -> str:
    """Hash of a graph's text, with its constants: the first 16 hexadecimal digits of SHA-256."""
    return sha256(show(graph).encode()).hexdigest()[:16]


def show_node(node: Node) -> str:
    """Write one node as a line."""
    operands = ", ".join(_operand(operand) for operand in node.operands)
    line = f"%{_name(node.result.name)}: {node.result.type} = {node.op.mnemonic}({operands})"
    if attributes := node.op.attributes():
        line += " {" + " ".join(f"{k}={v!r}" for k, v in attributes.items()) + "}"
    if node.origin:
        line += " from " + ", ".join(json.dumps(name) for name in node.origin)
    return line


def _name(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name).replace(")", "\\u0029")


def _operand(operand: Operand) -> str:
    return ("#" if isinstance(operand, Constant) else "%") + _name(operand.name)


def _output(value: Value, name: str) -> str:
    return f"%{_name(value.name)}" + ("" if name == value.name else f" as {json.dumps(name)}")
