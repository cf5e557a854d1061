"""The spiking level: encoders, synapses, populations and the clocks that drive them.

A spike that leaves at step i reaches the populations behind its synapses at step i + 1, or
``delay`` steps later, and stays there as a current until the frame ends. Steps count from 0, the
first step of the input window.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import ClassVar, Literal, NamedTuple, TypeAlias, get_args

from .ann import conv_shape, maximum_shape
from .ops import (
    Op,
    Sliding,
    expect,
    expect_broadcast,
    expect_current,
    expect_rescaling,
    expect_spikes,
    expect_tensor,
)
from .types import Coding, Current, Spikes, Tensor, Tick, Type, check_digits


class Window(NamedTuple):
    """Steps of a population: inputs arrive from open to read, spikes leave from read to close."""

    open: int
    read: int
    close: int


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


@dataclass(frozen=True)
class Convolve(Sliding):
    """Synapses shared as a convolution kernel, weight ``O x C/groups x kernel`` of integers."""

    mnemonic: ClassVar[str] = "snn.convolve"
    groups: int = 1
    delay: int = 0

    def infer(self, *operands: Type) -> Current:
        """Spikes and weight to a current."""
        expect(2, operands)
        _expect_delay(self.delay)
        shape = expect_spikes(operands[0]).shape
        return Current(conv_shape(self, shape, operands[1].shape, self.groups))


@dataclass(frozen=True)
class Connect(Op):
    """Synapses from every neuron, in C order, to every neuron: weight ``O x I`` of integers."""

    mnemonic: ClassVar[str] = "snn.connect"
    delay: int = 0

    def infer(self, *operands: Type) -> Current:
        """Spikes and weight to a current."""
        expect(2, operands)
        _expect_delay(self.delay)
        shape, weight = expect_spikes(operands[0]).shape, operands[1].shape
        if len(weight) != 2 or weight[1] != prod(shape):
            raise ValueError(f"weight {weight} does not fit {shape}")
        return Current(weight[:1])


@dataclass(frozen=True)
class Relay(Op):
    """Synapses from each neuron to its counterpart, with weights spread over the neurons."""

    mnemonic: ClassVar[str] = "snn.relay"
    delay: int = 0

    def infer(self, *operands: Type) -> Current:
        """Spikes and weight to a current."""
        expect(2, operands)
        _expect_delay(self.delay)
        shape = expect_spikes(operands[0]).shape
        expect_broadcast(operands[1].shape, shape, "weight")
        return Current(shape)


def _expect_delay(delay: int) -> None:
    if delay < 0:
        raise ValueError(f"delay must be at least 0, not {delay}")


Synapse: TypeAlias = Convolve | Connect | Relay


@dataclass(frozen=True)
class Clock(Op):
    """One neuron that spikes at a fixed step of every frame."""

    mnemonic: ClassVar[str] = "snn.clock"
    at: int = 0

    def infer(self, *operands: Type) -> Tick:
        """Nothing to a tick."""
        expect(0, operands)
        return Tick()


Role: TypeAlias = Literal[
    "bias", "align", "hold", "release", "counterweight", "readout", "force", "stop", "idle"
]


@dataclass(frozen=True)
class Fanout(Op):
    """Synapses from a clock to every neuron of a population, with integer weights spread over it.

    A pulse is taken back one step later, so that it changes the membrane by its weight once; other
    inputs stay as a current. Roles: ``bias`` adds B; ``align`` shifts a neuron of slope D to the
    common threshold of the population; ``hold`` keeps the membrane below the threshold while inputs
    arrive, ``release`` undoes it; ``counterweight`` cancels the input current; ``readout`` sets the
    slope D; ``force`` makes neurons that have not spiked fire at the end of the window; ``stop``
    ends bursts, and ``idle`` holds their neurons down until the next frame. Where currents are
    forgotten at once, every input is a pulse by itself.
    """

    mnemonic: ClassVar[str] = "snn.fanout"
    shape: tuple[int, ...] = ()
    role: Role = "bias"
    pulse: bool = False

    def infer(self, *operands: Type) -> Current:
        """Tick and weight to a current."""
        expect(2, operands)
        if self.role not in get_args(Role):
            raise ValueError(f"role must be one of {', '.join(get_args(Role))}, not {self.role}")
        if not isinstance(operands[0], Tick):
            raise ValueError(f"takes a tick, got {operands[0]}")
        expect_broadcast(operands[1].shape, self.shape, "weight")
        return Current(self.shape)


@dataclass(frozen=True)
class Neuron(Op):
    """The integer neuron: ``q = clip(floor((sum W q + B) / D), 0, t_max - 1)``.

    Operands are its currents, then the constants B (bias) and D (slope, positive), which broadcast
    over the neurons. `insert-readout` turns it into a `Population` that computes this with spikes.
    If ``images`` is not 0, a third constant holds calibrated bounds of its membranes (`Bounds` of
    `ir.spiking.input_bounds`, in integers): ``margin`` times those that so many images showed.
    """

    mnemonic: ClassVar[str] = "snn.neuron"
    t_max: int = 16
    scale: float = 1.0
    zero: int = 0
    window: tuple[int, int, int] | None = None
    images: int = 0
    margin: float = 0.0
    coding: Coding = "one-spike"

    def infer(self, *operands: Type) -> Spikes:
        """Currents, bias, slope, bounds if calibrated to spikes."""
        rest, bounds = _bounds(self, operands)
        if len(rest) < 3:
            raise ValueError("takes currents, a bias and a slope")
        shape = _common_shape(rest[:-2])
        for constant, what in zip((*rest[-2:], *bounds), _CONSTANTS, strict=False):
            expect_broadcast(constant.shape, shape, what)
        return Spikes(shape, self.t_max, self.scale, self.zero, self.coding)


@dataclass(frozen=True)
class Population(Op):
    """Neurons that integrate: ``u += input; v += u``; the first step with ``v > threshold`` fires.

    After its spike a neuron is silent until the next frame. A spike at ``window.read`` is the
    highest level. ``images`` and ``margin`` are as for `Neuron`.

    With the coding ``burst`` currents are forgotten: ``v += input + D``, where the slope D is a
    constant behind the currents. After a spike v is 0, and a synapse from the neuron to itself
    makes it spike at every step up to the end of its window.
    """

    mnemonic: ClassVar[str] = "snn.population"
    t_max: int = 16
    scale: float = 1.0
    zero: int = 0
    threshold: int = 1
    window: tuple[int, int, int] = (0, 0, 0)
    images: int = 0
    margin: float = 0.0
    coding: Coding = "one-spike"

    def infer(self, *operands: Type) -> Spikes:
        """Currents, slope if they send bursts, bounds if calibrated, to spikes."""
        currents, bounds = _bounds(self, operands)
        slope: tuple[Type, ...] = ()
        if self.coding == "burst":
            currents, slope = currents[:-1], currents[-1:]
        shape = _common_shape(currents)
        for constant in slope:
            expect_broadcast(constant.shape, shape, "slope")
        for constant in bounds:
            expect_broadcast(constant.shape, shape, "bounds")
        return Spikes(shape, self.t_max, self.scale, self.zero, self.coding)


@dataclass(frozen=True)
class First(Sliding):
    """Passes the first spike of each group: the maximum of the levels, one step later."""

    mnemonic: ClassVar[str] = "snn.first"
    kernel: tuple[int, ...] = ()
    start: int | None = None

    def infer(self, *operands: Type) -> Spikes:
        """Spikes to spikes of the same code."""
        expect(1, operands)
        spikes = expect_spikes(operands[0])
        return replace(spikes, shape=maximum_shape(self, spikes.shape, self.kernel))


_CONSTANTS = ("bias", "slope", "bounds")
BOUNDS = 9  # rows of calibrated bounds: see `ir.spiking.input_bounds`


def _bounds(op: Neuron | Population, operands: tuple[Type, ...]) -> tuple[tuple[Type, ...], ...]:
    """The operands without calibrated bounds, and the type of each row of these, if any."""
    if not op.images:
        return operands, ()
    if op.images < 0 or not op.margin >= 1:
        raise ValueError("calibrated bounds take at least one image and a margin of 1 or more")
    *rest, last = operands or (Tick(),)
    if not isinstance(last, Tensor) or last.dtype[0] != "i" or last.shape[:1] != (BOUNDS,):
        raise ValueError(f"takes calibrated bounds, {BOUNDS} rows of integers, got {last}")
    return tuple(rest), (Tensor(last.shape[1:], last.dtype),)


def _common_shape(currents: tuple[Type, ...]) -> tuple[int, ...]:
    shapes = {expect_current(current).shape for current in currents}
    if len(shapes) != 1:
        raise ValueError(f"takes currents of one shape, got {sorted(shapes)}")
    return shapes.pop()


def start_of(op: Op) -> int | None:
    """The step at which the highest level leaves; None before windows are assigned.

    Raises TypeError for an operation that sends no spikes.
    """
    match op:
        case Encode() | First():
            return op.start
        case Neuron() | Population():
            return op.window[1] if op.window else None
        case _:
            raise TypeError(f"{op.mnemonic} sends no spikes")
