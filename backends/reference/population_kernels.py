"""Writes the levels of populations: sums, quotients and clips, in float32 or in 8 bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from qcompiler.ir.execution.session import (
    OnnxWriter,
    sliding,
    write_clip,
    write_reshape,
    write_synapse,
)
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Relay

from .border_bias import border_part
from .byte_kernel import ByteKernel, Source, byte_kernel
from .exact_arithmetic import divisor, fits_bytes, fits_float32, is_per_channel, per_channel
from .families import Ladder
from .kernel_cost import byte_cost, real_cost
from .level_forms import LevelForms
from .sum_parts import SumPart
from .unrolling import cheapest

_TIE_BREAK = 1 + 2.0**-20  # scale above 1 / D that rounds ties up; see `fast_engine`


class ByteSum(NamedTuple):
    """Parts of a sum; its bias and slope for each channel, over a common divisor of all."""

    parts: list[SumPart]
    bias: Array
    slope: Array
    divisor: Array


@dataclass(frozen=True)
class Sum:
    """A ladder and the parts of its sum."""

    ladder: Ladder
    parts: list[SumPart]

    @cached_property
    def scaled(self) -> bool:
        """Whether weights over D in float32 will do."""
        return fits_float32(self.ladder.base, self.parts)

    @cached_property
    def in_bytes(self) -> ByteSum | None:
        """The same for 8-bit kernels; None if they would not give its exact levels."""
        layer = self.ladder.base
        if not is_per_channel(layer, layer.slope):
            return None
        slope = per_channel(layer, layer.slope)
        over = divisor(self.parts, slope)
        if not fits_bytes(slope // over, self.ladder.top):
            return None
        if is_per_channel(layer, layer.bias):
            return ByteSum(self.parts, per_channel(layer, layer.bias) // over, slope // over, over)
        by = over.reshape(-1, *(1,) * (len(layer.spikes.shape) - 1))
        found = border_part(self.parts, np.broadcast_to(layer.bias // by, layer.spikes.shape))
        if found is None:
            return None
        border, bias = found
        weight = border.weight * over.reshape(-1, *(1,) * (border.weight.ndim - 1))
        parts = [*self.parts, SumPart(border.op, weight, border.source)]
        return ByteSum(parts, bias, slope // over, over)

    @property
    def channels(self) -> int:
        """Channels of the outputs; 1 if there are no axes."""
        return (self.ladder.base.spikes.shape or (1,))[0]


@dataclass(frozen=True)
class Stack:
    """Sums from the same sources as one kernel: channels of one lie behind those of another."""

    sums: tuple[Sum, ...]
    kernel: ByteKernel
    packed: int  # neighbouring outputs that the kernel computes at once
    slope: Array
    bias: Array

    @property
    def top(self) -> int:
        """The highest level, the same of all."""
        return self.sums[0].ladder.top

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of all outputs."""
        return (len(self.slope), *self.sums[0].ladder.base.spikes.shape[1:])

    @property
    def is_faster(self) -> bool:
        """Whether it costs less than float32."""
        known = sum(real_cost(one.parts, one.channels, one.scaled) for one in self.sums)
        return byte_cost(self.kernel, self.packed) < known


