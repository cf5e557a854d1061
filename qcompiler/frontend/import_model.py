"""The ONNX frontend: an ONNX model in, a graph of the tensor level out.

The model is interpreted node by node on abstract values: a value of the graph being built, which
stands for one sample; an array known at compile time (`KnownArray`); or unknown, after a refused
node.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from qcompiler.frontend.model.onnx_file import Source, read_model
from qcompiler.ir import Diagnostic, Graph, InvalidModel, UnsupportedModel, raise_if_any

from .interpreter import ModelInterpreter
from .node_report import NodeOutcome
from .preprocessing import Preprocessing

__all__ = ["Imported", "NodeOutcome", "Preprocessing", "check_model", "import_model"]


@dataclass(frozen=True)
class Imported:
    """A graph, and what became of every node of the model."""

    graph: Graph
    report: tuple[NodeOutcome, ...]


def import_model(
    model: Source, preprocessing: Preprocessing | None = None, allow_products: bool = False
) -> Imported:
    """Import an ONNX model: a path, the bytes of a file, or a protobuf message.

    Raises UnsupportedModel with all nodes that are not supported, or InvalidModel if the model is
    not intact.
    """
    interpreter = _interpret(model, preprocessing, allow_products)
    raise_if_any(_findings(interpreter.report), UnsupportedModel)
    return Imported(interpreter.graph(), tuple(interpreter.report))


def check_model(
    model: Source, preprocessing: Preprocessing | None = None, allow_products: bool = False
) -> tuple[NodeOutcome, ...]:
    """What becomes of every node, and what of the model itself is refused.

    Raises InvalidModel if the model is not intact, but never for what is not supported.
    """
    return tuple(_interpret(model, preprocessing, allow_products).report)


def _interpret(
    source: Source, preprocessing: Preprocessing | None, allow_products: bool
) -> ModelInterpreter:
    try:
        interpreter = ModelInterpreter(
            read_model(source), preprocessing or Preprocessing(), allow_products
        )
        interpreter.run()
        return interpreter
    except (RecursionError, MemoryError) as error:
        raise InvalidModel("the model is nested too deeply or too large to be read") from error


def _findings(report: Iterable[NodeOutcome]) -> list[Diagnostic]:
    """One finding for every operator and reason."""
    groups: dict[tuple[str, str | None], list[NodeOutcome]] = {}
    for outcome in report:
        if outcome.kind == "refused":
            groups.setdefault((outcome.op_type, outcome.reason), []).append(outcome)
    return [_finding(group) for group in groups.values()]


def _finding(group: list[NodeOutcome]) -> Diagnostic:
    first = group[0]
    if not first.is_node:
        return Diagnostic(first.reason or "", (), first.help)
    count = f" ({len(group)} nodes)" if len(group) > 1 else ""
    return Diagnostic(f"{first.reason}{count}", tuple(f.name for f in group), first.help)
