"""Spikes on their way to a population."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from qcompiler.ir import Graph, Node
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import First, Relay, Window
from qcompiler.ir.spiking.codes import CODES
from qcompiler.ir.spiking.frames import window_of
from qcompiler.ir.spiking.integer_network import spikes_of, weight_of
from qcompiler.ir.spiking.senders import sender
from qcompiler.ir.spiking.synapse import weight_sums
from qcompiler.ir.spiking.synapse_path import SynapsePath

from .scatter import Scatter

# First spikes, ``frames x shape`` in float32, as steps that are left up to the end of the window.
# What spikes there is level 0: a code that spends no spike on it sends none.
Left: TypeAlias = Mapping[str, Array]


class EventPath:
    """The path of spikes from a population into the window of another.

    A spike changes the current when it arrives. The change lasts until ``end``: the read step, or
    the arrival of what takes it back. Of a burst, the first spike does so. ``regular`` tells
    whether all of this happens from open to read.
    """

    def __init__(self, graph: Graph, node: Node, window: Window, persistent: bool) -> None:
        self.path, self.node, self.window = SynapsePath(graph, node), node, window
        source = sender(graph, node.operands[0])
        self.sender, self.code = source.result.name, spikes_of(source.result)
        self.delay = 1 + self.path.delay
        self.last = window_of(source).close + self.delay
        self.first = self.last - self.code.top
        self.stays = self.code.coding == "one-spike"
        self.end = window.read if self.stays else min(self.last, window.read)
        keeps = CODES[self.code.coding].keeps_currents
        self.regular = (
            window.open <= self.first and self.last <= window.read and keeps == persistent
        )

    def most(self, sign: int) -> Array:
        """The most by which the positive (or, for -1, negative) weights can move membranes."""
        op, weight = self.path.op, sign * weight_of(self.node).astype(np.int64)
        assert not isinstance(op, First)
        source = self.node.operands[0].type.shape
        return (self.end - self.first) * weight_sums(op, weight, source, "positive")

    @cached_property
    def rest(self) -> Array:
        """The current from the read step on, ``1 x shape``: that of all spikes, or none."""
        if not self.stays:
            return np.zeros((1,) * (1 + len(self.node.result.type.shape)))
        return self.path.propagate(np.ones((1, *self.code.shape), np.int64))

    def prepare(self, kind: Any) -> None:
        """Take the type in which all sums are exact."""
        op, weight = self.path.op, weight_of(self.node)
        assert not isinstance(op, First)
        source = self.node.operands[0].type.shape
        self.weight = weight.astype(kind)
        self.scatter = None if isinstance(op, Relay) else Scatter(op, self.weight, source)

    def membranes(self, spikes: Left) -> Array:
        """What spikes have added to membranes before the read step, ``frames x shape``.

        A spike adds its weight at every step that it lasts.
        """
        lasting = self._lasting(spikes)
        if self.scatter is None:
            found: Array = lasting * self.weight
            return found
        return self.scatter(lasting).reshape(len(lasting), *self.node.result.type.shape)

    def arrivals(self, spikes: Left) -> Array:
        """Changes of the current at each step from open to read, ``steps x frames x shape``."""
        lasting, window = self._lasting(spikes), self.window
        slots, end = window.read - window.open, self.end - window.open
        if self.scatter is None:
            left = end - np.arange(slots).reshape(-1, *(1,) * lasting.ndim)
            found: Array = ((lasting == left) & (lasting > 0)) * self.weight
        else:
            shape = slots, len(lasting), *self.node.result.type.shape
            found = self.scatter.by_arrival(lasting, slots, end).reshape(shape)
        if end < slots:
            found[end] -= found[:end].sum(axis=0)
        return found

    def _lasting(self, spikes: Left) -> Array:
        """How many steps up to ``end`` each spike is there, behind views; 0 if there is none."""
        found = spikes[self.sender]
        if self.end != self.last:
            found = found + (self.end - self.last)
        return self.path.arranged(found)
