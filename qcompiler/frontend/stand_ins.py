"""Values in place of those that refused nodes would have given.

With them the nodes behind a refused one are judged as well, from the shapes that ONNX infers. A
graph that holds stand-ins is never built, as something is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import onnx

from qcompiler.frontend.importers.elementwise.formulas import formula_in
from qcompiler.frontend.importers.table import ELEMENTWISE
from qcompiler.frontend.model.constant_folding import LIMIT, PROBES, KnownArray
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.frontend.model.placement import Placement
from qcompiler.frontend.model.refusals import treats_elements_alone
from qcompiler.frontend.model.scope import AbstractValue, Scope, Unknown
from qcompiler.frontend.model.type_inference import (
    FLOATS,
    TensorType,
    declared_type,
    infer_types,
    placeholder,
)
from qcompiler.ir import Tensor, Value
from qcompiler.ir.ann import Function

_ASSUMED = (16, 224, 64)  # the length of an open axis, where one, two or more are open


@dataclass(frozen=True)
class Doubt:
    """Whether a node reads what is behind a refused one, and whether sizes are assumed there."""

    any: bool
    sizes: bool


class StandIns:
    """Makes stand-ins, and knows what is behind them."""

    def __init__(self, scope: Scope, graph: onnx.GraphProto) -> None:
        self.scope = scope
        self.declared = {value.name: value for value in (*graph.value_info, *graph.output)}
        self._assumed: dict[str, bool] = {}  # of what is in doubt: whether sizes are assumed

    def doubt(self, items: Iterable[AbstractValue]) -> Doubt:
        """How much these operands are in doubt."""
        found = [
            self._assumed.get(item.name) if isinstance(item, Value | KnownArray) else False
            for item in items
            if item is not None
        ]
        return Doubt(any(one is not None for one in found), True in found)

    def mark(self, items: Iterable[AbstractValue], doubt: Doubt) -> None:
        """Note that these are as much in doubt as what they were made of."""
        for item in items:
            if doubt.any and isinstance(item, Value | KnownArray):
                self._assumed.setdefault(item.name, doubt.sizes)

    def of_inputs(
        self, inputs: Sequence[onnx.ValueInfoProto], items: Mapping[str, AbstractValue]
    ) -> dict[str, AbstractValue]:
        """In place of inputs that are refused; axes of unknown length get one."""
        refused = [value for value in inputs if isinstance(items.get(value.name), Unknown)]
        types = {value.name: declared_type(value) for value in refused}
        batches = {type_.axes[0] for type_ in types.values() if type_ and type_.axes}
        if len(refused) == len(items) and self.scope.probes == PROBES and len(batches) == 1:
            (batch,) = batches
            self.scope.probes = (batch,) if isinstance(batch, int) and batch else PROBES
        lengths: dict[str, int] = {}
        return {
            name: self._input(name, type_, lengths)
            for name, type_ in types.items()
            if type_ and len(type_.axes) > 1
        }

    def _input(self, name: str, type_: TensorType, lengths: dict[str, int]) -> AbstractValue:
        names = [axis for axis in type_.axes[1:] if isinstance(axis, str)]
        for axis in names:
            lengths.setdefault(axis, _ASSUMED[min(len(names), len(_ASSUMED)) - 1])
        shape = tuple(lengths[a] if isinstance(a, str) else a for a in type_.axes[1:])
        full = [TensorType(type_.kind, (probe, *shape)).shape for probe in self.scope.probes]
        shapes = tuple(shape for shape in full if shape is not None)
        if len(shapes) < len(full):
            return Unknown(True)
        found = self._stand_in(name, Unknown(True, type_.kind, shapes))
        self.mark([found], Doubt(True, bool(names)))
        return found

    def of_results(
        self, node: onnx.NodeProto, opset: int, inputs: Sequence[AbstractValue], data: bool
    ) -> dict[str, AbstractValue]:
        """In place of a node's results; ``data`` says whether they depend on the data."""
        runs = [self._types(node, opset, inputs, probe) for probe in range(len(self.scope.probes))]
        root = self._root(node.op_type, inputs)
        found: dict[str, AbstractValue] = {}
        for name in filter(None, node.output):
            types = [run.get(name) or self._as_declared(name, n) for n, run in enumerate(runs)]
            shapes = [type_.shape for type_ in types if type_]
            known = tuple(shape for shape in shapes if shape is not None)
            if types[0] is None or len(known) < len(runs):
                found[name] = Unknown(data, root=root)
            else:
                found[name] = self._stand_in(name, Unknown(data, types[0].kind, known, root))
        self.mark(found.values(), Doubt(True, self.doubt(inputs).sizes))
        return found

    def _root(self, op_type: str, inputs: Sequence[AbstractValue]) -> Value | None:
        """The value whose elements a node's result is some function of, if there is one."""
        if op_type not in {*ELEMENTWISE, "Where"} and not treats_elements_alone(op_type):
            return None
        roots: list[Value | None] = []
        for item in inputs:
            if isinstance(item, Value):
                root = formula_in(self.scope, item)[0]
                roots.append(root if root.type.layout == Tensor(root.type.shape) else None)
            elif isinstance(item, Unknown):
                roots.append(item.root)
        return roots[0] if len({root and root.name for root in roots}) == 1 else None

    def _types(
        self, node: onnx.NodeProto, opset: int, inputs: Sequence[AbstractValue], probe: int
    ) -> dict[str, TensorType]:
        operands: dict[str, Array] = {}
        for name, item in zip(node.input, inputs, strict=True):
            match item:
                case KnownArray():
                    operands[name] = item.arrays[probe]
                case Value():
                    kind = self.scope.kinds.get(item.name, FLOATS[0])
                    operands[name] = placeholder(kind, self.scope.full_shapes(item)[probe])
                case Unknown(kind=int(kind), shapes=shapes) if shapes:
                    operands[name] = placeholder(kind, shapes[probe])
        return infer_types(node, opset, operands)

    def _as_declared(self, name: str, probe: int) -> TensorType | None:
        """The type that the model gives a value, its batch axis as long as a probe."""
        type_ = declared_type(self.declared[name]) if name in self.declared else None
        if type_ is None or not type_.axes:
            return type_
        batch, *axes = type_.axes
        return TensorType(
            type_.kind, (self.scope.probes[probe] if isinstance(batch, str) else batch, *axes)
        )

    def _stand_in(self, name: str, unknown: Unknown) -> AbstractValue:
        """A value of the graph, if real numbers of a known shape depend on the data."""
        if not unknown.data or unknown.kind not in FLOATS or not unknown.shapes:
            return unknown
        at = self._batch_axis(unknown.shapes)
        shapes = {full if at is None else full[:at] + full[at + 1 :] for full in unknown.shapes}
        shape = shapes.pop()
        if shapes or (at is None and not self.scope.single) or not 0 < prod(shape) <= LIMIT:
            return unknown
        root, builder = unknown.root, self.scope.builder
        if root is not None and root.type.shape == shape:
            value = builder.add(Function("x 0 +"), root, name=name)  # a function of it, whichever
        else:
            value = builder.input(name, Tensor(shape))
        if at != 0:
            self.scope.batch_axis[value.name] = Placement(at)
        return value

    def _batch_axis(self, shapes: Sequence[tuple[int, ...]]) -> int | None:
        """The first axis that is as long as the batch, whatever its size."""
        pairs = list(zip(shapes, self.scope.probes, strict=True))
        for axis in range(min(map(len, shapes))):
            if all(shape[axis] == probe for shape, probe in pairs):
                return axis
        return None
