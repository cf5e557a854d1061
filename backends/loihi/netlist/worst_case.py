"""The worst case of a population of a netlist: what its potentials can reach."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Window
from qcompiler.ir.spiking.codes import CODES, Neurons
from qcompiler.ir.spiking.dynamics import Extremes
from qcompiler.ir.spiking.input_bounds import Bounds, Drive, Incoming

from . import netlist
from .data_synapses import synapse_op
from .netlist import Netlist, Synapses


def extremes(
    group: netlist.Population,
    rows: Iterable[Synapses],
    network: Netlist,
    calibrated: Bounds | None = None,
) -> Extremes:
    """The worst case of a population that integrates, or that within its calibrated bounds."""
    codings = network.codings
    incoming = []
    lines: dict[int, Array] = {}
    own: Array = np.zeros(())
    for row in rows:
        if row.kind == "clock":
            lines = dict(zip(row.ticks, row.weights.astype(np.float64), strict=True))
        elif row.source == group.name:
            own = row.weights
        elif (coding := codings.get(row.source)) != "marker":  # which only undo others
            sender = row.senders, network.max_levels[row.source], coding == "silent"
            incoming.append(Incoming(synapse_op(row), row.weights, *sender))
    window = Window(group.open, group.read, group.close)
    drive = Drive.of(incoming, len(group.shape), calibrated)
    code = next(code for code in CODES.values() if code.name == group.coding)
    slope = np.zeros(()) if group.bias is None else group.bias
    return code.extremes(Neurons(drive, 0 * slope, slope, window, 0), lines, group.threshold, own)
