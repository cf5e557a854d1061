"""Neurons: populations that integrate, gates, and the steps of their windows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

from qcompiler.ir.ann.pooling import maximum_shape
from qcompiler.ir.ops import Op, Sliding, expect, expect_broadcast, expect_current, expect_spikes
from qcompiler.ir.types import Coding, Spikes, Tensor, Tick, Type

from .encoders import Encode


class Window(NamedTuple):
    """Steps of a population: inputs arrive from open to read, spikes leave from read to close."""

    open: int
    read: int
    close: int


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
