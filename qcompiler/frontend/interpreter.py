"""The frontend's interpreter: builds the graph node by node and records each node's outcome."""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import onnx

from qcompiler.frontend.importers.constants import CONSTANT_IMPORTERS
from qcompiler.frontend.importers.table import (
    AFTER_HOST,
    CONSTANT_QUANTS,
    ELEMENTWISE,
    HOST,
    IMPORTERS,
    UNROLLED,
    importer,
)
from qcompiler.frontend.model.constant_folding import (
    PROBES,
    KnownArray,
    TooLarge,
    compute,
    folds,
)
from qcompiler.frontend.model.node_context import (
    AbstractValue,
    InvalidNode,
    NodeContext,
    Refused,
    Scope,
    Unknown,
    attributes_of,
    fixes_batch,
)
from qcompiler.frontend.model.onnx_file import Model
from qcompiler.frontend.model.refusals import DATA_PRODUCTS, FOLD_CONSTANTS, refusal
from qcompiler.ir import Builder, Diagnostic, Graph, InvalidGraph, InvalidModel, Value

from .model_graph import Entry, entries, live_nodes, names_read
from .model_inputs import declare_inputs, opset_of
from .node_report import NodeReport
from .preprocessing import Preprocessing
from .unbatched import aligned
from .unroll import Unroller

_VIEW_OPSET = 17  # the opset whose views are written in place of parts of others
_ERRORS = (ArithmeticError, AttributeError, IndexError, KeyError, TypeError, ValueError)
_MARKS = re.compile(r"\[\w+Error\] |\(op_type:[^)]*\):? ?|Inference error\(s\): ")
_NOT_CHECKED = "not fully checked: its input comes from a refused node"


