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
    """A convolution of integers whose sums are exact in any order.

    It is ``dense`` if its kernel covers the image: a matrix does it.
    """

    def __init__(self, op: Convolve, weight: Array, source: tuple[int, ...]) -> None:
        self.op, self.weight, self.source = op, weight, source
        covers = weight.shape[1:] == source and not any(op.pads)
        self.dense = covers and op.groups == 1
        convolves = weight.dtype == np.float32 and prod(weight.shape[2:]) > 1
        self.on_onnxruntime = (self.dense or convolves) and weight.size <= _FEW

    def __call__(self, image: Array) -> Array:
        """``batch x channels x space``."""
        image = image.astype(self.weight.dtype, copy=False)
        if self.dense:
            image = image.reshape(len(image), -1)
        if self.on_onnxruntime:
            found: Array = self._session.run(None, {"image": image})[0]
        elif self.dense:
            found = image @ self._matrix
        else:
            return convolve(image, self.weight, self.op, self.op.groups)
        return found.reshape(*found.shape, 1) if self.dense else found

    @property
    def _matrix(self) -> Array:
        return self.weight.reshape(len(self.weight), -1).T

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        writer, kind = OnnxWriter(), self.weight.dtype
        if self.dense:  # beside threads of other engines that spin, those of BLAS would wait
            image = writer.input("image", (prod(self.source),), kind)
            found = writer.add("MatMul", image, writer.constant(self._matrix))
        else:
            image = writer.input("image", self.source)
            found = write_synapse(writer, self.op, image, self.weight)
        return writer.session({found: kind})

    @property
    def cost(self) -> float:
        """Nanoseconds that one place of the output takes for each tap of a neuron, measured."""
        found = 1 + 0.05 * len(self.weight) / self.op.groups
        return found / 4 if self.on_onnxruntime and not self.dense else found
