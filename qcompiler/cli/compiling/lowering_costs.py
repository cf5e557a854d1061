"""What functions, products and recurrent cells of a model become, and what that costs."""

from __future__ import annotations

from collections import Counter

from qcompiler.cli.summary import jumps
from qcompiler.ir import Graph, size
from qcompiler.ir.ann import Function, Multiply
from qcompiler.passes import Pipeline
from qcompiler.passes.activations.activation_fit import ActivationFit
from qcompiler.passes.quantization.fusion_groups import fusion_groups
from qcompiler.passes.tensor.lower_activations import LowerActivations
from qcompiler.size_limits import products_of

_SEGMENTS = "line segments; their number and error need --calibration"
_STREAM = "exported as a cell with its state, one time step is a frame (--state)"


def fitted_costs(graph: Graph, steps: Pipeline) -> dict[str, str]:
    """By ONNX node: what its functions and products cost, and how far they are off."""
    fits: dict[str, list[ActivationFit]] = {}
    products: dict[str, list[tuple[int, int]]] = {}
    if not any(isinstance(node.op, Function | Multiply) for node in graph.nodes):
        return {}
    for index, step in enumerate(steps.passes):
        if isinstance(step, LowerActivations):
            ranged = Pipeline(steps.passes[:index]).run(graph)
            for fit in step.fits(ranged):
                for name in fit.node.origin:
                    fits.setdefault(name, []).append(fit)
            for node, bits, neurons in step.products(ranged):
                for name in node.origin:
                    products.setdefault(name, []).append((bits, neurons))
    found = {name: [_cost(group)] for name, group in fits.items()}
    for name, group in products.items():
        found.setdefault(name, []).append(_gates(group))
    return {name: "; ".join(texts) for name, texts in found.items()}


def _gates(products: list[tuple[int, int]]) -> str:
    bits, neurons = max(bits for bits, _ in products), sum(neurons for _, neurons in products)
    return f"gates of {bits} bits, {neurons:,} neurons, exact in levels"


def _cost(fits: list[ActivationFit]) -> str:
    neurons = sum((f.segments + f.steps) * size(f.node.result.type) for f in fits)
    error = max(f.error for f in fits)
    count = fits[0].segments
    what = f"{count} line segment{'s' * (count != 1)}{jumps(fits[0].steps)}"
    if len(fits) > 1:
        what = f"{len(fits)} functions"
    text = f"{what}, {neurons:,} neurons, error up to {error:.2%} of the output range"
    jump = max(f.jump for f in fits)
    return f"{text}, {jump:.2%} where it jumps or nearly so" if jump else text


def estimated_costs(graph: Graph, t_max: int) -> dict[str, str]:
    """The same without calibration data, which decide how many segments there are."""
    gates: Counter[str] = Counter()
    for node, neurons in products_of(graph, t_max):
        gates.update(dict.fromkeys(node.origin, neurons))
    found = {
        name: f"gates, about {neurons:,} neurons at t_max {t_max}"
        for name, neurons in gates.items()
    }
    functions = (node for node in graph.nodes if isinstance(node.op, Function))
    for name in dict.fromkeys(name for node in functions for name in node.origin):
        found[name] = f"{found[name]}; {_SEGMENTS}" if name in found else _SEGMENTS
    return found


def unrolled_cells(graph: Graph, cells: list[str], lowered: dict[str, str]) -> dict[str, str]:
    """What recurrent cells become."""
    found = {}
    for name in cells:
        sizes = [size(g.result.type) for g in fusion_groups(graph) if name in g.origin]
        layers = (
            f"unrolled into {len(sizes)} layers with {sum(sizes):,} neurons in total; {_STREAM}"
        )
        found[name] = f"{layers}; {lowered[name]}" if name in lowered else layers
    return found
