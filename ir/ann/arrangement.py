"""Operations that put values beside each other: padding and concatenation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from qcompiler.ir.ops import Op, expect, expect_tensor
from qcompiler.ir.types import Tensor, Type


@dataclass(frozen=True)
class Pad(Op):
    """Constant padding of every axis: begins, then ends."""

    mnemonic: ClassVar[str] = "ann.pad"
    pads: tuple[int, ...] = ()
    value: float = 0.0

    def infer(self, *operands: Type) -> Tensor:
        """Tensor to a larger one."""
        expect(1, operands)
        shape = expect_tensor(operands[0]).shape
        rank = len(shape)
        if len(self.pads) != 2 * rank or min(self.pads, default=0) < 0:
            raise ValueError(f"pads {self.pads} do not fit shape {shape}")
        pairs = zip(shape, self.pads[:rank], self.pads[rank:], strict=True)
        return Tensor(tuple(n + before + after for n, before, after in pairs))


@dataclass(frozen=True)
class Concat(Op):
    """Tensors one behind the other along an axis of the sample; indices on the host."""

    mnemonic: ClassVar[str] = "ann.concat"
    axis: int = 0

    def infer(self, *operands: Type) -> Tensor:
        """Tensors that differ along the axis only to a longer one."""
        kinds = [operand.dtype for operand in operands if isinstance(operand, Tensor)]
        if len(kinds) < len(operands) or not {"f32", "i64"}.issuperset(kinds):
            raise ValueError("takes tensors of real numbers or indices")
        shapes = [operand.shape for operand in operands]
        if not shapes or not 0 <= self.axis < len(shapes[0]):
            raise ValueError(f"axis {self.axis} is not in shapes {shapes}")
        around = {(shape[: self.axis], shape[self.axis + 1 :]) for shape in shapes}
        if len(around) != 1:
            raise ValueError(f"takes tensors that differ along axis {self.axis}, got {shapes}")
        head, tail = around.pop()
        length = sum(shape[self.axis] for shape in shapes)
        return Tensor((*head, length, *tail), "f32" if "f32" in kinds else "i64")
