"""A netlist as stock Lava processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from qcompiler.backends.loihi.netlist.netlist import CLOCK, Netlist, Population, Synapses
from qcompiler.backends.loihi.netlist.synapse_matrices import weight_matrices

PortFactory = Callable[[str, int], Any]  # a port for a population's name and size
_LOWEST = 1 - (1 << 23)  # of a membrane


class Network:
    """The Lava processes of a netlist, connected; ``connections`` are pairs of connected ports.

    ``source`` returns the port that sends the spikes of an input, ``sink`` the port that receives
    those of a population; it is called for the populations named in ``record``. ``fixed`` selects
    the parameters of the chip and its bit-accurate simulation, otherwise floating point.
    """

    def __init__(
        self,
        netlist: Netlist,
        arrays: Mapping[str, Any],
        source: PortFactory,
        sink: PortFactory,
        record: Sequence[str],
        fixed: bool = True,
    ) -> None:
        self.netlist, self.arrays, self.fixed = netlist, arrays, fixed
        self.processes: list[Any] = []
        self.ends: dict[str, Any] = {}
        self.steps = 0
        self.connections: list[tuple[Any, Any]] = []
        self.labels = _labels(netlist)
        neurons = {group.name: self._neurons(group) for group in netlist.populations}
        self.senders = {name: process.s_out for name, process in neurons.items()}
        self.ticks = netlist.ticks
        if self.ticks:
            self.senders[CLOCK] = self._clocks().s_out
        connected = {row.source for row in netlist.synapses if self._array(row.weights).any()}
        for row in netlist.sources:
            if row.name in connected:
                size = int(np.prod(row.shape, dtype=np.int64))
                self.senders[row.name] = source(row.name, size)
        groups = {group.name: group for group in netlist.populations}
        for synapses in netlist.synapses:  # whose weights may all be 0, which takes no process
            self._connect(synapses, groups[synapses.target], neurons[synapses.target].a_in)
        for name in record:
            self._link(self.senders[name], sink(name, self.senders[name].shape[0]))

    def _array(self, given: Any) -> Any:
        return self.arrays[given] if isinstance(given, str) else given

    def _link(self, sender: Any, receiver: Any) -> None:
        sender.connect(receiver)
        self.connections.append((sender, receiver))

    def _neurons(self, group: Population) -> Any:
        from lava.proc.lif.process import LIFReset

        no_decay, full_decay = (-1, 4095) if self.fixed else (0, 1)  # the chip adds 1 to du
        interval = self.netlist.interval
        reset = group.open if group.reset < 0 else group.reset
        process = LIFReset(
            shape=(group.size,),
            name=self.labels[group.name],
            du=no_decay if group.persistent else full_decay,
            dv=0,
            vth=group.threshold,
            reset_interval=interval,
            reset_offset=(reset + 1) % interval,  # Lava counts steps from 1
            **self._bias(group),
        )
        self.processes.append(process)
        return process

    def _bias(self, group: Population) -> dict[str, Any]:
        """Options of neurons with a bias; their membrane starts too low to spike before a reset."""
        if group.bias is None:
            return {}
        bias = np.broadcast_to(self._array(group.bias), group.shape).ravel().astype(np.int32)
        if self.fixed:  # the chip shifts synaptic input by 6
            unit = 1 if np.any(bias & 1) else 2
            return {"bias_mant": bias // unit, "bias_exp": 5 + unit, "v": _LOWEST}
        return {"bias_mant": bias, "v": float(_LOWEST)}

    def _clocks(self) -> Any:
        """One neuron per clock tick; its bias makes it spike once per frame, one step earlier.

        Bursts need their clocks from the first step on: their neurons always have a bias.
        """
        from lava.proc.lif.process import LIF

        interval, unit = self.netlist.interval, 64 if self.fixed else 1
        ticks = np.array(self.ticks, np.int64)
        if any(group.bias is not None for group in self.netlist.populations):
            ticks = (ticks - 1) % interval + 1
        start = unit * (interval - ticks)
        process = LIF(
            shape=start.shape, name="clock", v=start, dv=0, bias_mant=unit, vth=interval - 1
        )
        self.processes.append(process)
        return process

    def _connect(self, row: Synapses, group: Population, receiver: Any) -> None:
        from lava.proc.dense.process import Dense
        from lava.proc.sparse.process import DelaySparse, Sparse

        if (sender := self.senders.get(row.source)) is None:
            return
        weights, order = self._array(row.weights).astype(np.int32), self._array(row.order)
        shape = (group.size, sender.shape[0])
        held = replace(row, weights=weights, order=order)
        parts = weight_matrices(held, self.ticks, shape, group, self.fixed)
        for index, (matrix, exponent) in enumerate(parts):
            name = f"{self.labels[row.source]} -> {self.labels[group.name]}"
            name += f" ({index})" if index else ""
            full = 2 * matrix.nnz > shape[0] * shape[1] and shape[0] * shape[1] <= 1 << 22
            options = {"name": name, "weight_exp": exponent}
            if row.delay:
                delays = matrix.copy()
                delays.data = np.full(matrix.nnz, row.delay)
                process = DelaySparse(weights=matrix, delays=delays, **options)
            elif full:
                process = Dense(weights=matrix.toarray(), **options)
            else:
                process = Sparse(weights=matrix, **options)
            self.processes.append(process)
            self._link(sender, process.s_in)
            self._link(process.a_out, receiver)


def _labels(netlist: Netlist) -> dict[str, str]:
    """What to call senders and populations: as the model does, and which of those called so."""
    found = {row.name: row.input for row in netlist.sources}
    found |= {group.name: group.label for group in netlist.populations}
    often = Counter(found.values())
    several = {name: f"{label} ({name})" for name, label in found.items() if often[label] > 1}
    return {CLOCK: "clock", **found, **several}
