"""What importers see: one ONNX node, its operands and attributes, and the graph being built."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isinf, isnan
from typing import Any

import numpy as np
import onnx
from onnx import helper

from qcompiler.ir import Constant, InvalidGraph, Op, Operand, Value, size
from qcompiler.ir.ops import TooLarge

from .constant_folding import KnownArray
from .folding_limits import beyond
from .node_errors import InvalidNode, Refused
from .onnx_tensor import Array
from .placement import Placement
from .scope import AbstractValue, Scope, Shape

_FLOATS = ("float32", "float16", "float64", "bfloat16")
_SMALLER = "use smaller inputs, or cut the model before this node"
_PLURALS = ("axes", "indices", "labels", "pads", "scales", "sizes", "steps")  # of operands


@dataclass(frozen=True)
class NodeContext:
    """One node of the model while it is imported."""

    scope: Scope
    name: str
    op_type: str
    opset: int
    inputs: tuple[AbstractValue, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]

    @property
    def output(self) -> str:
        """Name of the first result."""
        return self.outputs[0]

    def item(self, index: int) -> AbstractValue:
        """An input, None if it is not given."""
        return self.inputs[index] if index < len(self.inputs) else None

    def activation(self, index: int = 0) -> Value:
        """An input that depends on the data."""
        match self.item(index):
            case Value() as value:
                return value
            case KnownArray():
                raise Refused(f"{self.op_type} applied to a constant is not supported")
        raise InvalidNode(f"has no input {index}")

    def known(self, index: int, what: str) -> KnownArray | None:
        """An input that must not depend on the data, if it is given."""
        match self.item(index):
            case KnownArray() as known:
                return known
            case Value():
                raise Refused(
                    f"the {what} of {self.op_type} {_depends(what)} on the data",
                    "this operand must be a constant: give it as an initializer, not an input",
                )
        return None

    def fixed(self, index: int, what: str) -> Array | None:
        """The array of a known input, if it is given."""
        known = self.known(index, what)
        return None if known is None else fixed(known, self.op_type, what)

    def fixed_integers(self, index: int, what: str) -> tuple[int, ...] | None:
        """The integers of a known input, if it is given."""
        array = self.fixed(index, what)
        if array is not None and array.dtype.kind not in "iu":
            raise InvalidNode(f"has {what} in {array.dtype}, not integers")
        if array is not None and array.ndim > 1:
            raise InvalidNode(f"has {what} of shape {array.shape}, not a list")
        return None if array is None else tuple(int(n) for n in array.reshape(-1))

    def fixed_integer(self, index: int, what: str) -> int | None:
        """The one integer of a known input, if it is given."""
        found = self.fixed_integers(index, what)
        if found is not None and len(found) != 1:
            raise InvalidNode(f"has {what} {found}, not one integer")
        return found[0] if found else None

    def weight(self, index: int, what: str) -> tuple[KnownArray, Array]:
        """A known input of real numbers that must be given, and its array in float32."""
        known = self.known(index, what)
        if known is None:
            raise InvalidNode(f"has no {what}")
        return known, float32(fixed(known, self.op_type, what), known.name)

    def integer(self, name: str, default: int) -> int:
        """An integer attribute."""
        return int(self._attribute(name, default, int))

    def real(self, name: str, default: float, infinite: bool = False) -> float:
        """A floating-point attribute, which may be ``infinite`` only where that means something."""
        found = float(self._attribute(name, default, int | float))
        if isnan(found):
            raise InvalidNode(f"has NaN as its {name}")
        if isinf(found) and not infinite:
            raise InvalidNode(f"has an infinite {name}")
        return found

    def text(self, name: str, default: str) -> str:
        """A string attribute."""
        found = self._attribute(name, default, str | bytes)
        return found.decode() if isinstance(found, bytes) else str(found)

    def integers(self, name: str) -> tuple[int, ...] | None:
        """A list of integers, if it is given."""
        found = self._attribute(name, None, list | tuple | None)
        return None if found is None else tuple(int(n) for n in found)

    def _attribute(self, name: str, default: Any, kinds: Any) -> Any:
        found = self.attributes.get(name, default)
        if not isinstance(found, kinds):
            raise InvalidNode(f"has an attribute {name} of the wrong type")
        return found

    def placement(self, value: Value) -> Placement:
        """Where the batch axis of a value stands."""
        return self.scope.placement(value)

    def full_shapes(self, value: Value) -> tuple[Shape, ...]:
        """Shape of a value with its batch axis, under each probe."""
        return self.scope.full_shapes(value)

    def add(self, op: Op, *operands: Operand) -> Value:
        """Append the operation that gives the node's result."""
        return self._append(self.output, op, operands)

    def part(self, role: str, op: Op, *operands: Operand) -> Value:
        """Append an operation on the way to the node's result."""
        return self._append(f"{self.output}.{role}", op, operands)

    def within(self, role: str) -> NodeContext:
        """The node, as if it gave only a part of its result."""
        return replace(self, outputs=(f"{self.output}.{role}",))

    def named(self, name: str, op: Op, *operands: Operand) -> Value:
        """Append the operation that gives one of several results."""
        return self._append(name, op, operands)

    def _append(self, name: str, op: Op, operands: tuple[Operand, ...]) -> Value:
        try:
            value = self.scope.builder.add(op, *operands, name=name, origin=(self.name,))
        except InvalidGraph as error:
            if not isinstance(error.__cause__, TooLarge):
                raise
            raise Refused(f"{self.op_type} {error.__cause__}", _SMALLER) from error
        if not size(value.type):
            raise Refused(f"the result of {self.op_type} is empty")
        if too_much := beyond(value.type.shape):
            raise Refused(f"{self.op_type} computes a value of {too_much}", _SMALLER)
        return value

    def constant(self, role: str, data: Array, source: KnownArray | None = None) -> Constant:
        """A constant in float32; it is named after ``source`` if it has the same elements."""
        name = source.name if source else f"{self.name}.{role}"
        return self.scope.constant(name, float32(data, name))


def fixed(known: KnownArray, op_type: str, what: str) -> Array:
    """The array of a known value; Refused if it depends on the size of the batch."""
    if known.fixed is None:
        raise Refused(
            f"the {what} of {op_type} {_depends(what)} on the batch size",
            "fix the batch size, with --input-shape NAME=1,..",
        )
    return known.fixed


def _depends(what: str) -> str:
    return "depend" if what in _PLURALS else "depends"


def float32(data: Array, name: str) -> Array:
    """Real numbers as float32; Broken if they are none, or not finite."""
    if data.dtype.name not in _FLOATS:
        raise InvalidNode(f'reads tensor "{name}", which holds {data.dtype}, not real numbers')
    with np.errstate(all="ignore"):
        array: Array = np.asarray(data, np.float32)
        if array.size and not (np.isfinite(array.min()) and np.isfinite(array.max())):
            raise InvalidNode(f'reads tensor "{name}", which holds NaN or infinite numbers')
    return array


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """Attributes by name."""
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}
