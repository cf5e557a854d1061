"""Sums of populations, how 8-bit kernels compute them, and how float32 does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from qcompiler.ir.execution.session import OnnxWriter
from qcompiler.ir.execution.write_nodes import write_synapse
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Synapse

from .border_bias import border_part
from .byte_kernel import ByteKernel, byte_kernel
from .exact_arithmetic import divisor, fits_bytes, fits_float32, is_per_channel, per_channel
from .families import Ladder
from .kernel_cost import Block, byte_cost, copy_cost, real_cost
from .level_forms import LevelForms
from .sum_parts import SumPart, with_whole_inputs
from .unrolling import cheapest

_WIDEST = 1 << 24  # weight of a border; larger ones take too many 8-bit weights anyway


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
        parts = with_whole_inputs(self.parts)
        over = divisor(parts, slope)
        if not fits_bytes(slope // over, self.ladder.top):
            return None
        if is_per_channel(layer, layer.bias):
            return ByteSum(parts, per_channel(layer, layer.bias) // over, slope // over, over)
        by = over.reshape(-1, *(1,) * (len(layer.spikes.shape) - 1))
        found = border_part(parts, np.broadcast_to(layer.bias // by, layer.spikes.shape))
        if found is None:
            return None
        border, bias = found
        weight = border.weight * over.reshape(-1, *(1,) * (border.weight.ndim - 1))
        if np.abs(weight).max() > _WIDEST:
            return None
        parts = [*parts, SumPart(border.op, weight.astype(np.int32), border.source)]
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
    block: Block
    slope: Array
    bias: Array

    @property
    def top(self) -> int:
        """The highest level of all."""
        return max(one.ladder.top for one in self.sums)

    @property
    def ends_alike(self) -> bool:
        """Whether all have the same highest level."""
        return len({one.ladder.top for one in self.sums}) == 1

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of all outputs."""
        return (len(self.slope), *self.sums[0].ladder.base.spikes.shape[1:])

    @property
    def cost(self) -> float:
        """What it costs; see `kernel_cost`."""
        found = byte_cost(self.kernel, self.block)
        return found if self.ends_alike else found + copy_cost(len(self.sums), len(self.slope))


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


def cheapest_stacks(sums: Sequence[Sum]) -> tuple[float, list[Stack | Sum]]:
    """Sums as one kernel, or those that end at the same level, or each in float32; and the cost."""
    stack, ends = stack_of(sums), sorted({one.ladder.top for one in sums})
    if len(ends) > 1:
        found = [cheapest_stacks([one for one in sums if one.ladder.top == end]) for end in ends]
        cost, ways = sum(cost for cost, _ in found), [way for _, ways in found for way in ways]
        return (stack.cost, [stack]) if stack is not None and stack.cost < cost else (cost, ways)
    for known in (True, None):  # first without a look at all weights
        cost = sum(real_cost(o.parts, o.channels, known or o.scaled) for o in sums)
        if stack is not None and stack.cost < cost:
            return stack.cost, [stack]
    return cost, [*sums]


def _stacked(sums: Sequence[ByteSum]) -> list[SumPart]:
    """The parts of several sums; where one has no part, its weights are 0."""
    if len(sums) == 1:
        return sums[0].parts
    kinds = dict.fromkeys(_kind(part) for one in sums for part in one.parts)
    found = []
    for op, source, shape in kinds:
        weight = np.zeros((sum(len(one.slope) for one in sums), *shape), np.int32)
        first = 0
        for one in sums:
            own = weight[first : first + len(one.slope)]
            for part in one.parts:
                if _kind(part) == (op, source, shape):
                    own += part.weight.astype(np.int32)
            first += len(one.slope)
        found.append(SumPart(op, weight, source))
    return found


def _kind(part: SumPart) -> tuple[Synapse, LevelForms, tuple[int, ...]]:
    """What parts have in common whose weights may lie in one kernel."""
    return part.op, part.source, part.weight.shape[1:]


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
