"""The tensor level: what the trained network computes, in real numbers."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar, TypeAlias

import numpy as np

from .formula import run
from .ops import Op, Sliding, expect, expect_broadcast, expect_rescaling, expect_tensor
from .types import Tensor, Type


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
        shape = expect_tensor(operands[0]).shape
        for times in operands[1:]:
            if (self.low or 0) > 0 or (self.high or 0) < 0:
                raise ValueError("bounds of which each channel has a multiple lie around zero")
            expect_broadcast(expect_tensor(times).shape, shape, "multiple of the bounds")
        return Tensor(shape)


@dataclass(frozen=True)
class Function(Op):
    """A function of each element, in postfix (see `formula`): ``"x x sigmoid *"``.

    A constant, where there is one, multiplies the result and spreads over it.
    """

    mnemonic: ClassVar[str] = "ann.function"
    formula: str = "x"

    def infer(self, *operands: Type) -> Tensor:
        """Tensor, and a gain if there is one, to a tensor of the same shape."""
        expect(2 if len(operands) > 1 else 1, operands)
        run(self.formula, None, float, lambda *_: None)
        return Tensor(_with_gain(expect_tensor(operands[0]).shape, operands[1:]))


@dataclass(frozen=True)
class Multiply(Op):
    """Product of two tensors of one shape, element by element.

    A constant, where there is one, multiplies the result and spreads over it.
    """

    mnemonic: ClassVar[str] = "ann.multiply"

    def infer(self, *operands: Type) -> Tensor:
        """Two tensors, and a gain if there is one, to a tensor of the same shape."""
        expect(3 if len(operands) > 2 else 2, operands)
        first, second = (expect_tensor(operand).shape for operand in operands[:2])
        if first != second:
            raise ValueError(f"takes tensors of one shape, got {first} and {second}")
        return Tensor(_with_gain(first, operands[2:]))


def _with_gain(shape: tuple[int, ...], gains: tuple[Type, ...]) -> tuple[int, ...]:
    """The shape of a result, over which its gain spreads."""
    for gain in gains:
        expect_broadcast(expect_tensor(gain).shape, shape, "gain")
    return shape


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
class Add(Op):
    """Sum of two or more tensors of one shape, element by element."""

    mnemonic: ClassVar[str] = "ann.add"

    def infer(self, *operands: Type) -> Tensor:
        """Tensors to a tensor of the same shape."""
        shapes = {expect_tensor(operand).shape for operand in operands}
        if len(operands) < 2 or len(shapes) != 1:
            raise ValueError(f"takes two or more tensors of one shape, got {sorted(shapes)}")
        return Tensor(shapes.pop())


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
    """Rows of a table of real numbers, by index; on the host, in front of the spikes.

    Negative indices count from the end. With ``cut`` the model casts real numbers to indices, and
    fractions are cut off; else indices are whole numbers.
    """

    mnemonic: ClassVar[str] = "ann.embed"
    cut: bool = False

    def infer(self, *operands: Type) -> Tensor:
        """Indices and a table of rows to one row for every index."""
        expect(2, operands)
        indices, table = map(expect_tensor, operands)
        if not table.shape or not table.shape[0]:
            raise ValueError(f"takes a table of rows, got shape {table.shape}")
        return Tensor((*indices.shape, *table.shape[1:]))


OnHost: TypeAlias = Softmax | ArgMax | TopK | Fill | Lookup  # computed from decoded values
