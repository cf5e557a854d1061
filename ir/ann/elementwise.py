"""Functions of each element, and of the elements of two tensors at one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from qcompiler.ir.ops import Op, expect, expect_broadcast, expect_tensor
from qcompiler.ir.types import Tensor, Type

from .formula import run


@dataclass(frozen=True)
class Clip(Op):
    """``min(max(x, low), high)``; None is unbounded, so ``low=0.0`` alone is the ReLU.

    A constant, where there is one, multiplies both bounds and spreads over x: bounds of channels
    that have scales of their own. It is 1 or more, so that ``low`` and ``high`` are the tightest.

    ``nearest`` leaves only the ends: the nearer of them, the upper one in the middle.
    """

    mnemonic: ClassVar[str] = "ann.clip"
    low: float | None = None
    high: float | None = None
    nearest: bool = False

    def infer(self, *operands: Type) -> Tensor:
        """Tensor, and multiples of the bounds if they differ, to a tensor of the same shape."""
        expect(2 if len(operands) > 1 else 1, operands)
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low must not be above high, {self.high}, but is {self.low}")
        shape = expect_tensor(operands[0]).shape
        for times in operands[1:]:
            if (self.low or 0) > 0 or (self.high or 0) < 0:
                raise ValueError("bounds of which each channel has a multiple lie around zero")
            expect_broadcast(expect_tensor(times).shape, shape, "multiple of the bounds")
        return Tensor(shape)


@dataclass(frozen=True)
class Function(Op):
    """A function of each element, in postfix (see `formula`): ``"x x sigmoid *"``.

    A first constant, where there is one, multiplies the result and spreads over it. A second one is
    added to that.
    """

    mnemonic: ClassVar[str] = "ann.function"
    formula: str = "x"

    def infer(self, *operands: Type) -> Tensor:
        """Tensor, and a gain and a shift if there are, to a tensor of the same shape."""
        expect(min(max(len(operands), 1), 3), operands)
        run(self.formula, None, float, lambda *_: None)
        words = self.formula.split()
        if "x" not in words or len(words) == 1:
            raise ValueError(f"takes a formula that computes something of x, not {self.formula!r}")
        return Tensor(_with_gain(expect_tensor(operands[0]).shape, operands[1:]))


@dataclass(frozen=True)
class Multiply(Op):
    """Product of two tensors of one shape, element by element.

    A first constant, where there is one, multiplies the result and spreads over it. A second one is
    added to that.
    """

    mnemonic: ClassVar[str] = "ann.multiply"

    def infer(self, *operands: Type) -> Tensor:
        """Two tensors, and a gain and a shift if there are, to a tensor of the same shape."""
        expect(min(max(len(operands), 2), 4), operands)
        first, second = (expect_tensor(operand).shape for operand in operands[:2])
        if first != second:
            raise ValueError(f"takes tensors of one shape, got {first} and {second}")
        return Tensor(_with_gain(first, operands[2:]))


def _with_gain(shape: tuple[int, ...], gains: tuple[Type, ...]) -> tuple[int, ...]:
    """The shape of a result, over which its gain and shift spread."""
    for gain, role in zip(gains, ("gain", "shift"), strict=False):
        expect_broadcast(expect_tensor(gain).shape, shape, role)
    return shape


@dataclass(frozen=True)
class Add(Op):
    """Sum of two or more tensors of one shape, element by element."""

    mnemonic: ClassVar[str] = "ann.add"

    def infer(self, *operands: Type) -> Tensor:
        """Tensors to a tensor of the same shape."""
        shapes = {expect_tensor(operand).shape for operand in operands}
        if len(operands) < 2 or len(shapes) != 1:
            raise ValueError(f"takes two or more tensors of one shape, got {sorted(shapes)}")
        return Tensor(shapes.pop())
