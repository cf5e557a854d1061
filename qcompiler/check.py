"""`qcompile --check`: what becomes of every node of an ONNX model."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from .console import screen, table
from .frontend import Preprocessing, check_model

_MEANING = {
    "compiled": "synapses, populations or gates; or folded into their weights",
    "constant": "evaluated at compile time",
    "removed": "has no effect at inference",
    "host": "done on the decoded outputs",
    "refused": "",
}


def check(model: Path, preprocessing: dict[str, Any], as_json: bool) -> int:
    """Print the fate of every node; returns 1 if any is refused."""
    fates = check_model(
        model,
        Preprocessing(
            tuple(preprocessing["mean_values"]),
            tuple(preprocessing["scale_values"]),
            preprocessing["reverse_input_channels"],
            preprocessing["layout"],
        ),
    )
    counts = Counter(fate.kind for fate in fates)
    if as_json:
        rows = [vars(fate) | {"kind": fate.kind} for fate in fates]
        print(json.dumps({"nodes": rows, "refused": counts["refused"]}))
        return 1 if counts["refused"] else 0
    columns = ("node", "operator", "becomes", "why")
    rows = [(f.name, f.op_type, f.kind, _why(f)) for f in fates]
    console = screen()
    console.print(table(columns, rows))
    summary = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    console.print(f"\n{len(fates)} nodes: {summary}")
    return 1 if counts["refused"] else 0


def _why(fate: Any) -> str:
    found = fate.reason or _MEANING[fate.kind]
    return f"{found}; {fate.help}" if fate.help else found
