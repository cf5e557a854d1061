"""`qcompile --check`: what becomes of every node of an ONNX model."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

from qcompiler.ir import Graph, size
from qcompiler.ir.ann import Concat, Function, MaxPool, Multiply
from qcompiler.ir.view import View
from qcompiler.passes import Pipeline
from qcompiler.passes.groups import groups
from qcompiler.passes.lower_activations import product_neurons

from .console import screen, table
from .frontend import Fate, Preprocessing, check_model, import_model

_MEANING = {
    "constant": "evaluated at compile time",
    "removed": "has no effect at inference",
    "host": "done on the decoded outputs",
    "compiled": "folded away",
}

_PRODUCT = (
    "squares of a sum and a difference, of line segments; how many depends on calibration, about "
    f"{product_neurons(16)} neurons a product at 16 levels: qcompile -v lists them"
)


def check(model: Path, preprocessing: Preprocessing, given: argparse.Namespace) -> int:
    """Print the fate of every node; returns 1 if any is refused."""
    fates = check_model(model, preprocessing, given.allow_products)
    refused = any(fate.kind == "refused" for fate in fates)
    places = (
        {} if refused else _places(import_model(model, preprocessing, given.allow_products).graph)
    )
    rows = [(fate.name, fate.op_type, fate.kind, _why(fate, places)) for fate in fates]
    columns = ("node", "operator", "becomes", "how")
    if given.json:
        nodes = [dict(zip(columns, row, strict=True)) for row in rows]
        print(json.dumps({"nodes": nodes, "refused": sum(f.kind == "refused" for f in fates)}))
    else:
        counts = Counter(fate.kind for fate in fates)
        summary = ", ".join(f"{count} {kind}" for kind, count in counts.items())
        screen().print(table(columns, rows))
        print(f"\n{len(fates)} nodes: {summary}")
    return int(refused)


def _why(fate: Fate, places: dict[str, str]) -> str:
    found = fate.reason or places.get(fate.name) or _MEANING.get(fate.kind, "")
    return f"{found}; {fate.help}" if fate.help else found


def _places(graph: Graph) -> dict[str, str]:
    """Where each ONNX node is found after folding."""
    folded = Pipeline.parse("fold-batchnorm,fold-linear").run(graph)
    places: dict[str, str] = {}
    for node in folded.nodes:
        match node.op:
            case MaxPool():
                text = f"first-spike gates %{node.result.name}, {size(node.result.type)} neurons"
            case op if isinstance(op, View):
                text = "rearranges spikes, costs nothing"
            case Function():
                text = "line segments; how many depends on calibration: qcompile -v lists them"
            case Multiply():
                text = _PRODUCT
            case Concat():
                text = _MEANING["host"]
            case _:
                continue
        places.update(dict.fromkeys(node.origin, text))
    for group in groups(folded):
        neurons = size(group.result.type)
        text = f"population %{group.result.name}, {neurons} neurons"
        places.update(dict.fromkeys(group.origin, text))
    return places
