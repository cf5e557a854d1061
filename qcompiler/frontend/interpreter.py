"""The frontend's interpreter: builds the graph node by node and records each node's outcome."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Sequence
from typing import Any

import onnx

from qcompiler.frontend.importers.constants import CONSTANT_IMPORTERS, gives_constant
from qcompiler.frontend.importers.table import IMPORTERS, UNROLLED, imported
from qcompiler.frontend.model.attributes import check_attributes
from qcompiler.frontend.model.constant_folding import PROBES, KnownArray, folds
from qcompiler.frontend.model.in_front import note_moved
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, Refused, RefusedProduct, first_line
from qcompiler.frontend.model.onnx_file import Model
from qcompiler.frontend.model.operands import missing_operand
from qcompiler.frontend.model.refusals import DATA_PRODUCTS, MATRIX_PRODUCTS, refusal
from qcompiler.frontend.model.scope import AbstractValue, Scope, Unknown, depends_on_data
from qcompiler.ir import Builder, Diagnostic, InvalidGraph, InvalidModel, Value

from .constant_nodes import ConstantNodes
from .data_nodes import DataNodes
from .host_values import HostValues
from .model_graph import Entry, entries, live_nodes, names_read
from .model_inputs import InputShapes, declare_inputs, opset_of
from .model_outputs import ModelOutputs
from .node_report import NOT_CHECKED, NodeReport
from .preprocessing import Preprocessing
from .stand_ins import StandIns
from .unroll import Unroller

_VIEW_OPSET = 17  # the opset whose views are written in place of parts of others
_ERRORS = (ArithmeticError, AttributeError, IndexError, KeyError, TypeError, ValueError)


class ModelInterpreter:
    """Imports one model."""

    def __init__(
        self,
        model: Model,
        preprocessing: Preprocessing,
        allow_products: bool,
        shapes: InputShapes | None,
    ) -> None:
        self.model = model
        self.shapes = shapes or InputShapes()
        self.ways = 1  # in which the shapes of the inputs may be read
        self.preprocessing = preprocessing
        self.scope = Scope(Builder(model.graph.name or "main"), PROBES, allow_products)
        # Those of a body are in front of its outer ones.
        self.items: ChainMap[str, AbstractValue] = ChainMap()
        self.suffix = ""  # tells the values of the steps of a loop apart
        self.host_values = HostValues(self.scope)
        self.used: set[str] = set()
        self.report = NodeReport()
        self.stand_ins = StandIns(self.scope, model.graph)
        self.constants = ConstantNodes(self)
        self.data_nodes = DataNodes(self, self.host_values, self.stand_ins)
        self.unroll = Unroller(self)

    def run(self) -> None:
        """Import all nodes; InvalidModel if one of them is not valid."""
        nodes = entries(self.model.graph)
        order = live_nodes(self.model, nodes)
        self.opset = opset_of(self.model, self.report)
        self.used = {name for entry in order for name in names_read(entry.node)}
        self.used |= {output.name for output in self.model.graph.output}
        given = self.model, self.shapes, self.preprocessing, self.scope, self.report
        items, self.ways = declare_inputs(*given, self.used)
        self.items |= items
        self.items |= self.stand_ins.of_inputs(self.model.graph.input, self.items)
        alive = {entry.key for entry in order}
        for entry in nodes:
            if entry.key not in alive:
                self.report.note(entry, "removed", "no output depends on it")
        for entry in order:
            self.visit(entry)
        self.outputs.check(self.report, self.stand_ins)

    @property
    def outputs(self) -> ModelOutputs:
        """What the model returns."""
        names = tuple(output.name for output in self.model.graph.output)
        return ModelOutputs(names, self.items, self.scope)

    def visit(self, entry: Entry) -> list[AbstractValue]:
        """Import one node; stand-ins take the place of its results if it is refused."""
        inputs = tuple(self.items[name] if name else None for name in entry.node.input)
        doubt = self.stand_ins.doubt(inputs)
        try:
            results = self._results(entry, inputs)
            self.stand_ins.mark(results.values(), doubt)
        except Refused as refused:
            self._refuse(entry, inputs, refused)
            results = {}
        except MemoryError as error:
            raise self._broken(entry, "needs more memory than there is") from error
        except (InvalidGraph, InvalidNode, *_ERRORS) as error:
            if not (doubt.any or self.report.refused_in(entry)):
                raise self._broken(entry, _what(error)) from error
            self.report.note(entry, "compiled", NOT_CHECKED)
            results = {}
        names = [name for name in entry.node.output if name]
        if any(name not in results for name in names):
            data = any(map(depends_on_data, inputs)) or entry.op_type in UNROLLED
            data = data and not gives_constant(entry.op_type, inputs)
            made = self.stand_ins.of_results(entry.node, self.opset, inputs, data)
            results = {**made, **results}
        self.items.update((name, results[name]) for name in names)
        return [self.items[name] for name in names]

    def _refuse(self, entry: Entry, inputs: tuple[AbstractValue, ...], refused: Refused) -> None:
        """Refuse a node, unless that may be for the sizes that are assumed of its operands."""
        reason, help_ = refused.reason, refused.help
        if self.stand_ins.doubt(inputs).sizes and entry.op_type in IMPORTERS:
            if not isinstance(refused, RefusedProduct):
                self.report.note(entry, "compiled", NOT_CHECKED)
                return
            reason, help_ = DATA_PRODUCTS.get(entry.op_type, (reason, help_))
        self.report.note(entry, "refused", reason, help_)

    def _broken(self, entry: Entry, what: str) -> InvalidModel:
        message = f'{self.model.file}: node "{entry.name}": {entry.op_type} {what}'
        return InvalidModel(Diagnostic(message, (entry.name,)))

    def _results(self, entry: Entry, inputs: tuple[AbstractValue, ...]) -> dict[str, AbstractValue]:
        op_type = entry.op_type
        check_attributes(entry.node, self.opset)
        data = sum(map(depends_on_data, inputs))
        supported = {*IMPORTERS, *CONSTANT_IMPORTERS, *UNROLLED}
        if op_type not in supported and (data or not folds(op_type)):
            raise Refused(*refusal(op_type))
        if (missing := missing_operand(entry.node, self.opset)) is not None:
            raise InvalidNode(f"has no input {missing}")
        if any(isinstance(item, Unknown) for item in inputs):
            factors = sum(map(depends_on_data, inputs[:2] if op_type == "Gemm" else inputs))
            if factors > 1 and op_type in MATRIX_PRODUCTS and not self.scope.allow_products:
                raise RefusedProduct(*DATA_PRODUCTS[op_type])
            self.report.note(entry, "compiled" if data else "constant", NOT_CHECKED)
            return {}
        if gives_constant(op_type, inputs):
            self.report.note(entry, "constant")
            return {
                entry.node.output[0]: CONSTANT_IMPORTERS[op_type](
                    self.model, entry.node, inputs, self.scope
                )
            }
        if op_type in UNROLLED:
            return self.unroll(entry, inputs)
        if not any(isinstance(item, Value) for item in inputs):
            known = [item for item in inputs if not isinstance(item, Value | Unknown)]
            return self.constants(entry, known)
        return self.data_nodes(entry, inputs)

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
            return Unknown(any(map(depends_on_data, inputs)))
        if not any(isinstance(item, Value) for item in inputs):
            names = [f"operand{index}" for index in range(len(inputs))]
            node = onnx.helper.make_node(op_type, names, [name], **attributes)
            known = [item if isinstance(item, KnownArray) else None for item in inputs]
            return self.constants.evaluated(node, _VIEW_OPSET, known)[0]
        given = (self.scope, entry.name, entry.op_type, _VIEW_OPSET)
        context = NodeContext(*given, tuple(inputs), (name,), attributes)
        (found,) = imported(op_type, self.data_nodes.fed(context))
        note_moved(self.scope, [found])
        if sources := self.host_values.sources(inputs):
            self.host_values.note([found], sources[0])
        return found


def _what(error: Exception) -> str:
    """What is wrong with a node, without its operator's name."""
    if isinstance(error, InvalidGraph):
        return error.diagnostics[0].message.partition(" ")[2]
    return first_line(error)
