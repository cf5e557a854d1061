"""Operations that the host computes: on data in front of the spikes, and on decoded outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from qcompiler.ir.ops import Op, expect, expect_rescaling, expect_tensor
from qcompiler.ir.types import Tensor, Type


@dataclass(frozen=True)
class Rescale(Op):
    """``(x - offset) * factor``, both spread over x, on the host: of an input, or of an output."""

    mnemonic: ClassVar[str] = "ann.rescale"

    def infer(self, *operands: Type) -> Tensor:
        """Tensor, offset, factor to a tensor of the same shape."""
        expect(3, operands)
        value = expect_tensor(operands[0])
        expect_rescaling(value.shape, operands[1:])
        return Tensor(value.shape)


@dataclass(frozen=True)
class Softmax(Op):
    """``exp(x) / sum(exp(x))`` along an axis, or its logarithm; on the host, behind the spikes."""

    mnemonic: ClassVar[str] = "ann.softmax"
    axis: int = -1
    log: bool = False

    def infer(self, *operands: Type) -> Tensor:
        """Tensor to a tensor of the same shape."""
        expect(1, operands)
        shape = expect_tensor(operands[0]).shape
        if not -len(shape) <= self.axis < len(shape):
            raise ValueError(f"axis {self.axis} is not in shape {shape}")
        return Tensor(shape)


@dataclass(frozen=True)
class ArgMax(Op):
    """Index of the largest element along an axis, kept as an axis of length 1 or dropped."""

    mnemonic: ClassVar[str] = "ann.argmax"
    axis: int = 0
    keepdims: bool = True
    last: bool = False

    def infer(self, *operands: Type) -> Tensor:
        """Tensor to indices."""
        expect(1, operands)
        shape = list(expect_tensor(operands[0]).shape)
        if not 0 <= self.axis < len(shape):
            raise ValueError(f"axis {self.axis} is not in shape {tuple(shape)}")
        shape[self.axis : self.axis + 1] = [1] if self.keepdims else []
        return Tensor(tuple(shape), "i64")


@dataclass(frozen=True)
class TopK(Op):
    """The k largest elements along an axis, in order, or their indices; of equals the first.

    With ``largest`` false the smallest; on the host.
    """

    mnemonic: ClassVar[str] = "ann.topk"
    axis: int
    k: int
    largest: bool = True
    indices: bool = False

    def infer(self, *operands: Type) -> Tensor:
        """Tensor to one with k elements along the axis."""
        expect(1, operands)
        shape = list(expect_tensor(operands[0]).shape)
        if not 0 <= self.axis < len(shape) or not 1 <= self.k <= shape[self.axis]:
            raise ValueError(f"has not {self.k} elements along axis {self.axis} of {tuple(shape)}")
        shape[self.axis] = self.k
        return Tensor(tuple(shape), "i64" if self.indices else "f32")


@dataclass(frozen=True)
class Fill(Op):
    """A constant for every sample of a batch; on the host, where a model returns it."""

    mnemonic: ClassVar[str] = "ann.fill"

    def infer(self, *operands: Type) -> Tensor:
        """Tensor, which tells the number of samples, and the constant to the constant's type."""
        expect(2, operands)
        value, constant = operands
        if not isinstance(value, Tensor) or not isinstance(constant, Tensor):
            raise ValueError("takes a tensor and a constant")
        return constant.layout


@dataclass(frozen=True)
class Lookup(Op):
    """Elements of a table of integers, by index; on the host, for labels of classes."""

    mnemonic: ClassVar[str] = "ann.lookup"

    def infer(self, *operands: Type) -> Tensor:
        """Indices and a table of one axis to integers."""
        expect(2, operands)
        if not all(isinstance(operand, Tensor) and operand.dtype == "i64" for operand in operands):
            raise ValueError("takes indices and a table of integers")
        if len(operands[1].shape) != 1:
            raise ValueError(f"takes a table of one axis, got {operands[1]}")
        return Tensor(operands[0].shape, "i64")


@dataclass(frozen=True)
class Embed(Op):
    """Rows of a table of real or whole numbers, by index; on the host, in front of the spikes.

    Negative indices count from the end. With ``cut`` the model casts real numbers to indices, and
    fractions are cut off; else indices are whole numbers.
    """

    mnemonic: ClassVar[str] = "ann.embed"
    cut: bool = False

    def infer(self, *operands: Type) -> Tensor:
        """Indices and a table of rows to one row for every index."""
        expect(2, operands)
        indices, table = expect_tensor(operands[0]), operands[1]
        if table != Tensor(table.shape, "i64"):
            table = expect_tensor(table)
        if not table.shape or not table.shape[0]:
            raise ValueError(f"takes a table of rows, got shape {table.shape}")
        return Tensor((*indices.shape, *table.shape[1:]))


OnHost: TypeAlias = Softmax | ArgMax | TopK | Fill | Lookup  # computed from decoded values
