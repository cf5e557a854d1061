"""Preprocessing that is compiled into a network: it then takes raw pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qcompiler.frontend.model.node_errors import Refused
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.frontend.model.scope import Scope, Shape
from qcompiler.ir import Value
from qcompiler.ir.ann import Affine
from qcompiler.ir.view import Take

_ORIGIN = ("preprocessing",)
_CHANNELS = (1, 3, 4)
_SMALLEST, _LARGEST = 1e-30, 1e30  # of what single precision can divide by


@dataclass(frozen=True)
class Preprocessing:
    """``(x - mean) / scale`` of every channel, in the model's order of channels.

    ``mean`` and ``scale`` have one value, or one a channel; none means 0 and 1.
    ``reverse_channels`` turns the channels of the raw input round first. ``layout`` is what the
    model takes, ``nchw`` or ``nhwc``; without it channels come first, unless the last axis has 1,
    3 or 4 elements and the first has not.
    """

    mean: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    reverse_channels: bool = False
    layout: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", tuple(map(float, self.mean)))
        object.__setattr__(self, "scale", tuple(map(float, self.scale)))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, which `Preprocessing` takes as keywords."""
        return {**vars(self), "mean": list(self.mean), "scale": list(self.scale)}

    @property
    def active(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.mean or self.scale or self.reverse_channels)

    def channel_axis(self, shape: Shape) -> int:
        """Which axis of one sample counts the channels."""
        if self.layout == "nhwc":
            return len(shape) - 1
        last = shape[-1] in _CHANNELS and shape[0] not in _CHANNELS
        return len(shape) - 1 if self.layout is None and last else 0

    def apply(self, x: Array) -> Array:
        """Do it to a batch of raw inputs, as the compiled network does."""
        if not self.active:
            return x
        shape = x.shape[1:]
        if self.reverse_channels:
            x = np.flip(x, 1 + self.channel_axis(shape))
        scale, shift = self.affine(shape)
        result: Array = x.astype(np.float32) * scale + shift
        return result

    def affine(self, shape: Shape) -> tuple[Array, Array]:
        """Factor and summand of every channel, shaped to spread over one sample."""
        scale = np.asarray(self.scale or (1.0,), np.float64)
        mean = np.asarray(self.mean or (0.0,), np.float64)
        axis = self.channel_axis(shape)

        def spread(values: Array) -> Array:
            grown = [values.size if a == axis else 1 for a in range(len(shape))]
            return values.astype(np.float32).reshape(grown)

        return spread(1 / scale), spread(-mean / scale)

    def check(self, shape: Shape) -> None:
        """Refuse what does not fit an input of this shape."""
        if self.layout not in (None, "nchw", "nhwc"):
            raise Refused(f"layout {self.layout} is not known", "choose nchw or nhwc")
        if self.reverse_channels and len(shape) < 2:
            raise Refused("channels cannot be reversed: the input has no channel axis")
        channels = shape[self.channel_axis(shape)]
        if self.reverse_channels and channels != 3:
            raise Refused(
                f"channels cannot be reversed: the input of shape {shape} has {channels}, not 3",
                "--layout states which axis holds the channels",
            )
        for name, values in (("mean_values", self.mean), ("scale_values", self.scale)):
            if len(values) not in (0, 1, channels):
                many = f"{channels} channel{'s' * (channels != 1)}"
                raise Refused(
                    f"{name} has {len(values)} numbers for an input of {many}, of shape {shape}",
                    "give one number, or one per channel; --layout states the channel axis",
                )
        self.check_numbers()

    def check_numbers(self) -> None:
        """Refuse means and scales that fit no input."""
        for value in self.mean:
            if not abs(value) <= _LARGEST:
                raise Refused(
                    f"mean_values cannot hold {value:g}: give finite numbers, in size at most "
                    f"{_LARGEST:g}"
                )
        for value in self.scale:
            if not _SMALLEST <= abs(value) <= _LARGEST:
                raise Refused(
                    f"scale_values cannot hold {value:g}, as the input is divided by it: give "
                    f"finite numbers, in size from {_SMALLEST:g} to {_LARGEST:g}"
                )

    def compile(self, scope: Scope, raw: Value) -> Value:
        """Append to the graph what turns a raw input into what the model takes."""
        if not self.active:
            return raw
        shape, x = raw.type.shape, raw
        self.check(shape)
        axis = self.channel_axis(shape)
        if self.reverse_channels and shape[axis] > 1:
            take = Take(axis, tuple(reversed(range(shape[axis]))))
            x = scope.builder.add(take, x, name=f"{raw.name}.reversed", origin=_ORIGIN)
        if self.mean or self.scale:
            scale, shift = self.affine(shape)
            factor = scope.constant("preprocessing.scale", scale)
            summand = scope.constant("preprocessing.shift", shift)
            name = f"{raw.name}.scaled"
            x = scope.builder.add(Affine(), x, factor, summand, name=name, origin=_ORIGIN)
        return x
