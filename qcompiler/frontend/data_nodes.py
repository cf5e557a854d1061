"""Nodes that read what depends on the data: they become operations of the graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from qcompiler.frontend.importers.composites.softmax_parts import as_one_node
from qcompiler.frontend.importers.elementwise.casts import CASTS
from qcompiler.frontend.importers.table import ENCODERS, READS_COUNTS, TAKES_INTEGERS, imported
from qcompiler.frontend.importers.table_of_host import (
    follows_host,
    is_length,
    looks_up,
    of_one,
    on_host,
)
from qcompiler.frontend.importers.table_of_views import VIEWS
from qcompiler.frontend.importers.table_of_whole_numbers import (
    computes_whole_numbers,
    gives_conditions,
)
from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.in_front import fed, is_given, note_moved
from qcompiler.frontend.model.node_context import NodeContext, attributes_of
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.frontend.model.refusals import CUT_BEFORE_INTEGERS
from qcompiler.frontend.model.scope import AbstractValue
from qcompiler.ir import Tensor, Value

from .host_twins import note_twins, with_twins
from .host_values import HostValues
from .interpreter_state import InterpreterState
from .model_graph import Entry
from .node_report import NOT_CHECKED
from .stand_ins import StandIns

_NORMALIZER = "ai.onnx.ml.Normalizer"
_GIVES_REAL = CASTS | {_NORMALIZER}  # views whose results need not be of the type they read
_CAST = "cast them to floating point first, and compute with real numbers"
_REAL_OUTPUT = "end the model before this node: its result in real numbers is that of its input"
_LOOKED_UP = "looked up in a table in front of the network"
_COMPUTED = "whole numbers, which the host computes in front of the network"
_ON_OUTPUTS = (
    'it is only supported on the decoded outputs: end the model at this node, or at "{}", which it '
    "reads, and do the rest on the host; or, in front of the network, apply it to the inputs, and "
    "export the rest"
)
_READS_AT = frozenset({"Gather", "GatherElements", "GatherND"})


class DataNodes:
    """Imports nodes, and notes which of their results the host computes."""

    def __init__(
        self, interpreter: InterpreterState, host_values: HostValues, stand_ins: StandIns
    ) -> None:
        self.interpreter = interpreter
        self.host_values = host_values
        self.stand_ins = stand_ins

    def __call__(self, entry: Entry, inputs: tuple[AbstractValue, ...]) -> dict[str, AbstractValue]:
        """The results of a node, by their names in the model."""
        outputs, report = tuple(entry.node.output), self.interpreter.report
        if not any(outputs):
            raise InvalidNode("has no output")
        node = as_one_node(self._node(entry, inputs))
        if (moved := of_one(node)) is not None:
            report.note(entry, "removed", "sorts one element")
            return {name: moved[at] for at, name in enumerate(outputs) if name}
        sources = self.host_values.sources(node.inputs)
        only_index = entry.op_type == "TopK" and outputs[0] not in self.interpreter.used
        at = _positions(node)
        if at is not None and self.stand_ins.doubt([at]).any:  # what makes them is refused
            report.note(entry, "compiled", NOT_CHECKED)
            return {}
        moves = follows_host(node) and (at is None or is_given(node.scope, at))
        if sources and not moves and not only_index:
            inside = self.host_values.in_spikes(node.inputs)
            if inside is None:
                self._refuse_inside(sources)
                report.note(entry, "compiled", NOT_CHECKED)
                return {}
            for source in self.host_values.lowered:
                report.replace(source, "compiled")
            node, sources = replace(node, inputs=inside), []
        twin = with_twins(node)
        if looks_up(node) or (computes_whole_numbers(twin) and not gives_conditions(node)):
            node = twin
        if computes_whole_numbers(node):
            results = imported(entry.op_type, node)
            note_moved(self.interpreter.scope, results)
            self.interpreter.report.note(entry, "host", _COMPUTED)
        else:
            read = self.fed(node)
            results = self._results(read, outputs)
            self._note(entry, read, results, sources)
            note_twins(node, results)
        return {name: value for name, value in zip(outputs, results, strict=False) if name}

    def _node(self, entry: Entry, inputs: tuple[AbstractValue, ...]) -> NodeContext:
        interpreter = self.interpreter
        names = tuple(name and name + interpreter.suffix for name in entry.node.output)
        given = interpreter.scope, entry.name, entry.op_type, interpreter.opset
        return NodeContext(*given, inputs, names, attributes_of(entry.node))

    def fed(self, node: NodeContext) -> NodeContext:
        """The node with what the host computes as the network reads it, unless it moves numbers."""
        if looks_up(node) or (node.op_type in VIEWS and _only_moves(node)):
            return node
        scope = self.interpreter.scope
        inputs = (
            fed(scope, item) if isinstance(item, Value) and not is_length(node, at) else item
            for at, item in enumerate(node.inputs)
        )
        return replace(node, inputs=tuple(inputs))

    def _results(
        self, node: NodeContext, outputs: tuple[str, ...]
    ) -> tuple[Value | KnownArray, ...]:
        """What the importer makes of a node; Refused for integers that it cannot take or give."""
        op_type, scope = node.op_type, self.interpreter.scope
        ends = {output.name for output in self.interpreter.model.graph.output} & {*outputs}
        if op_type == "DynamicQuantizeLinear" and ends:
            raise Refused(f"{op_type} at an output is not supported", _REAL_OUTPUT)
        kinds = self._kinds(op_type, node.inputs)
        results = imported(op_type, node)
        if op_type in CASTS and ends and self._truncated(results):
            reason = f"{op_type} to integers is not supported at an output"
            raise Refused(reason, CUT_BEFORE_INTEGERS)
        if kinds and op_type in VIEWS and op_type not in _GIVES_REAL and not looks_up(node):
            scope.kinds |= {value.name: kinds[0] for value in results}
            if self._truncated(node.inputs):
                scope.truncated |= {value.name for value in results}
        if any(name in self.interpreter.used for name in outputs[len(results) :] if name):
            raise Refused(f"{op_type} with a second output is not supported")
        return results

    def _note(
        self,
        entry: Entry,
        node: NodeContext,
        results: tuple[Value | KnownArray, ...],
        sources: list[Entry],
    ) -> None:
        """Note what becomes of a node, and which results the host computes."""
        outputs, by_host = tuple(entry.node.output), on_host(node)
        hosted = [v for v in results if by_host or sources or _is_index(v)]
        self.host_values.note(hosted, entry if by_host or not sources else sources[0])
        removed = all(any(value is item for item in node.inputs) for value in results)
        used = self.interpreter.used
        kept = [value for n, value in zip(outputs, results, strict=False) if n in used]
        ends_there = by_host or (not sources and all(value in hosted for value in kept))
        looked_up = looks_up(node)
        kind = "host" if ends_there or looked_up else "removed" if removed else "compiled"
        kind = "constant" if kept and all(isinstance(v, KnownArray) for v in kept) else kind
        doubt = kind == "compiled" and self.stand_ins.doubt(node.inputs).any
        text = _LOOKED_UP if looked_up else None
        self.interpreter.report.note(entry, kind, NOT_CHECKED if doubt else text)

    def _kinds(self, op_type: str, inputs: Sequence[AbstractValue]) -> list[int]:
        """The types of operands that are integers; Refused if the operator computes with them."""
        held = self.interpreter.scope.kinds
        computed = inputs[:1] if op_type in READS_COUNTS else inputs
        values = [item for item in computed if isinstance(item, Value)]
        kinds = [held[value.name] for value in values if value.name in held]
        if kinds and op_type not in TAKES_INTEGERS and op_type not in VIEWS:
            raise Refused(f"{op_type} of integers that depend on the data is not supported", _CAST)
        casts = op_type in _GIVES_REAL or op_type not in VIEWS
        if casts and op_type not in ENCODERS and self._truncated(inputs):
            reason = f"{op_type} of real numbers cast to integers is not supported"
            raise Refused(reason, CUT_BEFORE_INTEGERS)
        return kinds

    def _truncated(self, inputs: Sequence[AbstractValue]) -> bool:
        values = (item for item in inputs if isinstance(item, Value))
        return any(value.name in self.interpreter.scope.truncated for value in values)

    def _refuse_inside(self, sources: list[Entry]) -> None:
        for source in sources:
            reason = f"{source.op_type} inside the network is not supported"
            help_ = _ON_OUTPUTS.format(source.node.input[0])
            self.interpreter.report.note(source, "refused", reason, help_)


def _only_moves(node: NodeContext) -> bool:
    """Whether a node makes views of given values alone: no padding, and nothing of the network."""
    values = [item for item in node.inputs if isinstance(item, Value)]
    joined = node.op_type == "Concat" and len(values) < len(node.inputs)
    pads = joined or node.op_type in ("CenterCropPad", _NORMALIZER)
    return not pads and all(is_given(node.scope, value) for value in values)


def _positions(node: NodeContext) -> Value | None:
    """The positions that a node reads at, where they depend on the data."""
    at = node.item(1) if node.op_type in _READS_AT else None
    return at if isinstance(at, Value) else None


def _is_index(item: Value | KnownArray) -> bool:
    type_ = item.type if isinstance(item, Value) else None
    return isinstance(type_, Tensor) and type_.dtype == "i64"
