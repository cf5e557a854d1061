"""Writes kernels whose outputs each see all neurons of their sources as products of matrices.

One product does for all frames, where a convolution takes one a frame.
"""

from __future__ import annotations

from math import prod

import numpy as np

from qcompiler.ir.execution.session import OnnxWriter
from qcompiler.ir.execution.write_nodes import write_reshape
from qcompiler.ir.kernels import Array

from .byte_kernel import ByteKernel
from .level_forms import LevelForms
from .population_kernels import Stack
from .sources import Source


def is_product(stack: Stack) -> bool:
    """Whether a kernel is as large as its sources, or these have no axes of space."""
    kernel = stack.kernel
    if kernel.flat:
        return True
    if prod(stack.shape[1:]) > 1 or kernel.op.groups > 1 or any(kernel.op.pads):
        return False
    return all(source.space == kernel.shape[2:] for source in kernel.sources)


def write_product(writer: OnnxWriter, stack: Stack, scale: Array) -> str:
    """Write the levels of a stack, ``batch x outputs``, not clipped above."""
    kernel, constant = stack.kernel, writer.constant
    forms = [_flat(writer, kernel, source) for source in kernel.sources]
    source = writer.add("Concat", *forms, axis=1) if len(forms) > 1 else forms[0]
    matrix = np.concatenate([_rows(weight) for weight in kernel.weights])
    one, zero = constant(np.ones((), np.float32)), constant(np.zeros((), np.uint8))
    zeros, bias = constant(np.zeros(len(scale), np.int8)), constant(stack.bias.astype(np.int32))
    inputs = source, one, zero, constant(matrix, "W"), constant(scale), zeros, bias, one, zero
    return writer.add("QGemm", *inputs, domain="com.microsoft")


def _rows(weight: Array) -> Array:
    """One row for each neuron of a source, channels last."""
    rows: Array = np.moveaxis(weight, 1, -1).reshape(len(weight), -1).T
    return rows


def _flat(writer: OnnxWriter, kernel: ByteKernel, source: Source) -> str:
    """The levels of a source along one axis, channels last."""
    if (kernel.flat or prod(source.space) == 1) and not source.places:
        return source.chosen(writer, _along_one_axis(writer, source.form, source.factor))
    if source.last is not None:
        return source.last.reshaped(writer, (prod(source.form.shape),))
    found = source.chosen(writer, source.write())
    order = (0, *range(2, 2 + len(source.space)), 1)  # most kernels write channels last, too
    return write_reshape(writer, (-1,), writer.add("Transpose", found, perm=order))


def _along_one_axis(writer: OnnxWriter, form: LevelForms, factor: int) -> str:
    if factor == 1 and form.flat is not None:
        return form.flat
    found = form.times(factor)
    return found if len(form.shape) == 1 else write_reshape(writer, (-1,), found)
