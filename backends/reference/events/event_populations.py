"""What each kind of population makes of the spikes that reach it, over a whole frame.

Each is ``regular`` if it behaves as its code says, for inputs within bounds. `EventsEngine` leaves
the others, and frames that leave bounds, to the steps engine.
"""

from __future__ import annotations

from itertools import accumulate

import numpy as np

from qcompiler.ir import Graph, Node
from qcompiler.ir.kernels import Array, pool_max
from qcompiler.ir.snn import First, Population, Window
from qcompiler.ir.spiking.codes import CODES
from qcompiler.ir.spiking.frames import neurons_of, window_of
from qcompiler.ir.spiking.integer_network import control_lines, layer_of, spikes_of
from qcompiler.ir.spiking.senders import sender
from qcompiler.ir.spiking.synapse_path import SynapsePath

from .firing import Firing
from .integration import Integration, total_of
from .paths import EventPath, Left


class EventGate:
    """Passes the first spike of each group."""

    def __init__(self, graph: Graph, node: Node) -> None:
        assert isinstance(node.op, First)
        self.op, self.path = node.op, SynapsePath(graph, node)
        source = sender(graph, node.operands[0])
        same = spikes_of(node.result).top == spikes_of(source.result).top
        self.regular = same and window_of(node).close == window_of(source).close + 1

    def __call__(self, spikes: Left) -> tuple[Array, Array, Array]:
        """Steps left after first spikes; no frame is broken, no neuron saturates."""
        left = self.path.arranged(spikes[self.path.sender])
        none = np.zeros(len(left), np.int64)
        return pool_max(left, self.op, self.op.kernel, 0), none > 0, none


class EventPopulation:
    """Currents and membranes of a population, changed by spikes and clocks."""

    def __init__(self, graph: Graph, node: Node, interval: int) -> None:
        assert isinstance(node.op, Population)
        self.op, code, layer = node.op, CODES[node.op.coding], layer_of(graph, node)
        window, self.persistent = Window(*node.op.window), code.keeps_currents
        paths = [EventPath(graph, n, window, self.persistent) for n in layer.synapses]
        lines = control_lines(graph, node)
        own = code.self_weight(neurons_of(layer, window, interval), lines, self.op.threshold)
        clocks = self._clocks(lines, layer.slope, window, window.open + interval)
        before = window.read - window.open
        risen = list(accumulate(clocks[:before], initial=np.zeros_like(clocks[0])))
        self.offset = risen[-1]
        rest = total_of(path.rest for path in paths)[0]
        pushes = [rest + clock for clock in clocks[before:]]
        self.regular = all(path.regular for path in paths) and (
            self._fires_once(pushes, own) if self.persistent else self._bursts_end(pushes, own)
        )
        limits = [self.op.threshold - total for total in risen[1:]]
        sizes = (np.abs(x).max() for x in (*risen, sum(map(np.abs, pushes)), layer.slope))
        scale = 2.0 * self.op.threshold + sum(map(float, sizes))
        self.integrate = Integration(paths, limits, layer.bounds, self.persistent, scale)
        until = window.close - window.read
        self.at_close = pushes[until] if node.op.coding == "one-spike" else None
        self.fire = Firing(window.read, pushes[:until], self.op.threshold, layer.slope)

    def _clocks(
        self, lines: dict[int, Array], slope: Array, window: Window, following: int
    ) -> list[Array]:
        """What clocks, and the slope of bursts, add to membranes at each step from open on.

        Up to the last step at which membranes move: bursts do until the next frame.
        """
        zero = 0 * sum(lines.values(), slope)
        if not self.persistent:
            return [zero + slope + lines.get(at, 0) for at in range(window.open, following)]
        reset = CODES[self.op.coding].reset_step(window)
        end = window.close + (reset != window.close or reset == window.open)
        total = zero + sum(weight for at, weight in lines.items() if at < window.open)
        changes = (lines.get(at, zero) for at in range(window.open, end))
        return list(accumulate(changes, initial=total))[1:]

    def _fires_once(self, pushes: list[Array], own: Array) -> bool:
        """A neuron inhibits itself, or does not reach the threshold a second time."""
        rises = sum(np.maximum(push, 0) for push in pushes[1:])
        return bool(own.any()) or bool(np.all(rises <= self.op.threshold))

    def _bursts_end(self, pushes: list[Array], own: Array) -> bool:
        """Bursts last until close, and nothing spikes from there on."""
        goes_on, close = self.op.threshold, self.op.window[2] - self.op.window[1]
        if not all(np.all(own + push > goes_on) for push in pushes[1:close]):
            return False
        after = accumulate(pushes[close:], initial=np.maximum(own, self.op.threshold))
        return all(np.all(membrane <= self.op.threshold) for membrane in list(after)[1:])

    def __call__(self, spikes: Left) -> tuple[Array, Array, Array]:
        """Steps left after first spikes, which frames are broken, neurons that saturate."""
        membrane, broken = self.integrate(spikes)
        membrane += self.offset.astype(membrane.dtype)
        left, saturated = self.fire(membrane)
        if self.at_close is not None:  # every neuron spikes
            misses = membrane + self.at_close.astype(membrane.dtype) <= self.op.threshold
            if misses.any():
                misses &= left == 0
                broken |= misses.reshape(len(left), -1).any(axis=1)
        return left, broken, saturated
