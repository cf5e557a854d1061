"""Synapses: from neurons to neurons, and from clocks to the neurons that they drive."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar, Literal, TypeAlias, get_args

from qcompiler.ir.ann.linear import conv_shape
from qcompiler.ir.ops import Op, Sliding, expect, expect_broadcast, expect_spikes
from qcompiler.ir.types import Current, Spikes, Tick, Type


@dataclass(frozen=True)
class Convolve(Sliding):
    """Synapses shared as a convolution kernel, weight ``O x C/groups x kernel`` of integers."""

    mnemonic: ClassVar[str] = "snn.convolve"
    groups: int = 1
    delay: int = 0

    def infer(self, *operands: Type) -> Current:
        """Spikes and weight to a current."""
        shape = _sending(operands, self.delay).shape
        return Current(conv_shape(self, shape, operands[1].shape, self.groups))


@dataclass(frozen=True)
class Connect(Op):
    """Synapses from every neuron, in C order, to every neuron: weight ``O x I`` of integers."""

    mnemonic: ClassVar[str] = "snn.connect"
    delay: int = 0

    def infer(self, *operands: Type) -> Current:
        """Spikes and weight to a current."""
        shape, weight = _sending(operands, self.delay).shape, operands[1].shape
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
        shape = _sending(operands, self.delay).shape
        expect_broadcast(operands[1].shape, shape, "weight")
        return Current(shape)


def _sending(operands: tuple[Type, ...], delay: int) -> Spikes:
    """The spikes that a synapse reads, with a weight; ValueError also for a delay below 0."""
    expect(2, operands)
    if delay < 0:
        raise ValueError(f"delay must be at least 0, not {delay}")
    return expect_spikes(operands[0])


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
