"""Index operators (reshape, transpose, gather) of both levels: they need no neurons."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .ops import Op, expect
from .types import Spikes, Tensor, Type


@dataclass(frozen=True)
class Reshape(Op):
    """The same elements in C order under another shape."""

    mnemonic: ClassVar[str] = "view.reshape"
    shape: tuple[int, ...] = ()

    def infer(self, *operands: Type) -> Type:
        """Tensor or spikes to the same under another shape."""
        value = _arranged(operands)
        if prod(value.shape) != prod(self.shape):
            raise ValueError(
                f"cannot reshape {value.shape} to {self.shape}: the numbers of elements differ"
            )
        return replace(value, shape=self.shape).layout


@dataclass(frozen=True)
class Transpose(Op):
    """Axes in another order: axis i of the result is axis ``perm[i]`` of the operand."""

    mnemonic: ClassVar[str] = "view.transpose"
    perm: tuple[int, ...] = ()

    def infer(self, *operands: Type) -> Type:
        """Tensor or spikes to the same with permuted axes."""
        value = _arranged(operands)
        if sorted(self.perm) != list(range(len(value.shape))):
            raise ValueError(f"{self.perm} is not a permutation of the axes of {value.shape}")
        return replace(value, shape=tuple(value.shape[axis] for axis in self.perm)).layout


@dataclass(frozen=True)
class Take(Op):
    """Slices of one axis, by index: ``numpy.take(x, indices, axis)``."""

    mnemonic: ClassVar[str] = "view.take"
    axis: int = 0
    indices: tuple[int, ...] = ()

    def infer(self, *operands: Type) -> Type:
        """Tensor or spikes to the same with the chosen slices."""
        value = _arranged(operands)
        if not 0 <= self.axis < len(value.shape):
            raise ValueError(f"axis {self.axis} is not in shape {value.shape}")
        length = value.shape[self.axis]
        if not self.indices or not all(0 <= index < length for index in self.indices):
            raise ValueError(f"indices do not fit an axis of length {length}")
        head, tail = value.shape[: self.axis], value.shape[self.axis + 1 :]
        return replace(value, shape=(*head, len(self.indices), *tail)).layout


@dataclass(frozen=True)
class Pick(Op):
    """Gathers single elements by flat index: a constant of integers counts in C order.

    The most general view, used where no chain of the other views is shorter.
    """

    mnemonic: ClassVar[str] = "view.pick"

    def infer(self, *operands: Type) -> Type:
        """Tensor or spikes, and places, to the same in the shape of the places."""
        expect(2, operands)
        value, places = _arranged(operands[:1]), operands[1]
        if not isinstance(places, Tensor) or not places.dtype.startswith("i"):
            raise ValueError(f"takes integer indices, got {places}")
        return replace(value, shape=places.shape).layout


View: TypeAlias = Reshape | Transpose | Take | Pick


def arrange(op: View, x: NDArray[Any], *constants: NDArray[Any]) -> NDArray[Any]:
    """Apply a view to a batch: ``batch x shape``; constants are those of its node."""
    match op:
        case Reshape():
            return x.reshape(len(x), *op.shape)
        case Transpose():
            return x.transpose(0, *(axis + 1 for axis in op.perm))
        case Take():
            return np.take(x, op.indices, op.axis + 1)
        case Pick():
            return np.take(x.reshape(len(x), -1), constants[0], 1)


def _arranged(operands: tuple[Type, ...]) -> Tensor | Spikes:
    expect(1, operands)
    if not isinstance(operands[0], Tensor | Spikes):
        raise ValueError(f"takes a tensor or spikes, got {operands[0]}")
    return operands[0]
