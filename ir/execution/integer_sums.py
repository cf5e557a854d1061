"""Sums of synapses in 8-bit integers on onnxruntime, where its kernels for these are faster."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qcompiler.ir.kernels import Array, largest_magnitude
from qcompiler.ir.snn import Connect, Convolve, Relay, Synapse

from .session import OnnxWriter
from .write_nodes import sliding, write_reshape

_LARGEST = 127
_OFFSET = 128  # weights of convolutions have no sign: the kernels take this off


def has_integer_kernel(synapse: Synapse, weight: Array) -> bool:
    """Whether 8-bit kernels compute a synapse exactly; those of several groups are slow."""
    alone = not isinstance(synapse, Convolve) or synapse.groups == 1
    return alone and (isinstance(synapse, Relay) or largest_magnitude(weight) <= _LARGEST)


def write_integer_sum(
    writer: OnnxWriter, synapses: Sequence[tuple[Synapse, Array]], names: Sequence[str]
) -> str:
    """Write the int32 sum of what uint8 levels or spikes send through synapses."""
    total = ""
    for (synapse, weight), name in zip(synapses, names, strict=True):
        made = _write(writer, synapse, weight, name)
        total = writer.add("Add", total, made) if total else made
    return total


def _write(writer: OnnxWriter, synapse: Synapse, weight: Array, x: str) -> str:
    match synapse:
        case Convolve():
            matrix = writer.constant((weight.astype(np.int16) + _OFFSET).astype(np.uint8), "W")
            zero = writer.constant(np.array(_OFFSET, np.uint8))
            return writer.add("ConvInteger", x, matrix, "", zero, **sliding(synapse))
        case Connect():
            flat = write_reshape(writer, (weight.shape[1],), x)
            matrix = writer.constant(np.ascontiguousarray(weight.T.astype(np.int8)), "W")
            return writer.add("MatMulInteger", flat, matrix)
        case Relay():
            from onnx import TensorProto

            wide = writer.add("Cast", x, to=TensorProto.INT32)
            return writer.add("Mul", wide, writer.constant(weight.astype(np.int32), "W"))
