"""Runs of one frame, whose arrays a session knows beforehand: handing them over takes longer."""

from __future__ import annotations

from threading import Lock

import numpy as np
import onnxruntime

from qcompiler.ir.kernels import Array


class SingleFrame:
    """A session of one input with the arrays of one frame, for one thread at a time."""

    def __init__(
        self, session: onnxruntime.InferenceSession, x: Array, outputs: list[Array]
    ) -> None:
        """Of a session, with an input and the float32 outputs that it gave."""
        self.input, self.shape = np.array(x, np.float32), x.shape
        self.outputs = [np.array(y, np.float32) for y in outputs]
        self.lock, self.run = Lock(), session.run_with_iobinding
        self.options = onnxruntime.RunOptions()  # a run without them makes some
        self.binding = session.io_binding()
        bind, arrays = self.binding.bind_output, self.outputs
        for value, y in zip(session.get_outputs(), arrays, strict=True):
            bind(value.name, "cpu", 0, np.float32, y.shape, y.ctypes.data)
        (value,), x = session.get_inputs(), self.input
        self.binding.bind_input(value.name, "cpu", 0, np.float32, x.shape, x.ctypes.data)

    def __call__(self, x: Array) -> tuple[Array, ...] | None:
        """The outputs; None if the input is of another shape, or another thread runs."""
        if x.shape != self.shape or not self.lock.acquire(False):
            return None
        try:
            self.input[...] = x
            self.run(self.binding, self.options)
            return tuple([y.copy() for y in self.outputs])
        finally:
            self.lock.release()
