"""Writes the levels of populations as uint8.

Where channels are few, a kernel computes several neighbouring outputs at once, as channels. Kernels
read and write channels last, so that the neighbours are in order behind a reshape.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from qcompiler.ir.execution.session import OnnxWriter
from qcompiler.ir.execution.write_nodes import pads_within, sliding, write_max_pool, write_reshape
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import First

from .blocks import pooled_block
from .byte_kernel import ByteKernel
from .byte_products import is_product, write_product
from .channels_last import ChannelsLast
from .kernel_cost import Block
from .level_forms import LevelForms
from .population_kernels import Stack

_TIE_BREAK = 1 + 2.0**-20  # scale above 1 / D that rounds ties up; see `fast_engine`
_LAST, _FIRST = (0, 2, 3, 1), (0, 3, 1, 2)  # where channels go


def write_levels(writer: OnnxWriter, stack: Stack, whole: LevelForms) -> str:
    """Write the levels of a stack; the result is not clipped above."""
    if is_product(stack):
        scale = (_TIE_BREAK / stack.slope).astype(np.float32)
        raw = write_product(writer, stack, scale)
        whole.flat = whole.byte = _clipped_sums(writer, stack, raw)
        if len(stack.shape) > 1:
            whole.byte = write_reshape(writer, stack.shape, whole.flat)
        elif stack.ends_alike:
            whole.over_top = raw
        return raw
    if stack.block == Block():
        raw = _convolution(writer, stack, stack.kernel.weight)
    else:
        last = _packed_convolution(writer, stack, stack.block, 1)
        raw = _channels_first(writer, stack.shape, last)
        if stack.ends_alike:
            whole.last = last._replace(name=clipped(writer, last.name, stack.top))
            whole.byte = _channels_first(writer, stack.shape, whole.last)
            return raw
    whole.byte = _clipped_sums(writer, stack, raw)
    return raw


def _channels_first(writer: OnnxWriter, shape: tuple[int, ...], last: ChannelsLast) -> str:
    return writer.add("Transpose", last.reshaped(writer, (*shape[1:], shape[0])), perm=_FIRST)


def _clipped_sums(writer: OnnxWriter, stack: Stack, byte: str) -> str:
    """Clip the levels of a stack above, those of each sum at its highest level."""
    if stack.ends_alike:
        return clipped(writer, byte, stack.top)
    parts, first = [], 0
    for one in stack.sums:
        ends = (writer.constant(np.array([n], np.int64)) for n in (first, first + one.channels, 1))
        parts.append(clipped(writer, writer.add("Slice", byte, *ends), one.ladder.top))
        first += one.channels
    return writer.add("Concat", *parts, axis=1)


def pools_packed(stack: Stack, op: First) -> bool:
    """Whether a max pool takes neighbours that its kernel computes at once, each once."""
    columns = stack.block.columns
    if columns == 1:
        return False
    return _takes_once(op, -1) and columns % op.kernel[-1] == 0 and pads_within(op, op.kernel)


def _takes_once(op: First, axis: int) -> bool:
    size, pads = op.kernel[axis], (op.pads[axis % 2], op.pads[axis % 2 + 2])
    return (op.strides[axis], op.dilations[axis], *pads) == (size, 1, 0, 0)


def write_pooled_bytes(
    writer: OnnxWriter, stack: Stack, op: First, shape: tuple[int, ...]
) -> tuple[str, ChannelsLast]:
    """Write the maxima of the levels of a stack, of this shape, clipped: channels first, and last.

    More channels are pooled at once than there are: those of outputs that are not neighbours.
    """
    (channels, height, width), (_, pooled) = stack.shape, op.kernel
    space, by_rows = stack.shape[1:], _takes_once(op, 0)
    block = pooled_block(stack.kernel, space, op.kernel, by_rows)
    rows, beside = block.rows, block.columns // pooled
    if rows > 1:  # then all that is pooled lies side by side
        flat = (1, rows * pooled)
        op = replace(op, kernel=flat, strides=flat)
    whole = _packed_convolution(writer, stack, block, pooled)
    row = (width // beside * rows, beside * channels)
    found = _channels_first(writer, (row[1], height // rows, row[0]), whole)
    found = clipped(writer, write_max_pool(writer, op, op.kernel, found), stack.top)
    found = writer.add("Transpose", found, perm=_LAST)
    last = ChannelsLast(found, (shape[1], shape[2] // beside, row[1]))
    return _channels_first(writer, shape, last), last


def clipped(writer: OnnxWriter, byte: str, top: int) -> str:
    """Clip uint8 levels above."""
    return writer.add("Clip", byte, "", writer.constant(np.asarray(top, np.uint8)))


def _convolution(
    writer: OnnxWriter, stack: Stack, weight: Array, grouped: int = 0, **changed: Any
) -> str:
    """Write a convolution; channels are last, and as many columns are channels, if ``grouped``."""
    kernel, constant, copies = stack.kernel, writer.constant, len(weight) // len(stack.slope)
    source = _columns(writer, kernel, grouped) if grouped else _stacked(writer, kernel)
    if grouped:
        changed |= {"domain": "com.microsoft", "channels_last": 1}
    one, zero = constant(np.ones((), np.float32)), constant(np.zeros((), np.uint8))
    scale = constant(np.tile(_TIE_BREAK / stack.slope, copies).astype(np.float32))
    bias = constant(np.tile(stack.bias, copies).astype(np.int32))
    zeros = constant(np.zeros(len(weight), np.int8))
    inputs = source, one, zero, constant(weight, "W"), scale, zeros, one, zero, bias
    attributes = {"group": kernel.op.groups, **sliding(kernel.op), **changed}
    return writer.add("QLinearConv", *inputs, **attributes)


def _stacked(writer: OnnxWriter, kernel: ByteKernel) -> str:
    """The sources of a kernel, channels first."""
    forms = [source.chosen(writer, source.write()) for source in kernel.sources]
    return writer.add("Concat", *forms, axis=1) if len(forms) > 1 else forms[0]


def _columns(writer: OnnxWriter, kernel: ByteKernel, grouped: int) -> str:
    """The sources of a kernel, channels last, of so many columns each."""
    height, width = kernel.sources[0].space
    last = kernel.sources[0].last if len(kernel.sources) == 1 else None
    if last is None:
        found = writer.add("Transpose", _stacked(writer, kernel), perm=_LAST)
        last = ChannelsLast(found, (height, width, kernel.shape[1]))
    return last.reshaped(writer, (height, width // grouped, kernel.shape[1] * grouped))


def _packed_convolution(
    writer: OnnxWriter, stack: Stack, block: Block, pooled: int
) -> ChannelsLast:
    """Outputs of a block as channels: row by row, first those ``pooled`` apart."""
    op, (*outputs, tall, wide), grouped = stack.kernel.op, stack.kernel.shape, block.grouped
    (down, across), before = op.strides, block.before(stack.kernel)
    taps = block.taps(stack.kernel)
    packed = np.zeros((block.rows, block.columns, *outputs, taps[0], taps[1] * grouped), np.int8)
    for row, column in np.ndindex(block.rows, block.columns):
        y, x = row * down, column * across + before
        packed[row, column, ..., y : y + tall, x : x + wide] = stack.kernel.weight
    order = np.arange(block.size).reshape(block.rows, -1, pooled).transpose(0, 2, 1).reshape(-1)
    each = packed.reshape(block.size, *packed.shape[2:])[order]
    columns = each.reshape(-1, outputs[1], *taps, grouped).transpose(0, 4, 1, 2, 3)
    found = _convolution(
        writer,
        stack,
        columns.reshape(len(columns), -1, *taps),
        grouped=grouped,
        strides=(down * block.rows, across * block.columns // grouped),
        pads=_pads(stack, block),
    )
    height, width = stack.shape[1] // block.rows, stack.shape[2] // block.columns
    return ChannelsLast(found, (height, width, len(columns)))


def _pads(stack: Stack, block: Block) -> tuple[int, ...]:
    """The pads of a convolution that computes blocks, in rows and groups of columns."""
    op, kernel, grouped = stack.kernel.op, stack.kernel, block.grouped
    (height, width), (rows, columns) = kernel.sources[0].space, stack.shape[1:]
    top, left = op.pads[0], (op.pads[1] + block.before(kernel)) // grouped
    tall = (rows - 1) * op.strides[0] + (kernel.shape[2] - 1) * op.dilations[0] + 1
    step = op.strides[1] * block.columns // grouped
    wide = (columns // block.columns - 1) * step + block.taps(kernel)[1]
    return top, left, max(0, tall - height - top), max(0, wide - width // grouped - left)
