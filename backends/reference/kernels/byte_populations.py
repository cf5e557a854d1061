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
from .byte_products import is_product, write_product
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
        return raw
    if stack.block == Block():
        raw = _convolution(writer, stack, stack.kernel.weight)
    else:
        raw = _packed_convolution(writer, stack, stack.block, 1)
        raw = write_reshape(writer, (*stack.shape[1:], stack.shape[0]), raw)
        raw = writer.add("Transpose", raw, perm=_FIRST)
    whole.byte = _clipped_sums(writer, stack, raw)
    return raw


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


def write_pooled_bytes(writer: OnnxWriter, stack: Stack, op: First, shape: tuple[int, ...]) -> str:
    """Write the maxima of the levels of a stack, of this shape, clipped.

    More channels are pooled at once than there are: those of outputs that are not neighbours.
    """
    (channels, height, width), (_, pooled) = stack.shape, op.kernel
    space, by_rows = stack.shape[1:], _takes_once(op, 0)
    block = pooled_block(stack.kernel, space, op.kernel, by_rows)
    rows, columns = block.rows, block.columns
    if rows > 1:  # then all that is pooled lies side by side
        flat = (1, rows * pooled)
        op = replace(op, kernel=flat, strides=flat)
    beside = columns // pooled
    whole = _packed_convolution(writer, stack, block, pooled)
    row = (width // beside * rows, beside * channels)
    whole = write_reshape(writer, (height // rows, *row), whole)
    whole = writer.add("Transpose", whole, perm=_FIRST)
    whole = clipped(writer, write_max_pool(writer, op, op.kernel, whole), stack.top)
    whole = writer.add("Transpose", whole, perm=_LAST)
    whole = write_reshape(writer, (*shape[1:], channels), whole)
    return writer.add("Transpose", whole, perm=_FIRST)


def clipped(writer: OnnxWriter, byte: str, top: int) -> str:
    """Clip uint8 levels above."""
    return writer.add("Clip", byte, "", writer.constant(np.asarray(top, np.uint8)))


def _convolution(
    writer: OnnxWriter, stack: Stack, weight: Array, grouped: int = 0, **changed: Any
) -> str:
    """Write a convolution; channels are last, and as many columns are channels, if ``grouped``."""
    kernel, constant, copies = stack.kernel, writer.constant, len(weight) // len(stack.slope)
    forms = [source.chosen(writer, source.write()) for source in kernel.sources]
    source = writer.add("Concat", *forms, axis=1) if len(forms) > 1 else forms[0]
    if grouped:
        source = writer.add("Transpose", source, perm=_LAST)
        changed |= {"domain": "com.microsoft", "channels_last": 1}
    if grouped > 1:
        height, width = kernel.sources[0].space
        shape = height, width // grouped, kernel.shape[1] * grouped
        source = write_reshape(writer, shape, source)
    one, zero = constant(np.ones((), np.float32)), constant(np.zeros((), np.uint8))
    scale = constant(np.tile(_TIE_BREAK / stack.slope, copies).astype(np.float32))
    bias = constant(np.tile(stack.bias, copies).astype(np.int32))
    zeros = constant(np.zeros(len(weight), np.int8))
    inputs = source, one, zero, constant(weight, "W"), scale, zeros, one, zero, bias
    attributes = {"group": kernel.op.groups, **sliding(kernel.op), **changed}
    return writer.add("QLinearConv", *inputs, **attributes)


def _packed_convolution(writer: OnnxWriter, stack: Stack, block: Block, pooled: int) -> str:
    """Outputs of a block as channels: row by row, first those ``pooled`` apart.

    The result is ``height x width x channels``, counted in blocks.
    """
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
    return _convolution(
        writer,
        stack,
        columns.reshape(len(columns), -1, *taps),
        grouped=grouped,
        strides=(down * block.rows, across * block.columns // grouped),
        pads=_pads(stack, block),
    )


def _pads(stack: Stack, block: Block) -> tuple[int, ...]:
    """The pads of a convolution that computes blocks, in rows and groups of columns."""
    op, kernel, grouped = stack.kernel.op, stack.kernel, block.grouped
    (height, width), (rows, columns) = kernel.sources[0].space, stack.shape[1:]
    top, left = op.pads[0], (op.pads[1] + block.before(kernel)) // grouped
    tall = (rows - 1) * op.strides[0] + (kernel.shape[2] - 1) * op.dilations[0] + 1
    step = op.strides[1] * block.columns // grouped
    wide = (columns // block.columns - 1) * step + block.taps(kernel)[1]
    return top, left, max(0, tall - height - top), max(0, wide - width // grouped - left)
