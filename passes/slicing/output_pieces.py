"""Pieces of a population: several, each with a shorter window, whose levels give those of the whole.

With V for ``sum W q + B``, the n slices of T levels of a population with slope D have

    sum_k clip(floor((V - k T D) / D), 0, T) = clip(floor(V / D), 0, n T)

Digits are computed as in subranging converters. The one of place p has the slope ``p D``, and V
less what the higher digits stand for, which their spikes inhibit it by:

    q_p = clip(floor((V - sum_i p_i D q_i) / (p D)), 0, base - 1)

Both are exact in integers. Slices need nothing of each other; digits are fewer, but follow each
other in time and have larger membranes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from qcompiler.ir.kernels import Array, expand_to_rank
from qcompiler.ir.snn import Neuron, Relay
from qcompiler.ir.spiking.input_bounds import Bounds, Drive, Incoming
from qcompiler.ir.spiking.integer_network import Layer, incoming
from qcompiler.passes.quantization.membrane_limits import Limits, MembraneLoad

from .slices import digit_name, slice_name


@dataclass(frozen=True)
class Inhibition:
    """What a higher digit, by its index, takes away per level: ``weight``, as of a relay."""

    piece: int
    weight: Array
    top: int


@dataclass(frozen=True)
class Piece:
    """One of the populations that a layer is replaced by; arrays as those of `Layer`."""

    layer: Layer
    name: str
    place: int
    t_max: int
    zero: int
    bias: Array
    slope: Array
    inhibitions: tuple[Inhibition, ...] = ()

    @property
    def op(self) -> Neuron:
        """The operation of the piece."""
        op = self.layer.node.op
        assert isinstance(op, Neuron)
        scale = op.scale * self.place
        return replace(op, t_max=self.t_max, scale=scale, zero=self.zero, window=None)

    @cached_property
    def bounds(self) -> Bounds | None:
        """The calibrated bounds of its inputs: those of the layer, and what inhibits it.

        Where the higher digits are right, they leave of ``V >= 0`` what is not below 0.
        """
        bounds = self.layer.bounds
        if bounds is None or not self.inhibitions:
            return bounds
        each = sum(i.weight.astype(np.float64) for i in self.inhibitions)
        total = sum(i.weight.astype(np.float64) * i.top for i in self.inhibitions)
        return bounds._replace(
            lowest=bounds.lowest + total,
            final=np.maximum(np.minimum(bounds.final, -self.bias), bounds.final + total),
            fall=bounds.fall + each,
            least=bounds.least + each,
        )

    def fits(self, limits: Limits) -> bool:
        """Whether membranes, inputs and the threshold stay within the limits of the target."""
        shape = self.layer.spikes.shape
        inputs = [incoming(synapse) for synapse in self.layer.synapses]
        inputs += [Incoming(Relay(), i.weight, shape, i.top) for i in self.inhibitions]
        drive = Drive.of(inputs, len(shape), self.bounds)
        top = max(one.top for one in inputs)
        load = MembraneLoad(drive, top, self.bias, self.slope, self.t_max, limits)
        return bool(np.all(load.excess_within(drive.bounds) <= 1))


def slices(layer: Layer, longest: int) -> list[Piece]:
    """Slices of ``longest`` levels at most, the lowest first; the last has what is left."""
    name, code, step = layer.node.result.name, layer.spikes, longest - 1
    return [
        Piece(
            layer,
            slice_name(name, index),
            1,
            min(step, code.top - below) + 1,
            0 if index else code.zero,
            layer.bias - below * layer.slope,
            layer.slope,
        )
        for index, below in enumerate(range(0, code.top, step))
    ]


def digits(layer: Layer, longest: int) -> list[Piece]:
    """Digits of ``longest`` levels at most, the highest first; together they may have more."""
    name, code, rank = layer.node.result.name, layer.spikes, len(layer.spikes.shape)
    t_maxes = digit_levels(code.t_max, longest)
    places = [int(np.prod(t_maxes[at + 1 :])) for at in range(len(t_maxes))]
    weights = [-expand_to_rank(layer.slope, rank) * place for place in places]
    sent = [
        Inhibition(at, weight, t_max - 1)
        for at, (weight, t_max) in enumerate(zip(weights, t_maxes, strict=True))
    ]
    return [
        Piece(
            layer,
            digit_name(name, len(places) - 1 - at),
            place,
            t_maxes[at],
            code.zero if place == 1 else 0,
            layer.bias,
            layer.slope * place,
            tuple(sent[:at]),
        )
        for at, place in enumerate(places)
    ]


def digit_levels(levels: int, longest: int) -> list[int]:
    """Levels of each digit, the highest first: the fewest digits, then the smallest base."""
    count = next(n for n in range(1, levels) if longest**n >= levels)
    base = next(b for b in range(2, longest + 1) if b**count >= levels)
    return [-(-levels // base ** (count - 1)), *[base] * (count - 1)]


def delays_of(pieces: Sequence[Piece]) -> Iterator[int]:
    """Steps by which the data of each piece wait for the higher digits."""
    delay = 0
    for piece in pieces:
        yield delay if piece.inhibitions else 0
        delay += piece.t_max
