"""How far a compiled network may be from the network it was compiled from.

Two bounds, worst case over all inputs within the calibrated ranges, add up:

*Rounding.* With E the largest error of each level, in levels, a population with integer weights W,
slope D and sources of levels up to T away from their zero has

    E = 1/2 + (sum |W| E_source + (sum T + 1) / 2) / D

for its own rounding, what its sources pass on, and weights and a bias rounded to integers; a clip
passes no more on than it gets, a first-spike gate the largest E of its window.

*Line segments.* With F the largest error of each value in real units, a linear layer passes
``sum |w| F`` on, and a function f, replaced by segments with an error e and slopes up to L, gives
``e + L F``; a product of values up to A and B gives ``e + A F_b + B F_a + F_a F_b``.

The first adds up over all segments of a function, though most of them are full or empty: it is
tight for functions of two slopes, and loose for products.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from qcompiler.backends.program import Program
from qcompiler.frontend import import_model
from qcompiler.ir import Constant, Graph, Node, Operand, Tensor, Value, evaluate
from qcompiler.ir.ann import Clip, Function, Multiply
from qcompiler.ir.formula import values
from qcompiler.ir.integer import connection, layer_of, spikes_of, weight_of
from qcompiler.ir.snn import Decode, Encode, Population
from qcompiler.ir.synapse import current
from qcompiler.ir.view import View, arrange
from qcompiler.passes import Pipeline
from qcompiler.passes.lower_activations import Fitted, LowerActivations

Array = np.ndarray[Any, Any]
RANGES = "fold-batchnorm,fold-linear,normalize{method=percentile percentile=100}"
PASSES = f"{RANGES},lower-activations,quantize,assign-windows,insert-readout"


def bounds(proto: onnx.ModelProto, program: Program, data: tuple[Array, ...]) -> list[Array]:
    """The largest error of every output, in real units, for a program compiled by `PASSES`."""
    graph = import_model(proto, allow_products=True).graph
    options = {"calibration": data, "t_max": program.t_max}
    ranged = Pipeline.parse(RANGES, defaults=options).run(graph)
    found = zip(rounding(program.graph), segments(ranged, program.t_max), strict=True)
    return [one + other for one, other in found]


def rounding(graph: Graph) -> list[Array]:
    """What rounding to levels, and of weights to integers, can do to each output."""
    errors: dict[str, Array] = {}
    for node in graph.nodes:
        op, name = node.op, node.result.name
        if isinstance(op, Encode):
            errors[name] = np.full((1, *node.result.type.shape), 0.5)
        elif isinstance(op, Population):
            errors[name] = _population(graph, node, errors)
        elif isinstance(op, View):
            errors[name] = arrange(op, errors[node.operands[0].name], *node.arrays)
        elif isinstance(op, Decode):
            spikes = node.operands[0]
            errors[name] = errors[spikes.name] * spikes_of(spikes).scale
    return [errors[value.name][0] for value in graph.outputs]


def _population(graph: Graph, node: Node, errors: dict[str, Array]) -> Array:
    layer = layer_of(graph, node)
    total = np.ones((1, *node.result.type.shape)) / 2
    for synapse in layer.synapses:
        op, source, weight = connection(synapse), synapse.operands[0], weight_of(synapse)
        code = spikes_of(source)
        reach = np.full((1, *code.shape), float(max(abs(code.zero), abs(code.top - code.zero))))
        total = total + current(op, errors[source.name], np.abs(weight))
        total = total + current(op, reach, np.ones_like(weight)) / 2
    found: Array = 0.5 + total / layer.slope
    return found


def segments(graph: Graph, t_max: int) -> list[Array]:
    """What line segments can do to each output of a graph with ranges."""
    fits = {fit.node.result.name: fit for fit in LowerActivations(t_max=t_max).fits(graph)}
    errors = {value.name: np.zeros((1, *value.type.shape), np.float32) for value in graph.inputs}
    for node in graph.nodes:
        given = [errors[o.name] for o in node.operands if isinstance(o, Value)]
        errors[node.result.name] = _passed_on(node, given, fits.get(node.result.name))
    return [errors[value.name][0] for value in graph.outputs]


def _passed_on(node: Node, given: list[Array], fit: Fitted | None) -> Array:
    match node.op:
        case Function(formula) if fit:
            x = np.linspace(*fit.domain, 10_000)
            steepest = np.abs(np.diff(values(formula, x)) / np.diff(x)).max()
            sloped: Array = steepest * given[0]
            return _width(node.result) * fit.error + sloped
        case Multiply() if fit:
            a, b = (max(map(abs, _range(operand))) for operand in node.operands)
            spread: Array = a * given[1] + b * given[0] + given[0] * given[1]
            return _width(node.result) * fit.error + spread
        case Clip():
            return given[0]
    return _linear(node, given)


def _linear(node: Node, given: list[Array]) -> Array:
    """The node with absolute weights and without a bias, or the view that it is."""
    inputs = tuple(Value(f"x{i}", Tensor(one.shape[1:])) for i, one in enumerate(given))
    rest, last = iter(inputs), len(node.operands) - 1

    def operand(index: int, held: Operand) -> Operand:
        if isinstance(held, Value):
            return next(rest)
        if isinstance(node.op, View):
            return held
        return Constant(held.name, np.zeros_like(held.data) if index == last else np.abs(held.data))

    operands = tuple(operand(index, held) for index, held in enumerate(node.operands))
    assert isinstance(node.result.type, Tensor)
    alone = Node(node.op, operands, node.result.ranged(None))
    (found,) = evaluate(Graph("one", inputs, (alone,), (alone.result,)), *given)
    return found


def _range(operand: Operand) -> tuple[float, float]:
    assert isinstance(operand.type, Tensor) and operand.type.range is not None
    return operand.type.range


def _width(operand: Operand) -> float:
    low, high = _range(operand)
    return high - low
