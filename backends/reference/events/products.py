"""Products of weights and all neurons of an image, where most of these spike."""

from __future__ import annotations

from functools import cached_property
from math import prod

import numpy as np
import onnxruntime

from qcompiler.ir.execution.session import OnnxWriter
from qcompiler.ir.execution.write_nodes import write_synapse
from qcompiler.ir.kernels import Array, convolve
from qcompiler.ir.snn import Convolve

_FEW = 1 << 16  # weights; a copy of more takes memory, and moving images less of the time


class Product:
    """A convolution of integers; those in float32 are exact in any order."""

    def __init__(self, op: Convolve, weight: Array, source: tuple[int, ...]) -> None:
        self.op, self.weight, self.source = op, weight, source
        several = prod(weight.shape[2:]) > 1
        self.on_onnxruntime = weight.dtype == np.float32 and several and weight.size <= _FEW

    def __call__(self, image: Array) -> Array:
        """``batch x channels x space``."""
        image = image.astype(self.weight.dtype, copy=False)
        if not self.on_onnxruntime:
            return convolve(image, self.weight, self.op, self.op.groups)
        found: Array = self._session.run(None, {"image": image})[0]
        return found

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        writer = OnnxWriter()
        image = writer.input("image", self.source)
        return writer.session({write_synapse(writer, self.op, image, self.weight): np.float32})

    @property
    def cost(self) -> float:
        """Nanoseconds that one place of the output takes for each tap of a neuron, measured."""
        found = 1 + 0.05 * len(self.weight) / self.op.groups
        return found / 4 if self.on_onnxruntime else found
