"""What users give for graphs and their parts, checked where Python would fail later."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from qcompiler.ir.diagnostics import DataError, Diagnostic, InvalidGraph
from qcompiler.ir.graph import Graph, Operand, Value
from qcompiler.ir.ops import Op
from qcompiler.ir.types import Tensor, Type

_Kind = TypeVar("_Kind")


def check_graph(given: object) -> None:
    """InvalidGraph for anything but a graph."""
    if not isinstance(given, Graph):
        help_ = "of a program, give program.graph" if hasattr(given, "graph") else None
        raise InvalidGraph(Diagnostic(f"expected a Graph, not {_kind(given)}", help=help_))


def check_node(op: object, operands: tuple[object, ...]) -> None:
    """InvalidGraph for what is no operation, and for operands that are no values or constants."""
    if not isinstance(op, Op):
        raise InvalidGraph(f"expected an operation, such as Add(), not {_kind(op)}")
    for operand in operands:
        if not isinstance(operand, get_args(Operand)):
            help_ = "give operands one by one; Constant(name, array) makes one of an array"
            text = f"{op.mnemonic} reads values and constants, not {_kind(operand)}"
            raise InvalidGraph(Diagnostic(text, help=help_))


def check_type(given: object, name: str) -> None:
    """InvalidGraph for what is no type of a value."""
    if not isinstance(given, get_args(Type)):
        text = f'the type of "{name}" is {_kind(given)}'
        raise InvalidGraph(Diagnostic(text, help="give a type, such as Tensor((3, 8, 8))"))


def several(given: object, kind: type[_Kind], what: str) -> tuple[_Kind, ...]:
    """Parts of one kind; InvalidGraph for anything else, also for one alone."""
    found = tuple(given) if isinstance(given, Iterable) and not isinstance(given, str) else None
    if found is None or not all(isinstance(one, kind) for one in found):
        raise InvalidGraph(f"{what} are a sequence of {kind.__name__}, not {given!r:.60}")
    return found


def check_count(given: tuple[Any, ...], values: tuple[Value, ...]) -> None:
    """DataError unless there is one of each of the values."""
    if len(given) != len(values):
        names = ", ".join(value.name for value in values)
        raise DataError(f"give one array for each input, {names} ({len(given)} given)")


def frames_of(given: Any, value: Value) -> NDArray[Any]:
    """Numbers for a value, ``frames x shape``: of the value's kind, unless they are finer.

    DataError for other shapes, and for what is no array of numbers.
    """
    array, shape = np.asarray(given), value.type.shape
    if array.dtype.kind not in "biuf" and not np.can_cast(array.dtype, np.float32):  # as bfloat16
        raise DataError(f'the array for input "{value.name}" has dtype {array.dtype}, no numbers')
    if array.ndim != len(shape) + 1 or array.shape[1:] != shape:
        takes = f"N x {shape}" if shape else "one number a frame"
        raise DataError(f'input "{value.name}" takes {takes}, not an array {array.shape}')
    real = isinstance(value.type, Tensor) and value.type.dtype.startswith("f")
    if real and (array.dtype.kind != "f" or array.dtype.itemsize < np.float32().itemsize):
        return array.astype(np.float32)
    return array


def _kind(given: object) -> str:
    return f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__
