"""Encoders and decoders: from real numbers to spikes, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from qcompiler.ir.ops import Op, expect, expect_rescaling, expect_spikes, expect_tensor
from qcompiler.ir.types import Coding, Spikes, Tensor, Type, check_digits


@dataclass(frozen=True)
class Encode(Op):
    """Encodes real numbers as spikes: each is one digit of a level.

        q = clip(floor(x / scale + zero + 1/2), 0, t_max ** digits - 1)

    It sends digit number ``digit`` of ``digits`` to base t_max; 0 is the lowest. The quotient is
    ``float32(x) * float32(1 / scale)``, rounded after each operation, so that every engine encodes
    alike. The numbers that all digits represent add up to ``scale * (q - zero)``.

    With two constants, offset and factor, x is ``(raw - offset) * factor``. They spread over it.
    """

    mnemonic: ClassVar[str] = "snn.encode"
    t_max: int = 16
    scale: float = 1.0
    zero: int = 0
    digits: int = 1
    digit: int = 0
    start: int | None = None
    coding: Coding = "one-spike"

    @property
    def code(self) -> Spikes:
        """The code of q, whose digits are sent; its shape is that of one number."""
        return Spikes((), self.t_max**self.digits, self.scale, self.zero)

    @property
    def place(self) -> int:
        """The place value of the digit in q."""
        return int(self.t_max**self.digit)

    def infer(self, *operands: Type) -> Spikes:
        """Tensor, offset and factor if it is rescaled, to spikes."""
        shape = _expect_rescalable(operands, expect_tensor(operands[0]).shape)
        check_digits(self.digits)
        if not 0 <= self.digit < self.digits:
            raise ValueError(f"digit must be from 0 to {self.digits - 1}, not {self.digit}")
        whole = self.code
        zero = whole.zero // self.place
        if self.digit < self.digits - 1:
            zero %= self.t_max
        return Spikes(shape, self.t_max, whole.scale * self.place, zero, self.coding)


@dataclass(frozen=True)
class Decode(Op):
    """Spikes to the real numbers they stand for, ``x = scale * (q - zero)``.

    With ``places``, pieces of q come from several populations: ``q = sum(place * level)``, but at
    most ``t_max - 1`` if that is given. The piece of place 1 has the scale of q.

    With two constants, offset and factor, to ``(x - offset) * factor``.
    """

    mnemonic: ClassVar[str] = "snn.decode"
    places: tuple[int, ...] = ()
    t_max: int = 0

    def code(self, *operands: Type) -> Spikes:
        """The code of q; ValueError if the pieces, the first operands, do not fit each other."""
        places = self.places or (1,)
        codes = [expect_spikes(operand) for operand in operands[: len(places)]]
        if len(codes) != len(places) or min(places) != 1:
            raise ValueError("takes spikes for each place, one of which is 1")
        scale, levels = codes[places.index(1)].scale, 1
        for place, code in zip(places, codes, strict=True):
            if code.shape != codes[0].shape or code.scale != scale * place:
                raise ValueError("takes pieces of one shape, whose scales are those of places")
            levels += place * code.top
        zero = sum(place * code.zero for place, code in zip(places, codes, strict=True))
        return Spikes(codes[0].shape, min(levels, self.t_max or levels), scale, zero)

    def infer(self, *operands: Type) -> Tensor:
        """Spikes, offset and factor if they are rescaled, to a tensor."""
        shape = self.code(*operands).shape
        rest = operands[len(self.places or (1,)) :]
        return Tensor(_expect_rescalable((*operands[:1], *rest), shape))


def _expect_rescalable(operands: tuple[Type, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of the first operand; the others, if any, are an offset and a factor."""
    expect(3 if len(operands) > 1 else 1, operands)
    if len(operands) > 1:
        expect_rescaling(shape, operands[1:])
    return shape
