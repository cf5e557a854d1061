"""The frontend's interpreter: builds the graph node by node and records each node's outcome."""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import onnx

from qcompiler.frontend.importers.constants import CONSTANT_IMPORTERS, filled, gives_constant
from qcompiler.frontend.importers.elementwise.masks import nodes_of_masks
from qcompiler.frontend.importers.table import (
    ENCODERS,
    IMPORTERS,
    TAKES_INTEGERS,
    UNROLLED,
    imported,
)
from qcompiler.frontend.importers.table_of_host import follows_host, looks_up, on_host
from qcompiler.frontend.importers.table_of_quantised import CONSTANT_QUANTS
from qcompiler.frontend.importers.table_of_views import CASTS, VIEWS
from qcompiler.frontend.model.constant_folding import (
    PROBES,
    FoldingBudget,
    KnownArray,
    TooLarge,
    compute,
    folds,
)
from qcompiler.frontend.model.flags import check_flags
from qcompiler.frontend.model.node_context import NodeContext, attributes_of
from qcompiler.frontend.model.node_errors import InvalidNode, Refused, RefusedProduct, fixes_batch
from qcompiler.frontend.model.onnx_file import Model
from qcompiler.frontend.model.placement import FIRST, Placement
from qcompiler.frontend.model.refusals import (
    DATA_PRODUCTS,
    FOLD_CONSTANTS,
    MATRIX_PRODUCTS,
    refusal,
)
from qcompiler.frontend.model.scope import AbstractValue, Scope, Unknown
from qcompiler.ir import (
    Builder,
    Diagnostic,
    Graph,
    InvalidGraph,
    InvalidModel,
    Tensor,
    Value,
    drop_dead,
)
from qcompiler.ir.view import Reshape

from .host_values import HostValues
from .model_graph import Entry, entries, live_nodes, names_read
from .model_inputs import InputShapes, declare_inputs, opset_of
from .node_report import NodeReport
from .preprocessing import Preprocessing
from .stand_ins import StandIns
from .unroll import Unroller

_VIEW_OPSET = 17  # the opset whose views are written in place of parts of others
_ERRORS = (ArithmeticError, AttributeError, IndexError, KeyError, TypeError, ValueError)
_MARKS = re.compile(r"\[\w+Error\] |\(op_type:[^)]*\):? ?|Inference error\(s\): ")
_CUT = "end the model before the cast or comparison, and compute it on the decoded outputs"
_CAST = "cast them to floating point first, and compute with real numbers"
_REAL_OUTPUT = "end the model before this node: its result in real numbers is that of its input"
_MASK = "a mask of minus infinity is only supported in front of Softmax"
_MASK_HELP = "use a number that the values reach, such as -10, or cut the model before this node"
_LOOKED_UP = "looked up in a table in front of the network"
_NOT_CHECKED = "not fully checked: its input comes from a refused node"


