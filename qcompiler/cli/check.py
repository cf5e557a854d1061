"""`qcompile --check`: what becomes of every node of an ONNX model."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from qcompiler import api, data, registry
from qcompiler.compilation.core_limits import exceeded_core_limits
from qcompiler.console import print_table, screen
from qcompiler.frontend.import_model import NodeOutcome, Preprocessing, check_model, import_model
from qcompiler.frontend.importers.table import UNROLLED
from qcompiler.ir import Diagnostic, Graph, size
from qcompiler.ir.ann import Concat, Function, MaxPool, Multiply
from qcompiler.ir.prologue import run_prologue, split_prologue
from qcompiler.ir.view import View
from qcompiler.passes import Pipeline
from qcompiler.passes.fold_batchnorm import FoldBatchNorm
from qcompiler.passes.fold_linear import FoldLinear
from qcompiler.passes.lower_activations import ActivationFit, LowerActivations
from qcompiler.passes.quantization.fusion_groups import fusion_groups
from qcompiler.size_limits import costly_products, least_neurons, products_of
from qcompiler.streaming.calibration import with_states
from qcompiler.streaming.pairs import states_of

from .data_options import calibration
from .summary import jumps

_OUTCOME_TEXTS = {
    "constant": "evaluated at compile time",
    "removed": "has no effect at inference",
    "host": "computed on the decoded outputs",
    "compiled": "folded into another layer",
}

_SEGMENTS = "line segments; their number and error need --calibration"
_CELLS = ("GRU", "LSTM", "RNN")
_STREAM = "exported as a cell with its state, one time step is a frame (--state)"


def check(model: Path, preprocessing: Preprocessing, given: argparse.Namespace) -> int:
    """Print what becomes of every node; returns 1 if any is refused.

    With calibration data, functions and products are fitted, so that their cost is known.
    """
    read = model, preprocessing, True, dict(given.input_shape)
    outcomes = check_model(*read)
    places: dict[str, str] = {}
    lowered: dict[str, str] = {}
    total = 0
    if not any(outcome.kind == "refused" for outcome in outcomes):
        whole = import_model(*read).graph
        _, graph = split_prologue(whole)
        steps = api.pipeline(given.target, given.passes, _options(whole, given))
        folded = _folded(graph, steps)
        costly = () if given.allow_products else costly_products(graph, _times(given))
        outcomes = _mapped(outcomes, graph, steps, given.target, costly)
        places = _places(folded)
        lowered = _estimated(folded, _times(given))
        total = least_neurons(folded, _times(given))
        if given.calibration is not None:
            lowered |= _fitted(graph, steps)
        cells = [outcome.name for outcome in outcomes if outcome.op_type in _CELLS]
        lowered |= _unrolled(folded, cells, lowered)
    refused = any(outcome.kind == "refused" for outcome in outcomes)
    rows = [
        (outcome.name, outcome.op_type, *_outcome_text(outcome, places, lowered))
        for outcome in outcomes
    ]
    columns = ("node", "operator", "becomes", "how")
    if given.json:
        nodes = [dict(zip(columns, row, strict=True)) for row in rows]
        print(json.dumps({"nodes": nodes, "refused": sum(f.kind == "refused" for f in outcomes)}))
    else:
        counts = Counter(kind for _, _, kind, _ in rows)
        summary = ", ".join(f"{count} {kind}" for kind, count in counts.items())
        print_table(screen(), columns, rows)
        print(f"\n{len(outcomes)} nodes: {summary}")
        if total:
            rest = ", without line segments" if "line segment" in str(lowered) else ""
            print(f"about {total:,} neurons at t_max {_times(given)}{rest}")
    return int(refused)


def _outcome_text(
    outcome: NodeOutcome, places: dict[str, str], lowered: dict[str, str]
) -> tuple[str, str]:
    """What a node becomes, and how."""
    if outcome.kind != "compiled":
        return outcome.kind, _why(outcome, places)
    if outcome.op_type in UNROLLED:
        return "lowered", outcome.reason or ""
    if outcome.name in lowered:
        return "lowered", lowered[outcome.name]
    text = _why(outcome, places) if places else "synapses, populations or gates"
    return outcome.kind, outcome.reason or text


def _times(given: argparse.Namespace) -> int:
    return int(given.t_max or api.DEFAULT_T_MAX)


def _options(graph: Graph, given: argparse.Namespace) -> dict[str, Any]:
    """The options of passes that decide which populations there are."""
    high = api.assumed_high(given.mean_values, given.scale_values)
    times = _times(given)
    found = {"t_max": times, "activation_error": given.activation_error}
    backend = registry.find_backend(given.target)
    assert backend is not None
    found["weight_bits"] = given.weight_bits or backend.weight_bits(times)
    found |= {"low": 0.0, "high": high}
    if given.calibration is not None:
        if given.state:
            carried = states_of(graph, given.state)
            read, _ = with_states(graph, carried, calibration(given), times)
        else:
            read = data.read(calibration(given), api.inputs_of(graph), given.layout)
        prologue, _ = split_prologue(graph)
        arrays = read.arrays if prologue is None else run_prologue(prologue, *read.arrays)
        found |= {"calibration": arrays, "effort": given.effort}
    return found


def _folded(graph: Graph, steps: Pipeline) -> Graph:
    """The graph whose fusion groups become populations, at least."""
    fold = next((step for step in steps.passes if isinstance(step, FoldLinear)), FoldLinear())
    return Pipeline((FoldBatchNorm(), fold)).run(graph)


def _mapped(
    outcomes: tuple[NodeOutcome, ...],
    graph: Graph,
    steps: Pipeline,
    target: str,
    costly: tuple[Diagnostic, ...],
) -> tuple[NodeOutcome, ...]:
    """The outcomes, with the nodes refused that are too ``costly``, or fit no core of the chip."""
    backend = registry.find_backend(target)
    assert backend is not None
    found = {
        name: finding
        for finding in (*costly, *exceeded_core_limits(graph, steps, backend))
        for name in finding.nodes
    }
    return tuple(
        replace(one, kind="refused", reason=found[one.name].message, help=found[one.name].help)
        if one.name in found
        else one
        for one in outcomes
    )


def _fitted(graph: Graph, steps: Pipeline) -> dict[str, str]:
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


def _estimated(graph: Graph, t_max: int) -> dict[str, str]:
    """The same without calibration data, which decide how many segments there are."""
    gates: Counter[str] = Counter()
    for node, neurons in products_of(graph, t_max):
        gates.update(dict.fromkeys(node.origin, neurons))
    found = {
        name: f"gates, about {neurons:,} neurons at t_max {t_max}"
        for name, neurons in gates.items()
    }
    for node in graph.nodes:
        if isinstance(node.op, Function):
            for name in node.origin:
                before = f"{found[name]}; " if name in gates else ""
                found[name] = f"{before}{_SEGMENTS}"
    return found


def _unrolled(graph: Graph, cells: list[str], lowered: dict[str, str]) -> dict[str, str]:
    """What recurrent cells become."""
    found = {}
    for name in cells:
        sizes = [size(g.result.type) for g in fusion_groups(graph) if name in g.origin]
        layers = (
            f"unrolled into {len(sizes)} layers with {sum(sizes):,} neurons in total; {_STREAM}"
        )
        found[name] = f"{layers}; {lowered[name]}" if name in lowered else layers
    return found


def _why(outcome: NodeOutcome, places: dict[str, str]) -> str:
    found = outcome.reason or places.get(outcome.name) or _OUTCOME_TEXTS.get(outcome.kind, "")
    return f"{found}; {outcome.help}" if outcome.help else found


def _places(graph: Graph) -> dict[str, str]:
    """Where each ONNX node is found after folding."""
    places: dict[str, str] = {}
    for node in graph.nodes:
        match node.op:
            case MaxPool():
                text = f"first-spike gates %{node.result.name}, {size(node.result.type)} neurons"
            case op if isinstance(op, View):
                text = "rearranges spikes, needs no neurons"
            case Concat():
                text = _OUTCOME_TEXTS["host"]
            case _:
                continue
        places.update(dict.fromkeys(node.origin, text))
    populations: dict[str, str] = {}
    for group in fusion_groups(graph):
        neurons = size(group.result.type)
        for name in group.origin:
            populations.setdefault(name, f"population %{group.result.name}, {neurons} neurons")
    return places | populations