def stack_of(sums: Sequence[Sum]) -> Stack | None:
    """Sums as one kernel, if there is one."""
    found = [one.in_bytes for one in sums if one.in_bytes is not None]
    if not found or len(found) < len(sums):
        return None
    slope, bias, over = (
        np.concatenate([getattr(one, name) for one in found])
        for name in ("slope", "bias", "divisor")
    )
    kernel = byte_kernel(_stacked(found), over)
    if kernel is None:
        return None
    way = cheapest(kernel, sums[0].ladder.base.spikes.shape[1:])
    return Stack(tuple(sums), *way, slope, bias - slope // 2)


def _stacked(sums: Sequence[ByteSum]) -> list[SumPart]:
    """The parts of several sums; where one has no part, its weights are 0."""
    if len(sums) == 1:
        return sums[0].parts
    kinds = {(part.op, part.source): part for one in sums for part in one.parts}
    found = []
    for (op, source), model in kinds.items():
        weights = []
        for one in sums:
            own = [p.weight for p in one.parts if p.op == op and p.source is source]
            blank = np.zeros((len(one.slope), *model.weight.shape[1:]), np.int64)
            weights.append(sum(own, blank))
        found.append(SumPart(op, np.concatenate(weights), source))
    return found


def write_bytes(writer: OnnxWriter, stack: Stack) -> str:
    """Write the levels of a stack as uint8, not clipped above."""
    kernel, constant = stack.kernel, writer.constant
    forms = [_flat(writer, kernel, source) for source in kernel.sources]
    source = writer.add("Concat", *forms, axis=1) if len(forms) > 1 else forms[0]
    one, zero = constant(np.float32(1).reshape(())), constant(np.zeros((), np.uint8))
    weight, packed = kernel.weight, stack.packed
    attributes: dict[str, Any] = {"group": kernel.op.groups, **sliding(kernel.op)}
    if packed > 1:
        weight, changed = _packed(kernel, packed, stack)
        attributes |= {**changed, "domain": "com.microsoft", "channels_last": 1}
        source = writer.add("Transpose", source, perm=(0, 2, 3, 1))
    scale = constant(np.tile(_TIE_BREAK / stack.slope, packed).astype(np.float32))
    bias = constant(np.tile(stack.bias, packed).astype(np.int32))
    zeros = constant(np.zeros(len(weight), np.int8))
    inputs = source, one, zero, constant(weight, "W"), scale, zeros, one, zero, bias
    whole = writer.add("QLinearConv", *inputs, **attributes)
    if packed > 1:
        whole = write_reshape(writer, (*stack.shape[1:], stack.shape[0]), whole)
        return writer.add("Transpose", whole, perm=(0, 3, 1, 2))
    return write_reshape(writer, stack.shape, whole) if kernel.flat else whole


def _flat(writer: OnnxWriter, kernel: ByteKernel, source: Source) -> str:
    if not kernel.flat:
        return source.write()
    return write_reshape(writer, (int(np.prod(source.form.shape)), 1, 1), source.write())


def _packed(kernel: ByteKernel, packed: int, stack: Stack) -> tuple[Array, dict[str, Any]]:
    """Weights ``(packed x O) x C x kernel`` and attributes for neighbours computed at once."""
    op, weight = kernel.op, kernel.weight
    (down, across), width = op.strides, weight.shape[-1]
    wide = np.zeros((packed, *weight.shape[:-1], width + (packed - 1) * across), np.int8)
    for at in range(packed):
        wide[at, ..., at * across : at * across + width] = weight
    columns = kernel.sources[0].form.shape[-1]
    behind = (stack.shape[-1] - 1) * across + width - columns - op.pads[1]
    pads = (*op.pads[:3], max(0, behind))
    changed = {"strides": (down, across * packed), "pads": pads}
    return wide.reshape(-1, *wide.shape[2:]), changed


def write_sum(writer: OnnxWriter, parts: Sequence[SumPart], bias: Array | None) -> str:
    """Write a sum in float32; the bias has one number for each channel."""
    total = ""
    for part in parts:
        source = part.source.as_real()
        found = write_synapse(writer, part.op, source, part.weight, None if total else bias)
        total = writer.add("Add", total, found) if total else found
    return total


def write_scaled(writer: OnnxWriter, one: Sum) -> str:
    """V / D from weights over D in float32, where rounding cannot reach an integer."""
    (part,), layer = one.parts, one.ladder.base
    slope = per_channel(layer, layer.slope)
    over = slope.reshape(-1, *(1,) * (part.weight.ndim - 1))
    bias = (per_channel(layer, layer.bias) + 0.5) / slope
    return write_synapse(writer, part.op, part.source.as_real(), part.weight / over, bias)
