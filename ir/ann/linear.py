"""Linear layers: convolution, matrix, and scales and shifts of channels."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

from qcompiler.ir.ops import Op, Sliding, expect, expect_broadcast, expect_tensor
from qcompiler.ir.types import Tensor, Type


@dataclass(frozen=True)
class Conv(Sliding):
    """Convolution of an image ``C x space`` with a weight ``O x C/groups x kernel``, plus bias.

    The bias spreads over the output: ``O x 1 x 1`` for one number a channel, or one a pixel.
    """

    mnemonic: ClassVar[str] = "ann.conv"
    groups: int = 1

    def infer(self, *operands: Type) -> Tensor:
        """Image, weight, bias to the convolved image."""
        expect(3, operands)
        image, weight, bias = map(expect_tensor, operands)
        shape = conv_shape(self, image.shape, weight.shape, self.groups)
        expect_broadcast(bias.shape, shape, "bias")
        return Tensor(shape)


def conv_shape(
    op: Sliding, image: tuple[int, ...], weight: tuple[int, ...], groups: int
) -> tuple[int, ...]:
    """Shape of a convolved image; ValueError if channels, groups or kernel do not fit."""
    if len(image) < 2 or len(weight) != len(image) + 1:
        raise ValueError(f"weight {weight} does not fit image {image}")
    if groups < 1 or image[0] != weight[1] * groups or weight[0] % groups:
        raise ValueError(f"weight {weight} in {groups} groups does not fit {image[0]} channels")
    return (weight[0], *op.slide(image[1:], weight[2:]))


@dataclass(frozen=True)
class Dense(Op):
    """Every element of the input, in C order, to every output: weight ``O x I``, bias ``O``."""

    mnemonic: ClassVar[str] = "ann.dense"

    def infer(self, *operands: Type) -> Tensor:
        """Tensor of any shape, weight, bias to a vector."""
        expect(3, operands)
        value, weight, bias = map(expect_tensor, operands)
        if len(weight.shape) != 2 or weight.shape[1] != prod(value.shape):
            raise ValueError(f"weight {weight.shape} does not fit {value.shape}")
        expect_broadcast(bias.shape, weight.shape[:1], "bias")
        return Tensor(weight.shape[:1])


@dataclass(frozen=True)
class BatchNorm(Op):
    """``(x - mean) / sqrt(variance + epsilon) * scale + shift``, one of each a channel."""

    mnemonic: ClassVar[str] = "ann.batchnorm"
    epsilon: float = 1e-5

    def infer(self, *operands: Type) -> Tensor:
        """Tensor, scale, shift, mean, variance to a tensor of the same shape."""
        expect(5, operands)
        value, *parameters = map(expect_tensor, operands)
        if not value.shape or any(p.shape != value.shape[:1] for p in parameters):
            raise ValueError(f"parameters do not fit the channels of {value}")
        return Tensor(value.shape)


@dataclass(frozen=True)
class Affine(Op):
    """``x * scale + shift``, both spread over x."""

    mnemonic: ClassVar[str] = "ann.affine"

    def infer(self, *operands: Type) -> Tensor:
        """Tensor, scale, shift to a tensor of the same shape."""
        expect(3, operands)
        value, scale, shift = map(expect_tensor, operands)
        expect_broadcast(scale.shape, value.shape, "scale")
        expect_broadcast(shift.shape, value.shape, "shift")
        return Tensor(value.shape)
