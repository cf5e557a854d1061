"""The walk over the nodes of a model that builds the graph and notes each node's fate."""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import onnx

from qcompiler.ir import (
    Builder,
    Diagnostic,
    Graph,
    InvalidGraph,
    InvalidModel,
    Tensor,
    Value,
)

from .fate import Fate
from .importers import ALIKE, HOST, IMPORTERS, UNROLLED, VIEWS, importer
from .importers_known import KNOWING
from .known import EVALUATED, LIMIT, PROBES, Known, TooLarge, compute
from .model_graph import Entry, entries, input_shape, needed, reads
from .onnx_file import Model
from .onnx_tensor import Array
from .preprocessing import Preprocessing
from .refusals import FOLD, TWO, refusal
from .step import Broken, Item, Refused, Scope, Step, Unknown, attributes_of, fixes_batch
from .unbatched import aligned, is_unbatched
from .unroll import Unroller

_OLDEST = 7
_VIEWS_OF = 17  # the opset whose views are written in place of parts of others
_WEIGHT = ("removed", "constant", "compiled", "host", "refused")
_ERRORS = (ArithmeticError, AttributeError, IndexError, KeyError, TypeError, ValueError)
_MARKS = re.compile(r"\[\w+Error\] |\(op_type:[^)]*\):? ?|Inference error\(s\): ")
_UNTOLD = "as far as can be told: it reads what a refused node gives"


