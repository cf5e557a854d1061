"""Scores and probabilities of two classes, which models compute from one number.

The host takes a softmax for nothing, and without rounding: ``1 - sigmoid(x), sigmoid(x)`` is the
softmax of ``-x / 2, x / 2``. Beyond +-4 these change probabilities by less than 0.04 %, so they are
clipped there: their levels then lie where they matter.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qcompiler.ir import Graph, Node, Operand, Value, origins
from qcompiler.ir.ann import Affine, Clip, Concat, Dense, Function, Softmax
from qcompiler.ir.ann.formula import values
from qcompiler.ir.kernels import Array
from qcompiler.passes.quantization.fusion_groups import is_network_output

from .linear import expand_rows, parameters, replace_weights
from .neighbours import affine, fresh_between, scale_and_shift

LARGEST_SCORE = 4.0


def two_class_rules(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """Apply the rules of this module that fit a concatenation of outputs."""
    if node.op != Concat(0):
        return None
    if is_network_output(graph, node.result):
        return _as_softmax(node, graph) or _one_layer(node, graph)
    clip = graph.only_user(node.result)
    ends = clip and isinstance(clip.op, Clip) and is_network_output(graph, clip.result)
    return _one_layer(node, graph) if ends else None


def _as_softmax(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    found = _multiples(node, graph)
    if found is None:
        return None
    source, factors = found
    made = graph.producer(source)
    line = (
        _line(made.op.formula)
        if made and isinstance(made.op, Function) and not made.arrays
        else None
    )
    if made is None or line is None or source.type.shape != (1,):
        return None
    slope, height = line
    pairs = [(float(scale.max()), float(shift.max())) for scale, shift in factors]
    if pairs not in ([(-1.0, 1.0), (1.0, 0.0)], [(1.0, 0.0), (-1.0, 1.0)]):
        return None
    halves = [
        affine(
            made.operands[0],
            np.full(1, sign / 2 * slope),
            np.full(1, sign / 2 * height),
            Value(graph.fresh(f"{node.result.name}:half{index}"), source.type.layout),
            made.origin,
        )
        for index, (sign, _) in enumerate(pairs)
    ]
    scores = fresh_between(graph, node, node.result.type, ":scores")
    clipped = fresh_between(graph, node, node.result.type, ":clipped")
    joined = replace(node, operands=tuple(half.result for half in halves), result=scores)
    origin = origins(made, node)
    clip = Node(Clip(-LARGEST_SCORE, LARGEST_SCORE), (scores,), clipped, origin)
    return (*halves, joined, clip, Node(Softmax(0), (clipped,), node.result, origin))


def _line(formula: str) -> tuple[float, float] | None:
    """Slope and height at zero of the line that a formula takes the sigmoid of, if it does so."""
    inner = formula.removesuffix(" sigmoid")
    if inner == formula:
        return None
    points = np.array([0.0, 1.0, -1.0, 8.0])
    height, top, *_ = found = values(inner, points)
    straight = np.allclose(found, height + (top - height) * points, rtol=1e-9, atol=1e-9)
    return (float(top - height), float(height)) if straight else None


def _one_layer(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """Scores that are multiples of those of a dense layer are rows of it."""
    found = _multiples(node, graph)
    layer = graph.producer(found[0]) if found else None
    if found is None or layer is None or not isinstance(layer.op, Dense):
        return None
    known = parameters(layer)
    if known is None:
        return None
    weight, bias = known[0], expand_rows(known[1], layer.result.type.shape)
    rows = [(weight * scale[:, None], bias * scale + shift) for scale, shift in found[1]]
    weights, biases = (np.concatenate(part) for part in zip(*rows, strict=True))
    return (replace_weights(layer, layer.operands[0], weights, biases, node),)


def _multiples(node: Node, graph: Graph) -> tuple[Value, list[tuple[Array, Array]]] | None:
    """The value that all parts are scaled and shifted from, if it has no other readers."""
    sources: list[Operand] = []
    factors: list[tuple[Array, Array]] = []
    for operand in node.operands:
        inner = graph.producer(operand)
        scaled = inner is not None and isinstance(inner.op, Affine)
        if inner is not None and scaled and graph.only_user(inner.result) is node:
            sources.append(inner.operands[0])
            pair = scale_and_shift(inner)
        else:
            sources.append(operand)
            pair = np.ones(1), np.zeros(1)
        shape = operand.type.shape
        factors.append((np.broadcast_to(pair[0], shape), np.broadcast_to(pair[1], shape)))
    if len(sources) < 2 or len(set(sources)) > 1 or len(sources[0].type.shape) != 1:
        return None
    (source, *_) = sources
    if not isinstance(source, Value) or graph.is_output(source):
        return None
    readers = {user.result for user in graph.users(source)}
    return (source, factors) if readers <= {node.result, *node.operands} else None
