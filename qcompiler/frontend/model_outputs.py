"""What a model returns: its outputs among the values of the graph, and the graph itself."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass, replace

from onnx import TensorProto

from qcompiler.frontend.importers.constants import filled
from qcompiler.frontend.importers.elementwise.masks import nodes_of_masks
from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.in_front import fed, is_computed
from qcompiler.frontend.model.node_errors import Refused
from qcompiler.frontend.model.placement import FIRST, Placement
from qcompiler.frontend.model.refusals import CUT_BEFORE_INTEGERS, REAL_CODES
from qcompiler.frontend.model.scope import AbstractValue, Scope, Unknown
from qcompiler.ir import Graph, Value, drop_dead
from qcompiler.ir.graph import origins
from qcompiler.ir.prologue import split_prologue
from qcompiler.ir.view import Reshape

from .node_report import NodeReport
from .stand_ins import StandIns

_CODES = (TensorProto.INT8, TensorProto.UINT8)
_MASK = "a mask of minus infinity is only supported in front of Softmax"
_MOVED = "moves or casts what the host reads in front of the network"
_MASK_HELP = "use a number that the values reach, such as -10, or cut the model before this node"


@dataclass(frozen=True)
class ModelOutputs:
    """The outputs of a model, by their ONNX names among the values that were imported."""

    names: tuple[str, ...]
    items: MutableMapping[str, AbstractValue]
    scope: Scope

    def check(self, report: NodeReport, stand_ins: StandIns) -> None:
        """Refuse outputs that are no value of the graph, one sample each; constants become one."""
        computed = [item for item in map(self.items.get, self.names) if isinstance(item, Value)]
        for name in self.names:
            item = self.items.get(name)
            checked = not stand_ins.doubt([item]).any
            if isinstance(item, KnownArray) and checked:
                try:
                    self.items[name] = filled(self.scope, name, item, computed)
                except Refused as refused:
                    report.refuse(name, "(output)", refused.reason, refused.help)
            if isinstance(item, Unknown) and not report.refusals:
                report.refuse(name, "(output)", f'output "{name}" is not computed')
            if isinstance(item, Value) and checked:
                self._check_value(name, item, report)

        if self.scope.masks and not report.refusals:
            for node in nodes_of_masks(self.graph()):
                report.refuse_named(node.origin[0], _MASK, _MASK_HELP)
        if not report.refusals and any(self.scope.given.values()):
            report.note_host(self._in_front(), _MOVED)

    def _in_front(self) -> set[str]:
        """The names of nodes that the host alone reads, in front of the network."""
        prologue, network = split_prologue(self.graph())
        nodes = () if prologue is None else prologue.nodes
        return {*origins(*nodes)} - {*origins(*network.nodes)}

    def _check_value(self, name: str, value: Value, report: NodeReport) -> None:
        if value.name in self.scope.kinds:
            reason = f'output "{name}" holds integers or booleans, which are no spike times'
            codes = self.scope.kinds[value.name] in _CODES and not is_computed(self.scope, value)
            report.refuse(name, "(output)", reason, REAL_CODES if codes else CUT_BEFORE_INTEGERS)
        value = self.items[name] = self._batch_first(fed(self.scope, value))
        place = self.scope.placement(value)
        if place.joined_axes and place != Placement(0, inner=1):
            reason = f'the batch axis of output "{name}" is joined with others'
            help_ = "give it an axis of its own, or fix it at 1: --input-shape NAME=1,.."
            report.refuse(name, "(output)", reason, help_)

    def _batch_first(self, value: Value) -> Value:
        """An output with its batch axis in front, if a batch of one lets an axis be called so."""
        (full, *_) = self.scope.full_shapes(value)
        if self.scope.placement(value) == FIRST or not self.scope.single or full[:1] != (1,):
            return value
        return self.scope.builder.add(Reshape(full[1:]), value, name=f"{value.name}.sample")

    def graph(self) -> Graph:
        """The graph, if nothing was refused; an input whose shape alone is read is left out."""
        values = [item for item in map(self.items.get, self.names) if isinstance(item, Value)]
        found = drop_dead(self.scope.builder.build(values, self.names))
        read = [v for v in found.inputs if found.users(v) or found.is_output(v)]
        return replace(found, inputs=tuple(read))

    def batch_axes(self, graph: Graph) -> dict[str, int | None]:
        """The batch axis of inputs and outputs that have it not first, by ONNX name."""
        named = {value.name: value for value in graph.inputs}
        named |= {name: i for name in self.names if isinstance(i := self.items[name], Value)}
        places = {name: self.scope.placement(value) for name, value in named.items()}
        return {name: place.at for name, place in places.items() if place.at != 0}
