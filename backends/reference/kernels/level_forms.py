"""Levels of populations in the forms that the kernels of the fast engine take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from qcompiler.ir import Node
from qcompiler.ir.execution.session import OnnxWriter
from qcompiler.ir.execution.write_nodes import pads_within, write_clip, write_max_pool, write_view
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import First
from qcompiler.ir.view import Reshape

from .channels_last import ChannelsLast
from .digit import Digit
from .moves import moved

_MICROSOFT = "com.microsoft"


@dataclass(eq=False)
class LevelForms:
    """Levels in up to three forms: float32 before clip and floor (``raw``), float32, uint8.

    What is raw may still have to be divided by ``over``, one number for each channel.
    """

    writer: OnnxWriter
    shape: tuple[int, ...]
    top: int
    raw: str | None = None
    over: Array | None = None
    real: str | None = None
    byte: str | None = None
    digit: Digit | None = None
    flat: str | None = None  # uint8 along one axis, if they were computed like this
    last: ChannelsLast | None = None  # the same of uint8 with channels last
    over_top: str | None = None  # uint8 before they are clipped above, if they were so
    _multiples: dict[int, str] = field(default_factory=dict)
    moves: dict[Any, str] = field(default_factory=dict)
    _sparser: dict[tuple[int, ...], LevelForms] = field(default_factory=dict)

    def as_real(self) -> str:
        """Levels as float32."""
        if self.real is None:
            if self.raw is not None:
                self.real = self.writer.add("Floor", self._clipped())
            elif self.digit is not None and self.byte is None:
                self.real = self.digit.write_real(self.writer)
            else:
                assert self.byte is not None
                self.real = self.writer.add("Cast", self.byte, to=1)
        return self.real

    def as_byte(self) -> str:
        """Levels as uint8, which the highest must fit."""
        assert self.top <= 255
        if self.byte is None:
            if self.digit is not None and self.digit.is_highest_byte:
                self.byte = self.digit.write_highest_byte(self.writer)
                return self.byte
            # a cast truncates, which floors what is not negative
            source = self._clipped() if self.raw else self.as_real()
            self.byte = self.writer.add("Cast", source, to=2)
        return self.byte

    def times(self, factor: int) -> str:
        """Multiples of the levels as uint8; the highest must fit."""
        if factor == 1:
            return self.as_byte()
        if factor not in self._multiples:
            one, zero = self._number(1), self.writer.constant(np.zeros((), np.uint8))
            # a table of 256 entries; what is not negative is not changed but for its scale
            inputs = self.as_byte(), self._number(factor), zero, one, zero
            self._multiples[factor] = self.writer.add(
                "QLinearLeakyRelu", *inputs, domain=_MICROSOFT, alpha=1.0
            )
        return self._multiples[factor]

    @cached_property
    def ones(self) -> LevelForms:
        """One channel of ones, as many as there are places."""
        one, highest = (self.writer.constant(np.array(n, np.uint8)) for n in (1, 255))
        ends = map(self._integers, ([0], [1], [1]))
        if self.top <= 255:
            channel = self.writer.add("Slice", self.as_byte(), *ends)
        else:  # whatever a cast of too large numbers gives
            real = self.writer.add("Slice", self.as_real(), *ends)
            channel = self.writer.add("Cast", real, to=2)
        scale = self._number(1)
        inputs = channel, scale, highest, scale, one  # nothing is above 255: 0, and one is added
        byte = self.writer.add("QLinearLeakyRelu", *inputs, domain=_MICROSOFT, alpha=0.0)
        return LevelForms(self.writer, (1, *self.shape[1:]), 1, byte=byte)

    def every(self, strides: tuple[int, ...]) -> LevelForms:
        """The levels at every so many places of space."""
        space = tuple(-(-n // step) for n, step in zip(self.shape[1:], strides, strict=True))
        if strides not in self._sparser:
            self._sparser[strides] = LevelForms(
                self.writer,
                (self.shape[0], *space),
                self.top,
                byte=moved(self, self.as_byte(), tuple((0, step) for step in strides), space),
            )
        return self._sparser[strides]

    def divided(self) -> str:
        """What is raw, behind the division."""
        assert self.raw is not None
        if self.over is not None:
            self.raw = self.writer.add("Div", self.raw, self._number(self.over))
            self.over = None
        return self.raw

    def viewed(self, node: Node) -> LevelForms:
        """A view of the levels."""
        raw, real, byte = (
            form and write_view(self.writer, node, form)
            for form in (self.raw and self.divided(), self.real or self._digit_real(), self.byte)
        )
        shape, flat = node.result.type.shape, self.flat if isinstance(node.op, Reshape) else None
        return LevelForms(self.writer, shape, self.top, raw, None, real, byte, flat=flat)

    def first_spikes(self, node: Node) -> LevelForms:
        """The maximum commutes with quotient, clip and floor: these act on the smaller image."""
        op, shape = node.op, node.result.type.shape
        assert isinstance(op, First)
        if self.byte and pads_within(op, op.kernel):
            byte = write_max_pool(self.writer, op, op.kernel, self.byte)
            return LevelForms(self.writer, shape, self.top, byte=byte)
        if self.raw and not self.real:
            raw = write_max_pool(self.writer, op, op.kernel, self.raw)
            return LevelForms(self.writer, shape, self.top, raw=raw, over=self.over)
        real = write_max_pool(self.writer, op, op.kernel, self.as_real())
        return LevelForms(self.writer, shape, self.top, real=real)

    def part(self, first: int, channels: int, below: int, top: int, highest: int) -> LevelForms:
        """Some channels, of which ``below`` is taken off before they are clipped at ``top``.

        They have no level above ``highest``.
        """
        writer, shape = self.writer, (channels, *self.shape[1:])
        form = self.byte or self.as_real()
        if channels < self.shape[0]:
            ends = (writer.constant(np.array([n], np.int64)) for n in (first, first + channels, 1))
            form = writer.add("Slice", form, *ends)
        found = LevelForms(writer, shape, highest)
        if self.byte:
            found.byte = form
        else:
            found.real = form
        if below or top < highest:
            found.real = write_clip(
                writer, writer.add("Sub", found.as_real(), self._number(below)), 0, top
            )
            found.byte, found.top = None, top
        return found

    def _digit_real(self) -> str | None:
        return self.as_real() if self.digit is not None else None

    def _clipped(self) -> str:
        return write_clip(self.writer, self.divided(), 0, self.top + 0.5)

    def _number(self, value: float | Array) -> str:
        return self.writer.constant(np.asarray(value, np.float32))

    def _integers(self, values: Sequence[int]) -> str:
        return self.writer.constant(np.array(values, np.int64))
