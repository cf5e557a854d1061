"""Pooling of images: the maximum and the sum of each window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qcompiler.ir.ops import Sliding, expect, expect_tensor
from qcompiler.ir.types import Tensor, Type


@dataclass(frozen=True)
class MaxPool(Sliding):
    """Maximum of each window; padding never wins."""

    mnemonic: ClassVar[str] = "ann.maxpool"
    kernel: tuple[int, ...] = ()

    def infer(self, *operands: Type) -> Tensor:
        """Image to pooled image."""
        expect(1, operands)
        image = expect_tensor(operands[0])
        return Tensor(maximum_shape(self, image.shape, self.kernel))


@dataclass(frozen=True)
class SumPool(Sliding):
    """Sum of each window; an average is this and an `Affine` behind it."""

    mnemonic: ClassVar[str] = "ann.sumpool"
    kernel: tuple[int, ...] = ()

    def infer(self, *operands: Type) -> Tensor:
        """Image to pooled image."""
        expect(1, operands)
        image = expect_tensor(operands[0])
        return Tensor(pool_shape(self, image.shape, self.kernel))


def pool_shape(op: Sliding, image: tuple[int, ...], kernel: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of a pooled image; ValueError if the kernel does not fit."""
    if len(image) < 2:
        raise ValueError(f"takes a channel and spatial axes, got shape {image}")
    return (image[0], *op.slide(image[1:], kernel))


def maximum_shape(op: Sliding, image: tuple[int, ...], kernel: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of an image pooled by its maximum; ValueError also if a window sees only padding."""
    shape = pool_shape(op, image, kernel)
    for axis, length in enumerate(image[1:]):
        first = np.arange(shape[1 + axis])[:, None] * op.strides[axis] - op.pads[axis]
        taps = first + np.arange(kernel[axis]) * op.dilations[axis]
        if not ((taps >= 0) & (taps < length)).any(axis=1).all():
            raise ValueError(f"with kernel {kernel} has a window that sees only padding")
    return shape
