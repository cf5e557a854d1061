"""How far a compiled network may be from the network it was compiled from.

Two bounds for every frame, derived from the network itself and never from what was compiled, add
up. Both start from what the network before rounding gives for the frame.

*Rounding*, against the network of line segments. A level q is off by something within E- .. E+
levels. With sources q + E, integer weights W and a slope D, what a population sums up is off by

    sum(W+ E+ + W- E-) / D    at most, or the other way round at least,

and by ``(sum |q| / 2 + 1) / D`` more for weights, bias and slope rounded to integers. What comes of
that is rounded and clipped: a clip that stays full or empty, as most segments of a function are,
is exact.

*Line segments*, against the model. With F the largest error of each value in real units, a linear
layer passes ``sum |w| F`` on; a function replaced by segments with an error e gives ``e + L F``
with its steepest slope L as near as F, and L times what a value lies beyond the ends of its domain,
which are rounded to 10 bits.

Signs of errors in real units are not used: wide layers, one behind the other, have bounds as large
as their outputs. Products have no bound here: their bits change together, not one by one.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view

from qcompiler.backends.program.program import Program
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import Constant, Graph, Node, Operand, Tensor, Value, evaluate
from qcompiler.ir.ann import Clip, Concat, Function
from qcompiler.ir.ann.formula import values
from qcompiler.ir.snn import Decode, Encode, Population
from qcompiler.ir.spiking.integer_network import connection, layer_of, spikes_of, weight_of
from qcompiler.ir.spiking.synapse import current
from qcompiler.ir.view import View, arrange
from qcompiler.passes import Pipeline
from qcompiler.passes.activations.activation_fit import ActivationFit
from qcompiler.passes.tensor.lower_activations import LowerActivations

Array = np.ndarray[Any, Any]
RANGES = "fold-batchnorm,fold-linear,normalize{method=percentile percentile=100}"
Ends: TypeAlias = "tuple[Array, Array]"  # the lowest and the highest error, in levels
_GRID = 2000  # slopes of a function that are looked at
PASSES = f"{RANGES},lower-activations,quantize,assign-windows,insert-readout"


def bounds(proto: onnx.ModelProto, program: Program, data: tuple[Array, ...]) -> list[Array]:
    """The largest error of every output in each frame, in real units, compiled by `PASSES`."""
    graph = import_model(proto, allow_products=True).graph
    options: dict[str, Any] = {"calibration": data, "t_max": program.t_max}
    options["weight_bits"] = _lowering(program.manifest["pipeline"]).weight_bits
    ranged = Pipeline.parse(RANGES, defaults=options).run(graph)
    lowered = Pipeline.parse(f"{RANGES},lower-activations", defaults=options).run(graph)
    levels = rounding(program.graph, lowered, data)
    lines = segments(ranged, _lowering(program.manifest["pipeline"]), data)
    return [one + other for one, other in zip(levels, lines, strict=True)]


def rounding(graph: Graph, lowered: Graph, data: tuple[Array, ...]) -> list[Array]:
    """What rounding to levels, and of weights to integers, can do to each output of each frame."""
    exact = values_of(lowered, data)
    errors: dict[str, Ends] = {}
    for node in graph.nodes:
        op, name = node.op, node.result.name
        if isinstance(op, Encode):
            half = np.full((1, *node.result.type.shape), 0.5)
            errors[name] = -half, half
            exact[name] = exact[node.operands[0].name]
        elif isinstance(op, Population):
            errors[name] = _population(graph, lowered, node, errors, exact)
        elif isinstance(op, View):
            source = node.operands[0].name
            below, above = (arrange(op, end, *node.arrays) for end in errors[source])
            errors[name] = below, above
            exact[name] = arrange(op, exact[source], *node.arrays)
        elif isinstance(op, Decode):
            below, above = errors[node.operands[0].name]
            scale = spikes_of(node.operands[0]).scale
            errors[name] = scale * below, scale * above
        elif isinstance(op, Concat):
            ends = [errors[operand.name] for operand in node.operands]
            errors[name] = _linear(node, [e[0] for e in ends]), _linear(node, [e[1] for e in ends])
    return [np.maximum(-errors[value.name][0], errors[value.name][1]) for value in graph.outputs]


def values_of(graph: Graph, data: tuple[Array, ...]) -> dict[str, Array]:
    """Every value of a graph, in real units."""
    values = tuple(node.result for node in graph.nodes)
    found = evaluate(Graph("all", graph.inputs, graph.nodes, values), *data)
    known = {value.name: array for value, array in zip(values, found, strict=True)}
    return known | {value.name: array for value, array in zip(graph.inputs, data, strict=True)}


def _population(
    graph: Graph, lowered: Graph, node: Node, errors: dict[str, Ends], exact: dict[str, Array]
) -> Ends:
    """What the levels of a population can be, less what they are without rounding."""
    layer, code, name = layer_of(graph, node), spikes_of(node.result), node.result.name
    below = above = rounded = np.zeros((1, *code.shape))
    for synapse in layer.synapses:
        op, source, weight = connection(synapse), synapse.operands[0], weight_of(synapse)
        low, high = errors[source.name]
        plus, minus = np.maximum(weight, 0), np.minimum(weight, 0)
        below = below + current(op, low, plus) + current(op, high, minus)
        above = above + current(op, high, plus) + current(op, low, minus)
        levels = np.abs(exact[source.name]) / spikes_of(source).scale
        rounded = rounded + current(op, levels, np.ones_like(weight)) / 2
    producer = next(n for n in lowered.nodes if n.result.name == name)
    before = producer.operands[0].name if isinstance(producer.op, Clip) else name
    wanted, real = (exact[n] / code.scale + code.zero for n in (before, name))
    lowest = wanted + (below - rounded - 1) / layer.slope
    highest = wanted + (above + rounded + 1) / layer.slope
    least, most = (np.floor(end + 0.5).clip(0, code.top) for end in (lowest, highest))
    return least - real, most - real


def _lowering(pipeline: str) -> LowerActivations:
    steps = Pipeline.parse(pipeline).passes
    return next(step for step in steps if isinstance(step, LowerActivations))


def segments(graph: Graph, lowering: LowerActivations, data: tuple[Array, ...]) -> list[Array]:
    """What line segments can do to each output of each frame of a graph with ranges."""
    exact = values_of(graph, data)
    fits = {fit.node.result.name: fit for fit in lowering.fits(graph)}
    errors = {value.name: np.zeros((1, *value.type.shape), np.float32) for value in graph.inputs}
    for node in graph.nodes:
        read = [operand for operand in node.operands if isinstance(operand, Value)]
        given = [errors[operand.name] for operand in read]
        known = [exact[operand.name] for operand in read]
        errors[node.result.name] = _passed_on(node, given, known, fits.get(node.result.name))
    return [errors[value.name] for value in graph.outputs]


def _passed_on(
    node: Node, given: list[Array], exact: list[Array], fit: ActivationFit | None
) -> Array:
    match node.op:
        case Function(formula) if fit:
            beyond = np.maximum(fit.domain[0] - exact[0], exact[0] - fit.domain[1]).clip(0)
            reach = given[0] + beyond
            sloped: Array = _steepest(formula, fit.domain, exact[0], reach.max()) * reach
            return _width(node.result) * fit.error + sloped
        case Clip():
            return given[0]
    return _linear(node, given)


def _steepest(formula: str, domain: tuple[float, float], x: Array, reach: float) -> Array:
    """The steepest slope of a function as near as ``reach`` to each x."""
    knots = np.linspace(*domain, _GRID + 1)
    slopes = np.abs(np.diff(values(formula, knots)) / np.diff(knots))
    step = (domain[1] - domain[0]) / _GRID
    around = min(_GRID, int(reach / step) + 2)
    padded = np.pad(slopes, around, mode="edge")
    steepest = sliding_window_view(padded, 2 * around + 1).max(axis=1)
    at = ((x - domain[0]) / step).astype(int).clip(0, _GRID - 1)
    found: Array = steepest[at]
    return found


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


def _width(operand: Operand) -> float:
    assert isinstance(operand.type, Tensor) and operand.type.range is not None
    low, high = operand.type.range
    return high - low