class ModelInterpreter:
    """Imports one model."""

    def __init__(
        self, model: Model, preprocessing: Preprocessing, allow_products: bool = False
    ) -> None:
        self.model = model
        self.preprocessing = preprocessing
        self.scope = Scope(Builder(model.graph.name or "main"), PROBES, allow_products)
        self.items: ChainMap[str, AbstractValue] = (
            ChainMap()
        )  # that of a body is in front of its outer ones
        self.suffix = ""  # tells the values of the steps of a loop apart
        self.host_values: dict[str, Entry] = {}  # values behind a node that the host does
        self.used: set[str] = set()
        self.report = NodeReport()
        self.unroll = Unroller(self)

    def run(self) -> None:
        """Import all nodes; InvalidModel if one of them is not valid."""
        nodes = entries(self.model.graph)
        order = live_nodes(self.model, nodes)
        self.opset = opset_of(self.model, self.report)
        self.items |= declare_inputs(self.model, self.preprocessing, self.scope, self.report)
        self.used = {name for entry in order for name in names_read(entry.node)}
        self.used |= {output.name for output in self.model.graph.output}
        alive = {entry.key for entry in order}
        for entry in nodes:
            if entry.key not in alive:
                self.report.note(entry, "removed", "no output depends on it")
        for entry in order:
            self.visit(entry)
        self._outputs()

    def _outputs(self) -> None:
        """Refuse outputs that are no value of the graph, one sample each."""
        for name in (output.name for output in self.model.graph.output):
            item = self.items.get(name)
            if isinstance(item, KnownArray):
                self.report.refuse(name, "(output)", f'output "{name}" is a constant')
            if isinstance(item, Unknown) and not self.report.refusals:
                self.report.refuse(name, "(output)", f'output "{name}" is not computed')
            if isinstance(item, Value) and self.scope.batch_axis.get(item.name):
                reason = f'the batch axis of output "{name}" is not axis 0'
                self.report.refuse(name, "(output)", reason)

    def graph(self) -> Graph:
        """The graph, if nothing was refused."""
        names = [output.name for output in self.model.graph.output]
        values = [item for item in map(self.items.get, names) if isinstance(item, Value)]
        return self.scope.builder.build(values, names)

    def visit(self, entry: Entry) -> list[AbstractValue]:
        """Import one node; its results are unknown if it is refused."""
        inputs = tuple(self.items[name] if name else None for name in entry.node.input)
        try:
            results = self._results(entry, inputs)
        except Refused as refused:
            self.report.note(entry, "refused", refused.reason, refused.help)
            results = {}
        except InvalidGraph as error:
            _, _, what = error.diagnostics[0].message.partition(" ")
            raise self._broken(entry, what) from error
        except (InvalidNode, *_ERRORS) as error:
            raise self._broken(entry, _first_line(error)) from error
        data = any(map(_depends, inputs)) or entry.op_type in UNROLLED
        unknown = Unknown(data and entry.op_type not in CONSTANT_IMPORTERS)
        names = [name for name in entry.node.output if name]
        for name in names:
            self.items[name] = results.get(name, unknown)
        return [self.items[name] for name in names]

    def _broken(self, entry: Entry, what: str) -> InvalidModel:
        message = f'{self.model.file}: node "{entry.name}": {entry.op_type} {what}'
        return InvalidModel(Diagnostic(message, (entry.name,)))

    def _results(self, entry: Entry, inputs: tuple[AbstractValue, ...]) -> dict[str, AbstractValue]:
        op_type = entry.op_type
        data = sum(map(_depends, inputs))
        supported = {*IMPORTERS, *CONSTANT_IMPORTERS, *UNROLLED}
        if op_type not in supported and (data or not folds(op_type)):
            raise Refused(*refusal(op_type))
        if self.scope.unbatched and (data or op_type in UNROLLED):
            inputs = aligned(op_type, inputs, ELEMENTWISE)
        refuse_products = op_type not in ("Div", "Mul") or any(
            isinstance(item, Unknown) for item in inputs
        )
        if data > 1 and op_type in DATA_PRODUCTS and refuse_products:
            raise Refused(*DATA_PRODUCTS[op_type])
        if any(isinstance(item, Unknown) for item in inputs):
            self.report.note(entry, "compiled" if data else "constant", _NOT_CHECKED)
            return {}
        if op_type in CONSTANT_IMPORTERS:
            self.report.note(entry, "constant")
            return {
                entry.node.output[0]: CONSTANT_IMPORTERS[op_type](
                    self.model, entry.node, inputs, self.scope
                )
            }
        if op_type in UNROLLED:
            return self.unroll(entry, inputs)
        if not any(isinstance(item, Value) for item in inputs):
            return self._computed(entry, [i for i in inputs if not isinstance(i, Value | Unknown)])
        return self._imported(entry, inputs)

    def _computed(self, entry: Entry, inputs: list[KnownArray | None]) -> dict[str, AbstractValue]:
        """A node that reads only known values."""
        op_type = entry.op_type
        if op_type == "Identity" and inputs and inputs[0]:
            self.report.note(entry, "constant")
            return {entry.node.output[0]: inputs[0]}
        if op_type in CONSTANT_QUANTS:
            self.report.note(entry, "constant")
            return self._constant_quant(entry, inputs)
        if not folds(op_type):
            raise Refused(f"{op_type} applied to constants is not supported", FOLD_CONSTANTS)
        found = self._evaluated(entry.node, self.opset, inputs)
        self.report.note(entry, "constant")
        return {known.name: replace(known, name=known.name + self.suffix) for known in found}

    def _constant_quant(
        self, entry: Entry, inputs: list[KnownArray | None]
    ) -> dict[str, AbstractValue]:
        """A constant that is rounded to a code."""
        names = tuple(entry.node.output)
        given = (self.scope, entry.name, entry.op_type, self.opset, tuple(inputs), names)
        node = NodeContext(*given, attributes_of(entry.node))
        return dict(zip(names, self._results_of(node, entry.op_type), strict=True))

    def _evaluated(
        self, node: onnx.NodeProto, opset: int, inputs: Sequence[KnownArray | None]
    ) -> tuple[KnownArray, ...]:
        try:
            return compute(node, opset, inputs, len(self.scope.probes))
        except TooLarge as error:
            raise Refused(f"{node.op_type} would compute {error}", FOLD_CONSTANTS) from error
        except Exception as error:  # whatever onnx finds wrong with the node
            if any(known is not None and known.fixed is None for known in inputs):
                raise fixes_batch(node.op_type) from error
            raise InvalidNode(f"cannot be computed ({_first_line(error)})") from error

    def _imported(
        self, entry: Entry, inputs: tuple[AbstractValue, ...]
    ) -> dict[str, AbstractValue]:
        """A node that reads what depends on the data."""
        op_type, outputs = entry.op_type, tuple(entry.node.output)
        if not any(outputs):
            raise InvalidNode("has no output")
        sources = self._sources(inputs)
        if sources and op_type not in AFTER_HOST:
            self._refuse_inside(sources)
            self.report.note(entry, "compiled", _NOT_CHECKED)
            return {}
        names = tuple(name and name + self.suffix for name in outputs)
        attributes = attributes_of(entry.node)
        node = NodeContext(self.scope, entry.name, op_type, self.opset, inputs, names, attributes)
        results = self._results_of(node, op_type)
        if any(name in self.used for name in outputs[len(results) :] if name):
            raise Refused(f"{op_type} with a second output is not supported")
        if op_type in HOST or sources:
            self.host_values |= {value.name: sources[0] if sources else entry for value in results}
        removed = all(any(value is item for item in inputs) for value in results)
        kind = "host" if op_type in HOST else "removed" if removed else "compiled"
        self.report.note(entry, kind)
        return {name: value for name, value in zip(outputs, results, strict=False) if name}

    def _results_of(self, node: NodeContext, op_type: str) -> tuple[Value | KnownArray, ...]:
        found = importer(op_type, node)(node)
        return found if isinstance(found, tuple) else (found,)

    def _sources(self, inputs: Sequence[AbstractValue]) -> list[Entry]:
        """What the host does on the way to these values."""
        values = [item for item in inputs if isinstance(item, Value)]
        return [self.host_values[value.name] for value in values if value.name in self.host_values]

    def derived(
        self,
        entry: Entry,
        op_type: str,
        inputs: Sequence[AbstractValue],
        name: str,
        **attributes: Any,
    ) -> AbstractValue:
        """The result of a view that a node stands for, as its newest opset has it."""
        name = f"{entry.name}.{name}{self.suffix}"
        if any(isinstance(item, Unknown) for item in inputs):
            return Unknown(any(map(_depends, inputs)))
        if not any(isinstance(item, Value) for item in inputs):
            names = [f"operand{index}" for index in range(len(inputs))]
            node = onnx.helper.make_node(op_type, names, [name], **attributes)
            known = [item if isinstance(item, KnownArray) else None for item in inputs]
            return self._evaluated(node, _VIEW_OPSET, known)[0]
        given = (self.scope, entry.name, entry.op_type, _VIEW_OPSET)
        (found,) = self._results_of(
            NodeContext(*given, tuple(inputs), (name,), attributes), op_type
        )
        if sources := self._sources(inputs):
            self.host_values[found.name] = sources[0]
        return found

    def _refuse_inside(self, sources: list[Entry]) -> None:
        for source in sources:
            reason = f"{source.op_type} inside the network is not supported"
            help_ = "it is only supported on the decoded outputs: cut the model after this node"
            self.report.note(source, "refused", reason, help_)


def _depends(item: AbstractValue) -> bool:
    """Whether a value depends on the data."""
    return isinstance(item, Value) or (isinstance(item, Unknown) and item.data)


def _first_line(error: Exception) -> str:
    """The first line of a message, without onnx's marks in front of it."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return _MARKS.sub("", line)
