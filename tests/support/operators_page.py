"""Writes the table of all operators in docs/reference/operators.md; run it with ``python -m``."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import onnx

from qcompiler.frontend.importers.constants import CONSTANT_IMPORTERS
from qcompiler.frontend.importers.table import IMPORTERS, UNROLLED
from qcompiler.frontend.importers.table_of_functions import FUNCTIONS
from qcompiler.frontend.importers.table_of_host import HOST
from qcompiler.frontend.importers.table_of_layers import LAYERS
from qcompiler.frontend.importers.table_of_quantised import QUANTISED
from qcompiler.frontend.model.constant_folding import folds
from qcompiler.frontend.model.refusals import DATA_PRODUCTS, refusal
from qcompiler.ir import InvalidModel, UnsupportedModel
from tests.frontend.test_onnx_backend import array, attempts, model_cases, node_cases

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "operators.md"
_PRODUCTS = "of two values that depend on the data: a [product](#products)"
BEGIN, END = "<!-- begin of the table of all operators -->", "<!-- end of the table -->"


def table() -> str:
    """What becomes of every operator of ai.onnx, and of ONNX's test cases for it."""
    counts = _counts()
    lines = [
        f"{BEGIN}\n",
        f"Operators of onnx {onnx.__version__}. The numbers are those of ONNX's own test cases",
        "that read real numbers: compiled with the right result, and refused with a reason. Many",
        "are refused because they reduce or mix the batch axis. No case is wrong.\n",
        "| operator | becomes | right | refused | reason; remedy |",
        "|---|---|---:|---:|---|",
    ]
    for name in sorted({s.name for s in onnx.defs.get_all_schemas() if s.domain == ""}):
        kind, why = _fate(name)
        right, refused = counts[name]["right"], counts[name]["refused"]
        lines.append(f"| `{name}` | {kind} | {right or ''} | {refused or ''} | {why} |")
    return "\n".join([*lines, f"\n{END}"])


def _fate(name: str) -> tuple[str, str]:
    if name in CONSTANT_IMPORTERS and not folds(name):
        return "constant", ""
    if name in UNROLLED:
        return "its bodies are compiled", ""
    if name in IMPORTERS:
        kind = (
            "lowered"
            if name in FUNCTIONS
            else "compiled"
            if name in {*LAYERS, *QUANTISED}
            else "rearranged"
        )
        kind = "host" if name in HOST else kind
        return kind, _PRODUCTS if name in DATA_PRODUCTS else ""
    reason, help_ = refusal(name)
    why = "; ".join(part for part in (reason.partition(": ")[2], help_) if part)
    return ("refused, unless it reads constants" if folds(name) else "refused"), why


def _counts() -> dict[str, Counter[str]]:
    """Right and refused cases of every operator."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for case, error in [*attempts(node_cases, False), *attempts(model_cases, False)]:
        graph, inputs = case[1].graph, case[2]
        if len(graph.node) == 1 and inputs and _real(inputs[0]):
            found[graph.node[0].op_type][_outcome(error)] += 1
    return found


def _real(value: Any) -> bool:
    return not isinstance(value, list) and value is not None and array(value).dtype.kind == "f"


def _outcome(error: Exception | None) -> str:
    if error is None:
        return "right"
    if isinstance(error, UnsupportedModel | InvalidModel):
        return "refused"
    raise error


def updated(page: str) -> str:
    """The page with a table that is current."""
    head, _, rest = page.partition(BEGIN)
    return head + table() + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
