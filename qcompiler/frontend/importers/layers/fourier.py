"""Importers of Fourier transforms of fixed length: sums with constant weights.

A complex number is two real ones, along the last axis.
"""

from __future__ import annotations

from math import prod

import numpy as np

from qcompiler.frontend.importers.views.reshape import axis_of, mixes_batch
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.ir import Value
from qcompiler.ir.ann import Conv
from qcompiler.ir.view import Reshape, Transpose

from .linear import rows

_MOST = 1 << 24  # weights of a transform
_INPUT_OF_AXIS = 20  # the opset from which the axis is an input


def dft(node: NodeContext) -> Value:
    """DFT along one axis, and its inverse: a matrix for the numbers of that axis."""
    x = node.activation()
    shape, rank = x.type.shape, len(x.type.shape)
    if rank < 2 or shape[-1] > 2:
        raise InvalidNode(f"transforms real or complex numbers, not samples of shape {shape}")
    axis = axis_of(axis_of_dft(node), rank + 1) - 1
    if axis < 0:
        raise mixes_batch(node)
    if axis == rank - 1:
        raise InvalidNode("transforms the axis that holds the parts of complex numbers")
    inverse, half = (bool(node.integer(name, 0)) for name in ("inverse", "onesided"))
    length = node.fixed_integer(1, "length")
    if length is None:
        length = 2 * (shape[axis] - 1) if inverse and half else shape[axis]
    sums = _sums(node, shape[axis], shape[-1], length, inverse, half)
    rest = [n for n in range(rank - 1) if n != axis]
    outer = tuple(shape[n] for n in rest)
    turned = node.part("turned", Transpose((*rest, axis, rank - 1)), x)
    numbers = node.part("numbers", Reshape((prod(outer), len(sums))), turned)
    flat = rows(node.within("sums"), numbers, sums.reshape(len(sums), -1), numbers.type.shape)
    apart = node.part("apart", Reshape((*outer, *sums.shape[1:])), flat)
    return node.add(Transpose(tuple(int(n) for n in np.argsort([*rest, axis, rank - 1]))), apart)


def stft(node: NodeContext) -> Value:
    """STFT: a convolution with the weighted waves of a window."""
    x, step = node.activation(), node.fixed_integer(1, "step between windows")
    shape = (*x.type.shape, 1) if len(x.type.shape) == 1 else x.type.shape
    window = None if node.item(2) is None else node.weight(2, "window")[1]
    length = node.fixed_integer(3, "length of a window")
    if length is None:
        length = shape[0] if window is None else window.size
    if len(shape) != 2 or shape[1] > 2 or step is None or step < 1 or not 1 <= length <= shape[0]:
        raise InvalidNode(f"has windows of {length}, {step} apart, for samples of shape {shape}")
    if window is not None and window.shape != (length,):
        raise InvalidNode(f"has a window of shape {window.shape} for {length} numbers")
    sums = _sums(node, length, shape[1], length, False, bool(node.integer("onesided", 1)))
    weights = np.ones(length, np.float32) if window is None else window
    waves = sums.reshape(length, shape[1], -1) * weights[:, None, None]
    signal = node.part("signal", Transpose((1, 0)), node.part("numbers", Reshape(shape), x))
    kernel = node.constant("weight", waves.transpose(2, 1, 0))
    bias = node.constant("bias", np.zeros((waves.shape[2], 1), np.float32))
    found = node.part("sums", Conv((step,), (0, 0), (1,)), signal, kernel, bias)
    windows = found.type.shape[1]
    apart = node.part("apart", Reshape((*sums.shape[1:], windows)), found)
    return node.add(Transpose((2, 0, 1)), apart)


def _sums(
    node: NodeContext, given: int, parts: int, length: int, inverse: bool, half: bool
) -> Array:
    """What a transform makes of each part of ``given`` numbers: x ``found`` x their parts."""
    if length < 1 or given * parts * length * 2 > _MOST:
        raise Refused(f"{node.op_type} of {given} numbers to {length} is not supported")
    units = np.asarray([1, 1j])[:parts]
    used = min(given, length)  # what a transform leaves out has no weight
    numbers = (np.eye(given, used)[:, None] * units[:, None]).reshape(given * parts, used)
    if inverse and half:
        return np.fft.irfft(numbers, length)[..., None].astype(np.float32)
    found = (np.fft.ifft if inverse else np.fft.fft)(numbers, length)
    if half:
        found = found[:, : length // 2 + 1]
    return np.stack([found.real, found.imag], axis=-1).astype(np.float32)


def axis_of_dft(node: NodeContext) -> int:
    """The axis that a DFT transforms, as the node counts it."""
    if node.opset < _INPUT_OF_AXIS:
        return node.integer("axis", 1)
    found = node.fixed_integer(2, "axis")
    return -2 if found is None else found
