"""The ONNX frontend: an ONNX model in, a graph of the tensor level out.

The model is interpreted node by node on abstract values: a value of the graph being built, which
stands for one sample; an array known at compile time (`KnownArray`); or unknown, after a refused
node.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from qcompiler.frontend.model.onnx_file import Source, read_model
from qcompiler.ir import Diagnostic, Graph, InvalidModel, UnsupportedModel, raise_if_any

from .input_axes import stated_axes
from .input_values import with_values
from .interpreter import ModelInterpreter
from .model_inputs import InputShapes
from .node_report import NodeOutcome
from .preprocessing import Preprocessing

__all__ = ["Imported", "NodeOutcome", "Preprocessing", "check_model", "import_model"]

Shapes: TypeAlias = "Mapping[str, Sequence[int | str | None]]"


@dataclass(frozen=True)
class Imported:
    """A graph, and what became of every node of the model.

    ``batch_axes`` holds the batch axis, in the model, of inputs and outputs that have it not
    first; None if they have none. ``assumed`` tells what the import takes for granted,
    ``folded_products`` how many products of weights and first states it has computed itself, and
    ``unread`` names the model's other inputs, which nothing reads.
    """

    graph: Graph
    report: tuple[NodeOutcome, ...]
    batch_axes: Mapping[str, int | None] = field(default_factory=dict)
    assumed: tuple[Diagnostic, ...] = ()
    folded_products: int = 0
    unread: tuple[str, ...] = ()


def import_model(
    model: Source,
    preprocessing: Preprocessing | None = None,
    allow_products: bool = False,
    input_shapes: Shapes | None = None,
    input_values: Mapping[str, float] | None = None,
) -> Imported:
    """Import an ONNX model: a path, the bytes of a file, or a protobuf message.

    ``input_shapes`` states axes of inputs that the model leaves open: a length, or a name or None
    for the batch axis. ``input_values`` makes inputs constants, each of one number. Raises
    UnsupportedModel with all nodes that are not supported, or InvalidModel if the model is not
    intact.
    """
    interpreter = _interpret(model, preprocessing, allow_products, input_shapes, input_values)
    raise_if_any(_findings(interpreter.report), UnsupportedModel)
    graph = interpreter.outputs.graph()
    axes = interpreter.outputs.batch_axes(graph)
    assumed = (*interpreter.report.assumed, *interpreter.scope.assumed)
    folded = interpreter.scope.folded_products
    known = {*interpreter.model.arrays, *(value.name for value in graph.inputs)}
    unread = (value.name for value in interpreter.model.graph.input if value.name not in known)
    return Imported(graph, tuple(interpreter.report), axes, assumed, folded, tuple(unread))


def check_model(
    model: Source,
    preprocessing: Preprocessing | None = None,
    allow_products: bool = False,
    input_shapes: Shapes | None = None,
    input_values: Mapping[str, float] | None = None,
) -> tuple[NodeOutcome, ...]:
    """What becomes of every node, and what of the model itself is refused.

    Raises InvalidModel if the model is not intact, but never for what is not supported.
    """
    given = model, preprocessing, allow_products, input_shapes, input_values
    return tuple(_interpret(*given).report)


def _interpret(
    source: Source,
    preprocessing: Preprocessing | None,
    allow_products: bool,
    input_shapes: Shapes | None,
    input_values: Mapping[str, float] | None,
) -> ModelInterpreter:
    """The model, its inputs read in the way that least of it is refused for."""
    best: ModelInterpreter | None = None
    failed: InvalidModel | None = None
    ways, attempt, axes, values = 1, 0, stated_axes(input_shapes or {}), input_values or {}
    stated = {name: given for name, given in axes.items() if name not in values}
    while attempt < ways and (best is None or best.report.refusals):
        shapes = InputShapes(stated, attempt)
        try:
            model = with_values(read_model(source), values, axes)
            interpreter = ModelInterpreter(
                model, preprocessing or Preprocessing(), allow_products, shapes
            )
            error = _run(interpreter)
        except RecursionError as caught:
            raise InvalidModel("the model is nested too deeply to be read") from caught
        except MemoryError as caught:
            raise InvalidModel("the model needs more memory than there is") from caught
        failed = failed or error
        refused = len(interpreter.report.refusals)
        if error is None and (best is None or refused < len(best.report.refusals)):
            best = interpreter
        ways, attempt = interpreter.ways, attempt + 1
    if failed is not None and (best is None or _refuses(best, failed)):
        raise failed
    assert best is not None
    return best


def _refuses(interpreter: ModelInterpreter, failed: InvalidModel) -> bool:
    """Whether a reading refuses what another found to be invalid, which says more."""
    invalid = {name for finding in failed.diagnostics for name in finding.nodes}
    return any(one.name in invalid for one in interpreter.report.refusals)


def _run(interpreter: ModelInterpreter) -> InvalidModel | None:
    try:
        interpreter.run()
    except InvalidModel as error:
        return error
    return None


def _findings(report: Iterable[NodeOutcome]) -> list[Diagnostic]:
    """One finding for every operator, reason and remedy."""
    groups: dict[tuple[str, str | None, str | None], list[NodeOutcome]] = {}
    for outcome in report:
        if outcome.kind == "refused":
            groups.setdefault((outcome.op_type, outcome.reason, outcome.help), []).append(outcome)
    return [_finding(group) for group in groups.values()]


def _finding(group: list[NodeOutcome]) -> Diagnostic:
    first = group[0]
    if not first.is_node:
        return Diagnostic(first.reason or "", (), first.help)
    count = f" ({len(group)} nodes)" if len(group) > 1 else ""
    return Diagnostic(f"{first.reason}{count}", tuple(f.name for f in group), first.help)
