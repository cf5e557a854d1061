"""Arithmetic on whole numbers, which the host does on the data in front of the spikes.

Such numbers are indices, and what is made of them: places, masks, one-hot codes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from qcompiler.ir.diagnostics import DataError
from qcompiler.ir.kernels import Array
from qcompiler.ir.ops import Op, expect, expect_tensor
from qcompiler.ir.types import Tensor, Type


def _divide(a: Array, b: Array) -> Array:
    """Division that cuts fractions off, as ONNX has it."""
    floor: Array = a // b
    found: Array = floor + ((floor < 0) & (floor * b != a))
    return found


# Name of a function: the number of its operands, and what it does to arrays of integers.
WORDS: Mapping[str, tuple[int, Callable[..., Any]]] = {
    "truncate": (1, lambda a: a),  # of real numbers: see `whole_numbers`
    "nonzero": (1, lambda a: a != 0),
    "not": (1, lambda a: a == 0),
    "abs": (1, np.abs),
    "negate": (1, np.negative),
    "sign": (1, np.sign),
    "add": (2, np.add),
    "subtract": (2, np.subtract),
    "multiply": (2, np.multiply),
    "divide": (2, _divide),
    "modulo": (2, np.mod),
    "remainder": (2, np.fmod),
    "max": (2, np.maximum),
    "min": (2, np.minimum),
    "equal": (2, np.equal),
    "greater": (2, np.greater),
    "greater_equal": (2, np.greater_equal),
    "and": (2, np.logical_and),
    "or": (2, np.logical_or),
    "xor": (2, np.logical_xor),
    "where": (3, np.where),
}
COMPARISONS = frozenset({"equal", "greater", "greater_equal"})
DIVISIONS = frozenset({"divide", "modulo", "remainder"})
CONDITIONS = COMPARISONS | {"and", "nonzero", "not", "or", "xor"}  # what gives 1 or 0


@dataclass(frozen=True)
class _OfIntegers(Op):
    """Attributes of what gives integers of so many ``bits``: others wrap around."""

    bits: int = field(default=64, kw_only=True)
    signed: bool = field(default=True, kw_only=True)

    def check_bits(self) -> None:
        """Raise ValueError for what is no type of integers."""
        if self.bits not in (8, 16, 32, 64) or (self.bits == 64 and not self.signed):
            sign = "" if self.signed else "unsigned "
            raise ValueError(f"gives {sign}integers of 8 to 64 bits, not {self.bits!r:.60}")

    def wrapped(self, found: Array) -> Array:
        """Integers that wrap around."""
        if self.bits == 64:
            return found
        return found.astype(f"{'i' if self.signed else 'u'}{self.bits // 8}").astype(np.int64)


@dataclass(frozen=True)
class Integer(_OfIntegers):
    """A function of whole numbers, element by element: a word of `WORDS`; on the host.

    Comparisons of ``real`` numbers, of so many ``bits``, do not ask for whole ones, and
    ``truncate`` cuts fractions off.
    """

    mnemonic: ClassVar[str] = "ann.integer"
    word: str
    real: bool = False

    def infer(self, *operands: Type) -> Tensor:
        """Tensors or constants of one shape to a tensor of that shape."""
        if self.word not in WORDS:
            raise ValueError(f"has no function {self.word!r:.60}")
        if self.real and self.word not in COMPARISONS | {"truncate"}:
            raise ValueError(f"takes no real numbers for {self.word!r:.60}")
        if self.real and self.bits not in (16, 32, 64):
            raise ValueError(f"takes real numbers of 16 to 64 bits, not {self.bits!r:.60}")
        self.check_bits()
        expect(WORDS[self.word][0], operands)
        shapes = {_shape(operand) for operand in operands}
        if len(shapes) > 1:
            raise ValueError(f"takes operands of one shape, got {sorted(shapes)}")
        return Tensor(shapes.pop())

    def __call__(self, *operands: Array) -> Array:
        """The result for arrays that broadcast; DataError for what are no whole numbers."""
        given: Sequence[Array] = operands
        with np.errstate(over="ignore", invalid="ignore"):
            if self.real:
                given = [array.astype(f"f{self.bits // 8}") for array in operands]
            if not self.real or self.word == "truncate":
                given = [whole_numbers(array, self.word == "truncate") for array in given]
            if self.word in DIVISIONS and not given[1].all():
                raise DataError(f"{self.word} by 0")
            found = np.asarray(WORDS[self.word][1](*given), np.int64)
        return found if self.real else self.wrapped(found)


@dataclass(frozen=True)
class CumSum(_OfIntegers):
    """Sums of whole numbers up to each place of an axis, as CumSum of ONNX; on the host."""

    mnemonic: ClassVar[str] = "ann.cumsum"
    axis: int
    exclusive: bool = False
    reverse: bool = False

    def infer(self, *operands: Type) -> Tensor:
        """Tensor to a tensor of the same shape."""
        expect(1, operands)
        self.check_bits()
        shape = expect_tensor(operands[0]).shape
        if type(self.axis) is not int or not 0 <= self.axis < len(shape):
            raise ValueError(f"axis {self.axis!r:.60} is not in shape {shape}")
        return Tensor(shape)

    def __call__(self, x: Array) -> Array:
        """The sums of a batch; DataError for what are no whole numbers."""
        whole, axis = whole_numbers(x), self.axis + 1
        turned = np.flip(whole, axis) if self.reverse else whole
        sums = self.wrapped(turned.cumsum(axis) - (turned if self.exclusive else 0))
        return np.flip(sums, axis) if self.reverse else sums


@dataclass(frozen=True)
class Reduce(_OfIntegers):
    """The ``sum``, ``max`` or ``min`` of whole numbers over axes, which it drops; on the host."""

    mnemonic: ClassVar[str] = "ann.reduce"
    word: str
    axes: tuple[int, ...]

    def infer(self, *operands: Type) -> Tensor:
        """Tensor to a tensor without the axes."""
        expect(1, operands)
        self.check_bits()
        shape = expect_tensor(operands[0]).shape
        if self.word not in ("sum", "max", "min"):
            raise ValueError(f"has no word {self.word!r:.60}")
        if not isinstance(self.axes, tuple) or not {*self.axes} <= {*range(len(shape))}:
            raise ValueError(f"axes {self.axes!r:.60} are not in shape {shape}")
        return Tensor(tuple(n for axis, n in enumerate(shape) if axis not in self.axes))

    def __call__(self, x: Array) -> Array:
        """The result for a batch; DataError for what are no whole numbers."""
        axes = tuple(axis + 1 for axis in self.axes)
        return self.wrapped(getattr(whole_numbers(x), self.word)(axis=axes))


@dataclass(frozen=True)
class Feed(Op):
    """Whole numbers of the host as the real numbers that the network reads: its input."""

    mnemonic: ClassVar[str] = "ann.feed"

    def infer(self, *operands: Type) -> Tensor:
        """Tensor to a tensor of the same shape."""
        expect(1, operands)
        return Tensor(expect_tensor(operands[0]).shape)


def _shape(type_: Type) -> tuple[int, ...]:
    if not isinstance(type_, Tensor):
        raise ValueError(f"takes tensors, got {type_}")
    return type_.shape


def whole_numbers(x: Array, cut: bool = False) -> Array:
    """Numbers as integers, fractions ``cut`` off; else DataError names the first fraction."""
    if x.dtype == np.uint64 and (far := x[x > np.iinfo(np.int64).max]).size:
        raise DataError(f"the number {far.flat[0]} is beyond those of int64")
    if x.dtype.kind in "iub":
        return x.astype(np.int64)
    whole = np.trunc(x)
    if not cut and (off := x[whole != x]).size:
        raise DataError(f"the index {off.flat[0]:.9g} is no whole number")
    return whole.astype(np.int64)