class ModelInterpreter:
    """Imports one model."""

    def __init__(
        self,
        model: Model,
        preprocessing: Preprocessing,
        allow_products: bool = False,
        shapes: InputShapes | None = None,
    ) -> None:
        self.model = model
        self.shapes = shapes or InputShapes()
        self.ways = 1  # in which the shapes of the inputs may be read
        self.preprocessing = preprocessing
        self.scope = Scope(Builder(model.graph.name or "main"), PROBES, allow_products)
        self.items: ChainMap[str, AbstractValue] = (
            ChainMap()
        )  # that of a body is in front of its outer ones
        self.suffix = ""  # tells the values of the steps of a loop apart
        self.host_values = HostValues(self.scope)
        self.used: set[str] = set()
        self.budget = FoldingBudget(sum(array.nbytes for array in model.arrays.values()))
        self.report = NodeReport()
        self.stand_ins = StandIns(self.scope, model.graph)
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
        self._outputs()

    def _outputs(self) -> None:
        """Refuse outputs that are no value of the graph, one sample each; constants become one."""
        names = [output.name for output in self.model.graph.output]
        computed = [item for item in map(self.items.get, names) if isinstance(item, Value)]
        for name in names:
            item = self.items.get(name)
            if isinstance(item, KnownArray):
                try:
                    self.items[name] = filled(self.scope, name, item, computed)
                except Refused as refused:
                    self.report.refuse(name, "(output)", refused.reason, refused.help)
            if isinstance(item, Unknown) and not self.report.refusals:
                self.report.refuse(name, "(output)", f'output "{name}" is not computed')
            if not isinstance(item, Value) or self.stand_ins.doubt([item]).any:
                continue
            if item.name in self.scope.kinds:
                reason = f'output "{name}" holds integers or booleans, which are no spike times'
                self.report.refuse(name, "(output)", reason, _CUT)
            item = self.items[name] = self._batch_first(item)
            place = self.scope.placement(item)
            if place.joined_axes and place != Placement(0, inner=1):
                reason = f'the batch axis of output "{name}" is joined with others'
                help_ = "give it an axis of its own, or fix it at 1: --input-shape NAME=1,.."
                self.report.refuse(name, "(output)", reason, help_)

        if self.scope.masks and not self.report.refusals:
            for node in nodes_of_masks(self.graph()):
                self.report.refuse_named(node.origin[0], _MASK, _MASK_HELP)

    def _batch_first(self, value: Value) -> Value:
        """An output with its batch axis in front, if a batch of one lets an axis be called so."""
        (full, *_) = self.scope.full_shapes(value)
        if self.scope.placement(value) == FIRST or not self.scope.single or full[:1] != (1,):
            return value
        return self.scope.builder.add(Reshape(full[1:]), value, name=f"{value.name}.sample")

    def graph(self) -> Graph:
        """The graph, if nothing was refused; an input whose shape alone is read is left out."""
        names = [output.name for output in self.model.graph.output]
        values = [item for item in map(self.items.get, names) if isinstance(item, Value)]
        found = drop_dead(self.scope.builder.build(values, names))
        read = [v for v in found.inputs if found.users(v) or found.is_output(v)]
        return replace(found, inputs=tuple(read))

    def batch_axes(self, graph: Graph) -> dict[str, int | None]:
        """The batch axis of inputs and outputs that have it not first, by ONNX name."""
        named = {value.name: value for value in graph.inputs}
        outputs = (output.name for output in self.model.graph.output)
        named |= {name: i for name in outputs if isinstance(i := self.items[name], Value)}
        places = {name: self.scope.placement(value) for name, value in named.items()}
        return {name: place.at for name, place in places.items() if place.at != 0}

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
        except (InvalidGraph, InvalidNode, *_ERRORS) as error:
            if not (doubt.any or self.report.refused_in(entry)):
                raise self._broken(entry, _what(error)) from error
            self.report.note(entry, "compiled", _NOT_CHECKED)
            results = {}
        names = [name for name in entry.node.output if name]
        if any(name not in results for name in names):
            data = any(map(_depends, inputs)) or entry.op_type in UNROLLED
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
                self.report.note(entry, "compiled", _NOT_CHECKED)
                return
            reason, help_ = DATA_PRODUCTS.get(entry.op_type, (reason, help_))
        self.report.note(entry, "refused", reason, help_)

    def _broken(self, entry: Entry, what: str) -> InvalidModel:
        message = f'{self.model.file}: node "{entry.name}": {entry.op_type} {what}'
        return InvalidModel(Diagnostic(message, (entry.name,)))

    def _results(self, entry: Entry, inputs: tuple[AbstractValue, ...]) -> dict[str, AbstractValue]:
        op_type = entry.op_type
        check_flags(entry.node)
        data = sum(map(_depends, inputs))
        supported = {*IMPORTERS, *CONSTANT_IMPORTERS, *UNROLLED}
        if op_type not in supported and (data or not folds(op_type)):
            raise Refused(*refusal(op_type))
        if any(isinstance(item, Unknown) for item in inputs):
            if data > 1 and op_type in MATRIX_PRODUCTS and not self.scope.allow_products:
                raise RefusedProduct(*DATA_PRODUCTS[op_type])
            self.report.note(entry, "compiled" if data else "constant", _NOT_CHECKED)
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
            return compute(node, opset, inputs, len(self.scope.probes), self.budget)
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
        sources = self.host_values.sources(inputs)
        only_index = op_type == "TopK" and outputs[0] not in self.used
        names = tuple(name and name + self.suffix for name in outputs)
        attributes = attributes_of(entry.node)
        node = NodeContext(self.scope, entry.name, op_type, self.opset, inputs, names, attributes)
        if sources and not follows_host(node) and not only_index:
            inside = self.host_values.in_spikes(inputs)
            if inside is None:
                self._refuse_inside(sources)
                self.report.note(entry, "compiled", _NOT_CHECKED)
                return {}
            for source in self.host_values.lowered:
                self.report.replace(source, "compiled")
            inputs, sources = inside, []
            node = replace(node, inputs=inputs)
        ends = {output.name for output in self.model.graph.output}
        if op_type == "DynamicQuantizeLinear" and not ends.isdisjoint(outputs):
            raise Refused(f"{op_type} at an output is not supported", _REAL_OUTPUT)
        kinds = self._kinds(op_type, inputs)
        results = self._results_of(node, op_type)
        ends = {output.name for output in self.model.graph.output} & {*outputs}
        if op_type in CASTS and ends and self._truncated(results):
            raise Refused(f"{op_type} to integers is not supported at an output", _CUT)
        looked_up = looks_up(node)
        if kinds and op_type in VIEWS and op_type not in CASTS and not looked_up:
            self.scope.kinds |= {value.name: kinds[0] for value in results}
            if self._truncated(inputs):
                self.scope.truncated |= {value.name for value in results}
        if any(name in self.used for name in outputs[len(results) :] if name):
            raise Refused(f"{op_type} with a second output is not supported")
        by_host = on_host(node)
        hosted = [v for v in results if by_host or sources or _is_index(v)]
        self.host_values.note(hosted, entry if by_host or not sources else sources[0])
        removed = all(any(value is item for item in inputs) for value in results)
        kept = [value for n, value in zip(outputs, results, strict=False) if n in self.used]
        ends_there = by_host or (not sources and all(value in hosted for value in kept))
        kind = "host" if ends_there or looked_up else "removed" if removed else "compiled"
        doubt = kind == "compiled" and self.stand_ins.doubt(inputs).any
        text = _LOOKED_UP if looked_up else None
        self.report.note(entry, kind, _NOT_CHECKED if doubt else text)
        return {name: value for name, value in zip(outputs, results, strict=False) if name}

    def _kinds(self, op_type: str, inputs: Sequence[AbstractValue]) -> list[int]:
        """The types of operands that are integers; Refused if the operator computes with them."""
        values = [item for item in inputs if isinstance(item, Value)]
        kinds = [self.scope.kinds[v.name] for v in values if v.name in self.scope.kinds]
        if kinds and op_type not in TAKES_INTEGERS and op_type not in VIEWS:
            raise Refused(f"{op_type} of integers that depend on the data is not supported", _CAST)
        casts = op_type in CASTS or op_type not in VIEWS
        if casts and op_type not in ENCODERS and self._truncated(inputs):
            raise Refused(f"{op_type} of real numbers cast to integers is not supported", _CUT)
        return kinds

    def _truncated(self, inputs: Sequence[AbstractValue]) -> bool:
        values = (item for item in inputs if isinstance(item, Value))
        return any(value.name in self.scope.truncated for value in values)

    def _results_of(self, node: NodeContext, op_type: str) -> tuple[Value | KnownArray, ...]:
        found = imported(op_type, node)
        return found if isinstance(found, tuple) else (found,)

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
        if sources := self.host_values.sources(inputs):
            self.host_values.note([found], sources[0])
        return found

    def _refuse_inside(self, sources: list[Entry]) -> None:
        for source in sources:
            reason = f"{source.op_type} inside the network is not supported"
            help_ = "it is only supported on the decoded outputs: cut the model after this node"
            self.report.note(source, "refused", reason, help_)


def _depends(item: AbstractValue) -> bool:
    """Whether a value depends on the data."""
    return isinstance(item, Value) or (isinstance(item, Unknown) and item.data)


def _is_index(item: Value | KnownArray) -> bool:
    type_ = item.type if isinstance(item, Value) else None
    return isinstance(type_, Tensor) and type_.dtype == "i64"


def _what(error: Exception) -> str:
    """What is wrong with a node, without its operator's name."""
    if isinstance(error, InvalidGraph):
        return error.diagnostics[0].message.partition(" ")[2]
    return _first_line(error)


def _first_line(error: Exception) -> str:
    """The first line of a message, without onnx's marks in front of it."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return _MARKS.sub("", line)
