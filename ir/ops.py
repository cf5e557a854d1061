"""What all operations have in common."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import prod
from typing import Any, ClassVar

import numpy as np

from .types import Current, Spikes, Tensor, Type

_MOST_AXES = 3  # of space, as onnxruntime's kernels
_MOST_TAPS = 1 << 27  # products for one channel

Attribute = int | float | bool | str | None | tuple["Attribute", ...]


@dataclass(frozen=True)
class Op:
    """An operation; its dataclass fields are its attributes.

    Attributes are int, float, bool, str, None or tuples of them, so that the text form can be
    read back as Python literals.
    """

    # No ABC: passes ask for the class of every node all the time, which takes an ABC long.

    mnemonic: ClassVar[str]

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, tuple | np.generic):
                object.__setattr__(self, name, plain(value))

    def infer(self, *operands: Type) -> Type:
        """Return the type of the result, without range; ValueError if the operands do not fit."""
        raise NotImplementedError

    def attributes(self) -> dict[str, Attribute]:
        """Attributes that differ from their defaults, in order of declaration."""
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if getattr(self, field.name) != field.default
        }


def plain(value: Any) -> Attribute:
    """Numbers of numpy, which are written differently from version to version, become Python's."""
    if isinstance(value, tuple):
        return value if {*map(type, value)} <= {int} else tuple(map(plain, value))
    found: Attribute = value.item() if isinstance(value, np.generic) else value
    return found


def expect(count: int, operands: tuple[Type, ...]) -> None:
    """Check the number of operands."""
    if len(operands) != count:
        raise ValueError(f"takes {count} operands, got {len(operands)}")


def expect_tensor(type_: Type) -> Tensor:
    """Check that an operand is a tensor of real numbers."""
    if not isinstance(type_, Tensor) or type_.dtype != "f32":
        raise ValueError(f"takes a tensor of real numbers, got {type_}")
    return type_


def expect_spikes(type_: Type) -> Spikes:
    """Check that an operand is a spike train."""
    if not isinstance(type_, Spikes):
        raise ValueError(f"takes spikes, got {type_}")
    return type_


def expect_current(type_: Type) -> Current:
    """Check that an operand is a current."""
    if not isinstance(type_, Current):
        raise ValueError(f"takes a current, got {type_}")
    return type_


def expect_broadcast(shape: tuple[int, ...], target: tuple[int, ...], what: str) -> None:
    """Check that a constant of ``shape`` broadcasts to ``target``; ValueError if not."""
    try:
        fits = np.broadcast_shapes(shape, target) == target
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{what} of shape {shape} does not broadcast to {target}")


def expect_rescaling(shape: tuple[int, ...], constants: tuple[Type, ...]) -> None:
    """Check an offset and a factor for raw numbers of a shape; ValueError if they do not fit."""
    for constant, what in zip(map(expect_tensor, constants), ("offset", "factor"), strict=True):
        expect_broadcast(constant.shape, shape, what)
        if constant.dtype != "f32":
            raise ValueError(f"takes an {what} of real numbers, got {constant}")


class TooLarge(ValueError):
    """What an operation would compute makes sense, but is more than is supported."""


@dataclass(frozen=True)
class Sliding(Op):
    """Attributes of operations that slide a kernel over the axes behind the channel.

    ``pads`` holds the begin of every axis, then the end of every axis, as in ONNX.
    """

    strides: tuple[int, ...] = ()
    pads: tuple[int, ...] = ()
    dilations: tuple[int, ...] = ()

    def slide(self, space: tuple[int, ...], kernel: tuple[int, ...]) -> tuple[int, ...]:
        """Output size along each axis; ValueError if the kernel does not fit."""
        rank = len(space)
        sizes = (len(kernel), len(self.strides), len(self.dilations), len(self.pads) // 2)
        if any(found != rank for found in sizes) or len(self.pads) != 2 * rank:
            raise ValueError(f"kernel, strides, pads and dilations do not fit {rank} spatial axes")
        if min((*kernel, *self.strides, *self.dilations), default=1) < 1:
            raise ValueError("kernel, strides and dilations must be at least 1")
        if min(self.pads, default=0) < 0:
            raise ValueError("pads must not be negative")
        spans = (
            length + before + after - (k - 1) * dilation - 1
            for length, before, after, k, dilation in zip(
                space, self.pads[:rank], self.pads[rank:], kernel, self.dilations, strict=True
            )
        )
        out = tuple(span // stride + 1 for span, stride in zip(spans, self.strides, strict=True))
        if min(out, default=1) < 1:
            raise ValueError(f"kernel {kernel} is larger than its padded input {space}")
        if rank > _MOST_AXES:
            raise TooLarge(f"kernel {kernel} has more than {_MOST_AXES} axes of space")
        if prod(out) * prod(kernel) > _MOST_TAPS:
            each = f"{prod(kernel)} values of a channel at {prod(out)} places"
            raise TooLarge(f"reads {each}, more than {_MOST_TAPS} in all")
        return out
