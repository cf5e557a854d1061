"""Levels with channels last, as kernels of several outputs read and write them."""

from __future__ import annotations

from typing import NamedTuple

from qcompiler.ir.execution.session import OnnxWriter
from qcompiler.ir.execution.write_nodes import write_reshape


class ChannelsLast(NamedTuple):
    """uint8 levels in this order, but of another shape: columns may be channels."""

    name: str
    shape: tuple[int, ...]

    def reshaped(self, writer: OnnxWriter, shape: tuple[int, ...]) -> str:
        """The same in a shape."""
        return self.name if shape == self.shape else write_reshape(writer, shape, self.name)
