"""`qcompile --check`: what becomes of every node of an ONNX model."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from qcompiler import api, data, registry
from qcompiler.cli.data_options import calibration
from qcompiler.compilation.core_limits import exceeded_core_limits
from qcompiler.frontend.import_model import (
    Imported,
    NodeOutcome,
    Preprocessing,
    check_model,
    import_model,
)
from qcompiler.frontend.importers.table import UNROLLED
from qcompiler.ir import Diagnostic, Graph, size
from qcompiler.ir.ann import Concat, MaxPool
from qcompiler.ir.kernels import Array
from qcompiler.ir.prologue import run_prologue, split_prologue
from qcompiler.ir.view import View
from qcompiler.passes import Pipeline
from qcompiler.passes.quantization.fusion_groups import fusion_groups
from qcompiler.passes.tensor.fold_batchnorm import FoldBatchNorm
from qcompiler.passes.tensor.fold_linear import FoldLinear
from qcompiler.size_limits import costly_products, least_neurons
from qcompiler.streaming.pairs import states_of
from qcompiler.streaming.rollout import rollout
from qcompiler.streaming.sequences import read_sequences
from qcompiler.terminal.console import print_table, screen

from .lowering_costs import estimated_costs, fitted_costs, unrolled_cells

_OUTCOME_TEXTS = {
    "constant": "evaluated at compile time",
    "removed": "has no effect at inference",
    "host": "computed on the decoded outputs",
    "compiled": "folded into another layer",
}
_CELLS = ("GRU", "LSTM", "RNN")


def check(model: Path, preprocessing: Preprocessing, given: argparse.Namespace) -> int:
    """Print what becomes of every node; returns 1 if any is refused.

    With calibration data, functions and products are fitted, so that their cost is known.
    """
    read = model, preprocessing, True, dict(given.input_shape), dict(given.input_value)
    outcomes = check_model(*read)
    places: dict[str, str] = {}
    lowered: dict[str, str] = {}
    total = 0
    if not any(outcome.kind == "refused" for outcome in outcomes):
        whole = import_model(*read)
        _, graph = split_prologue(whole.graph)
        steps = api.pipeline(given.target, given.passes, _options(whole, given))
        folded = _folded(graph, steps)
        costly = () if given.allow_products else costly_products(graph, _times(given))
        outcomes = _mapped(outcomes, graph, steps, given.target, costly)
        places = _places(folded)
        lowered = estimated_costs(folded, _times(given))
        total = least_neurons(folded, _times(given))
        if given.calibration is not None:
            lowered |= fitted_costs(graph, steps)
        cells = [outcome.name for outcome in outcomes if outcome.op_type in _CELLS]
        lowered |= unrolled_cells(folded, cells, lowered)
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


def _options(whole: Imported, given: argparse.Namespace) -> dict[str, Any]:
    """The options of passes that decide which populations there are."""
    high = api.assumed_high(given.mean_values, given.scale_values)
    times = _times(given)
    found = {"t_max": times, "activation_error": given.activation_error}
    backend = registry.find_backend(given.target)
    assert backend is not None
    found["weight_bits"] = given.weight_bits or backend.weight_bits(times)
    found |= {"low": 0.0, "high": high}
    if given.calibration is not None:
        found |= {"calibration": _calibration(whole, given), "effort": given.effort}
    return found


def _calibration(whole: Imported, given: argparse.Namespace) -> tuple[Array, ...]:
    """What the network reads of the calibration data."""
    prologue, network = split_prologue(whole.graph)
    if given.state:
        states = states_of(whole.graph, given.state)
        read = read_sequences(calibration(given), whole.graph, states, whole.unread)
        return rollout(network, states, read.behind(prologue))
    inputs = api.inputs_of(whole.graph)
    found = data.read(calibration(given), inputs, given.layout, unread=whole.unread)
    return found.arrays if prologue is None else run_prologue(prologue, *found.arrays)


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