class Walk:
    """Imports one model."""

    def __init__(
        self, model: Model, preprocessing: Preprocessing, allow_products: bool = False
    ) -> None:
        self.model = model
        self.preprocessing = preprocessing
        self.scope = Scope(Builder(model.graph.name or "main"), PROBES, allow_products)
        self.items: ChainMap[str, Item] = ChainMap()  # that of a body is in front of its outer ones
        self.suffix = ""  # tells the values of the steps of a loop apart
        self.hosted: dict[str, Entry] = {}  # values behind a node that the host does
        self.used: set[str] = set()
        self.about: list[Fate] = []
        self.nodes: dict[tuple[int, ...], Fate] = {}
        self.refused: set[tuple[int, ...]] = set()
        self.unroll = Unroller(self)

    @property
    def fates(self) -> list[Fate]:
        """What is refused of the model itself, then the fate of every node in its order."""
        return self.about + [self.nodes[index] for index in sorted(self.nodes)]

    def run(self) -> None:
        """Walk over all nodes; InvalidModel if one of them is not valid."""
        nodes = entries(self.model.graph)
        order = needed(self.model, nodes)
        self.opset = self._opset()
        self._inputs()
        self.used = {name for entry in order for name in reads(entry.node)}
        self.used |= {output.name for output in self.model.graph.output}
        alive = {entry.key for entry in order}
        for entry in nodes:
            if entry.key not in alive:
                self.note(entry, "removed", "no output needs it")
        for entry in order:
            self.visit(entry)
        for output in self.model.graph.output:
            if isinstance(self.items.get(output.name), Known):
                reason = f'output "{output.name}" is a constant'
                self.about.append(Fate(output.name, "(output)", "refused", reason))
            item = self.items.get(output.name)
            if isinstance(item, Unknown) and not any(f.kind == "refused" for f in self.fates):
                reason = f'output "{output.name}" is not computed'
                self.about.append(Fate(output.name, "(output)", "refused", reason))
            if isinstance(item, Value) and self.scope.batch_axis.get(item.name):
                reason = f'the batch axis of output "{output.name}" does not stand first'
                self.about.append(Fate(output.name, "(output)", "refused", reason))

    def graph(self) -> Graph:
        """The graph, if nothing was refused."""
        names = [output.name for output in self.model.graph.output]
        values = [item for item in map(self.items.get, names) if isinstance(item, Value)]
        return self.scope.builder.build(values, names)

    def note(
        self, entry: Entry, kind: str, reason: str | None = None, help_: str | None = None
    ) -> None:
        """What becomes of a node; in the steps of a loop what weighs most counts."""
        fate = Fate(entry.name, entry.op_type, kind, reason, help_)
        held = self.nodes.get(entry.key, fate)
        self.nodes[entry.key] = max(held, fate, key=lambda one: _WEIGHT.index(one.kind))
        if kind == "refused":
            self.refused.add(entry.key)

    def refused_in(self, entry: Entry) -> bool:
        """Whether something inside a node is refused."""
        length = len(entry.key)
        return any(key[:length] == entry.key for key in self.refused)

    def known(self, array: Array, name: str) -> Known:
        """A constant."""
        return Known((array,) * len(self.scope.probes), name)

    def _opset(self) -> int:
        newest = onnx.defs.onnx_opset_version()
        if (opset := self.model.opset) is None and self.foreign():
            return newest
        if opset is None:
            raise InvalidModel(f"{self.model.file}: the model does not say which opset it uses")
        if not _OLDEST <= opset <= newest:
            reason = f"the model uses opset {opset}; supported are {_OLDEST} to {newest}"
            help_ = "convert it with onnx.version_converter.convert_version, or export it again"
            self.about.append(Fate(self.model.file, "(model)", "refused", reason, help_))
        return min(max(opset, _OLDEST), newest)

    def foreign(self) -> bool:
        """Whether all nodes are of other domains, which are refused by name."""
        return bool(self.model.graph.node) and all(n.domain for n in self.model.graph.node)

    def _inputs(self) -> None:
        """Declare inputs, and what is known from the start."""
        found: dict[str, tuple[int | None, tuple[int, ...]]] = {}
        for value in self.model.graph.input:
            if value.name in self.model.arrays:
                continue
            try:
                found[value.name] = input_shape(value)
            except Refused as refused:
                self._refuse_input(value.name, refused)
        try:
            given = (value for value in self.model.graph.input if value.name in found)
            self.scope.unbatched = is_unbatched(given)
        except Refused as refused:
            self._refuse_input("", refused)
        batches = {batch for batch, _ in found.values() if batch is not None}
        if len(batches) > 1:
            self._refuse_input("", Refused(f"inputs have different batch sizes {sorted(batches)}"))
        elif batches:
            self.scope.probes = tuple(batches)
        for name, (_, shape) in found.items():
            self._input(name, shape, len(found) > 1)
        for name, array in self.model.arrays.items():
            self.items[name] = self.known(array, name)
        for sparse in self.model.graph.sparse_initializer:
            name = sparse.values.name
            self._refuse_input(name, Refused(f'sparse tensor "{name}" is not supported'))

    def _input(self, name: str, shape: tuple[int, ...], several: bool) -> None:
        try:
            if several and self.preprocessing.active:
                raise Refused("preprocessing is only supported for models with one input")
            raw = self.scope.builder.input(name, Tensor(shape))
            self.items[name] = self.preprocessing.compile(self.scope, raw)
        except Refused as refused:
            self._refuse_input(name, refused)

    def _refuse_input(self, name: str, refused: Refused) -> None:
        self.items[name] = Unknown(data=True)
        self.about.append(Fate(name, "(input)", "refused", refused.reason, refused.help))

    def visit(self, entry: Entry) -> list[Item]:
        """Import one node; its results are unknown if it is refused."""
        inputs = tuple(self.items[name] if name else None for name in entry.node.input)
        try:
            results = self._results(entry, inputs)
        except Refused as refused:
            self.note(entry, "refused", refused.reason, refused.help)
            results = {}
        except InvalidGraph as error:
            _, _, what = error.diagnostics[0].message.partition(" ")
            raise self._broken(entry, what) from error
        except (Broken, *_ERRORS) as error:
            raise self._broken(entry, _line(error)) from error
        data = any(map(_depends, inputs)) or entry.op_type in UNROLLED
        unknown = Unknown(data and entry.op_type not in KNOWING)
        names = [name for name in entry.node.output if name]
        for name in names:
            self.items[name] = results.get(name, unknown)
        return [self.items[name] for name in names]

    def _broken(self, entry: Entry, what: str) -> InvalidModel:
        message = f'{self.model.file}: node "{entry.name}": {entry.op_type} {what}'
        return InvalidModel(Diagnostic(message, (entry.name,)))

    def _results(self, entry: Entry, inputs: tuple[Item, ...]) -> dict[str, Item]:
        op_type = entry.op_type
        data = sum(map(_depends, inputs))
        supported = {*IMPORTERS, *KNOWING, *UNROLLED, *(() if data else EVALUATED)}
        if op_type not in supported:
            raise Refused(*refusal(op_type))
        if self.scope.unbatched and (data or op_type in UNROLLED):
            inputs = aligned(op_type, inputs, ALIKE)
        told = op_type not in ("Div", "Mul") or any(isinstance(item, Unknown) for item in inputs)
        if data > 1 and op_type in TWO and told:
            raise Refused(*TWO[op_type])
        if any(isinstance(item, Unknown) for item in inputs):
            self.note(entry, "compiled" if data else "constant", _UNTOLD)
            return {}
        if op_type in KNOWING:
            self.note(entry, "constant")
            return {
                entry.node.output[0]: KNOWING[op_type](self.model, entry.node, inputs, self.scope)
            }
        if op_type in UNROLLED:
            return self.unroll(entry, inputs)
        if not any(isinstance(item, Value) for item in inputs):
            return self._computed(entry, [i for i in inputs if not isinstance(i, Value | Unknown)])
        return self._imported(entry, inputs)

    def _computed(self, entry: Entry, inputs: list[Known | None]) -> dict[str, Item]:
        """A node that reads only known values."""
        op_type = entry.op_type
        if op_type == "Identity" and inputs and inputs[0]:
            self.note(entry, "constant")
            return {entry.node.output[0]: inputs[0]}
        if op_type not in EVALUATED:
            raise Refused(f"{op_type} applied to constants is not supported", FOLD)
        found = self._evaluated(entry.node, self.opset, inputs)
        self.note(entry, "constant")
        return {known.name: replace(known, name=known.name + self.suffix) for known in found}

    def _evaluated(
        self, node: onnx.NodeProto, opset: int, inputs: Sequence[Known | None]
    ) -> tuple[Known, ...]:
        try:
            return compute(node, opset, inputs, len(self.scope.probes))
        except TooLarge as error:
            reason = f"{node.op_type} would compute a constant of more than {LIMIT} elements"
            raise Refused(reason) from error
        except Exception as error:  # whatever onnx finds wrong with the node
            if any(known is not None and known.fixed is None for known in inputs):
                raise fixes_batch(node.op_type) from error
            raise Broken(f"cannot be computed ({_line(error)})") from error

    def _imported(self, entry: Entry, inputs: tuple[Item, ...]) -> dict[str, Item]:
        """A node that reads what depends on the data."""
        op_type, outputs = entry.op_type, tuple(entry.node.output)
        if not any(outputs):
            raise Broken("has no output")
        sources = self._sources(inputs)
        if sources and op_type not in VIEWS and op_type not in HOST:
            self._inside(sources)
            self.note(entry, "compiled", _UNTOLD)
            return {}
        names = tuple(name and name + self.suffix for name in outputs)
        attributes = attributes_of(entry.node)
        step = Step(self.scope, entry.name, op_type, self.opset, inputs, names, attributes)
        results = self._results_of(step, op_type)
        if any(name in self.used for name in outputs[len(results) :] if name):
            raise Refused(f"{op_type} with a second output is not supported")
        if op_type in HOST or sources:
            self.hosted |= {value.name: sources[0] if sources else entry for value in results}
        removed = all(any(value is item for item in inputs) for value in results)
        kind = "host" if op_type in HOST else "removed" if removed else "compiled"
        self.note(entry, kind)
        return {name: value for name, value in zip(outputs, results, strict=False) if name}

    def _results_of(self, step: Step, op_type: str) -> tuple[Value, ...]:
        found = importer(op_type, step)(step)
        return (found,) if isinstance(found, Value) else found

    def _sources(self, inputs: Sequence[Item]) -> list[Entry]:
        """What the host does on the way to these values."""
        values = [item for item in inputs if isinstance(item, Value)]
        return [self.hosted[value.name] for value in values if value.name in self.hosted]

    def derived(
        self, entry: Entry, op_type: str, inputs: Sequence[Item], name: str, **attributes: Any
    ) -> Item:
        """The result of a view that a node stands for, as its newest opset has it."""
        name = f"{entry.name}.{name}{self.suffix}"
        if any(isinstance(item, Unknown) for item in inputs):
            return Unknown(any(map(_depends, inputs)))
        if not any(isinstance(item, Value) for item in inputs):
            names = [f"operand{index}" for index in range(len(inputs))]
            node = onnx.helper.make_node(op_type, names, [name], **attributes)
            known = [item if isinstance(item, Known) else None for item in inputs]
            return self._evaluated(node, _VIEWS_OF, known)[0]
        given = (self.scope, entry.name, entry.op_type, _VIEWS_OF)
        (found,) = self._results_of(Step(*given, tuple(inputs), (name,), attributes), op_type)
        if sources := self._sources(inputs):
            self.hosted[found.name] = sources[0]
        return found

    def _inside(self, sources: list[Entry]) -> None:
        for source in sources:
            reason = f"{source.op_type} inside the network is not supported"
            help_ = "it is only done on the decoded outputs: cut the model behind it"
            self.note(source, "refused", reason, help_)


def _depends(item: Item) -> bool:
    """Whether a value depends on the data."""
    return isinstance(item, Value) or (isinstance(item, Unknown) and item.data)


def _line(error: Exception) -> str:
    """The first line of a message, without onnx's marks in front of it."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return _MARKS.sub("", line)
