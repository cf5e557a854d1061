"""Digits of input levels, which several populations of spikes send."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from qcompiler.ir.execution.session import OnnxWriter

_MOST_LEVELS = 255


class InputForms(Protocol):
    """All levels of an input, in two forms."""

    top: int

    def as_real(self) -> str:
        """Levels as float32."""

    def as_byte(self) -> str:
        """Levels as uint8."""


@dataclass(frozen=True)
class Digit:
    """One digit, of ``base`` values, of input levels, in units of ``place``."""

    whole: InputForms
    base: int
    place: int

    @property
    def is_highest_byte(self) -> bool:
        """Whether there is no higher one, and levels fit into bytes."""
        return self.place * self.base > self.whole.top and self.whole.top <= _MOST_LEVELS

    def write_real(self, writer: OnnxWriter) -> str:
        """Float32 quotients of integers below 2**16 floor exactly."""
        levels = self.whole.as_real()

        def number(value: int) -> str:
            return writer.constant(np.asarray(value, np.float32))

        def shifted(place: int) -> str:
            return (
                writer.add("Floor", writer.add("Div", levels, number(place)))
                if place > 1
                else levels
            )

        if self.place * self.base > self.whole.top:
            return shifted(self.place)
        higher = writer.add("Mul", shifted(self.place * self.base), number(self.base))
        return writer.add("Sub", shifted(self.place), higher)

    def write_highest_byte(self, writer: OnnxWriter) -> str:
        """``round((level - place // 2) / place)`` by table; a scale above 1 rounds ties up."""
        scale, place = (
            writer.constant(np.asarray(n, np.float32)) for n in (1 + 2.0**-12, self.place)
        )
        half, zero = (writer.constant(np.asarray(n, np.uint8)) for n in (self.place // 2, 0))
        inputs = self.whole.as_byte(), scale, half, place, zero
        return writer.add("QLinearLeakyRelu", *inputs, domain="com.microsoft", alpha=1.0)
