"""A netlist as a NIR graph of one frame.

NIR knows no frames and no resets. The graph therefore starts at rest and computes one frame. A
population is `IF` behind an integrator `I`, its current; without the latter if it forgets currents.
Spikes pass a `Delay` of the steps until they arrive. All other nodes take no time, and dt is 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from qcompiler.backends.loihi.netlist.netlist import CLOCK, Netlist, Population, Source, Synapses
from qcompiler.ir.diagnostics import printable
from qcompiler.ir.kernels import Array

from .projections import Shapes, floats, projection


class FrameGraph:
    """The nodes and edges of a frame; ``names`` are those of sources and populations in NIR.

    ``clocks`` are the steps at which all elements of an input of the clock spike, by its node.
    """

    def __init__(self, netlist: Netlist) -> None:
        self.netlist = netlist
        self.shapes = Shapes(netlist)
        self.names = _identifiers(self.shapes.whole)
        self.nodes: dict[str, Any] = {}
        self.edges: list[tuple[str, str]] = []
        self.clocks: dict[str, Array] = {}
        self.groups = {group.name: group for group in netlist.populations}
        for source in netlist.sources:
            self._input(source)
        for group in netlist.populations:
            self._neurons(group)
        for index, row in enumerate(netlist.synapses):
            if row.source != CLOCK:
                self._connect(index, row)
        self._outputs()

    def graph(self) -> Any:
        """The graph. ProgramError if NIR cannot express it."""
        import nir

        about = {"dt": 1.0, "steps": self.netlist.latency, "frames": 1}
        return nir.NIRGraph(self.nodes, self.edges, metadata=about)

    def _input(self, source: Source) -> None:
        import nir

        about = {
            "input": printable(source.input),
            "t_max": source.t_max,
            "scale": source.scale,
            "zero": source.zero,
            "start": source.start,
            "digits": source.digits,
            "digit": source.digit,
            "coding": source.coding,
        }
        about |= {k: v for k in ("offset", "factor") if (v := getattr(source, k)) is not None}
        node = nir.Input({"input": np.array(source.shape)}, metadata=about)
        self.nodes[self.names[source.name]] = node

    def _neurons(self, group: Population) -> None:
        import nir

        name, shape = self.names[group.name], self.shapes[group.name]
        ones = np.ones(shape, np.float32)
        about = {
            "name": printable(group.name),
            "origin": printable(group.label),
            "window": np.array([group.open, group.read, group.close]),
            "coding": group.coding,
        }
        self.nodes[name] = nir.IF(ones, group.threshold * ones, 0 * ones, metadata=about)
        if group.persistent:
            self.nodes[f"{name}_current"] = nir.I(ones)
            self.edges.append((f"{name}_current", name))
        for kind, steps, weights in _control(group, self.netlist.synapses):
            clock = f"{name}_{kind}"
            self.clocks[clock] = steps
            self.nodes[clock] = nir.Input({"input": np.array(shape)}, metadata={"spikes_at": steps})
            whole = np.broadcast_to(weights, group.shape).reshape(shape)
            self.nodes[f"{clock}_weights"] = nir.Scale(floats(whole))
            self.edges += [(clock, f"{clock}_weights"), (f"{clock}_weights", self._entry(group))]

    def _entry(self, group: Population) -> str:
        """The node that takes the input of a population."""
        name = self.names[group.name]
        return f"{name}_current" if group.persistent else name

    def _connect(self, index: int, row: Synapses) -> None:
        before = self._delayed(row.source, 1 + row.delay)
        for place, node in enumerate(projection(self.shapes, row)):
            name = f"synapses{index}_{place}"
            self.nodes[name] = node
            self.edges.append((before, name))
            before = name
        self.edges.append((before, self._entry(self.groups[row.target])))

    def _delayed(self, sender: str, steps: int) -> str:
        """The node that sends spikes so many steps later."""
        import nir

        name = f"{self.names[sender]}_delay{steps}"
        if name not in self.nodes:
            self.nodes[name] = nir.Delay(np.full(self.shapes[sender], steps, np.float32))
            self.edges.append((self.names[sender], name))
        return name

    def _outputs(self) -> None:
        import nir

        for index, output in enumerate(self.netlist.outputs):
            for population, place in zip(output.populations, output.places, strict=True):
                about = {
                    "output": printable(output.label),
                    "scale": output.scale,
                    "zero": output.zero,
                    "top": output.top,
                    "place": place,
                }
                given = ("offset", "factor")
                about |= {k: v for k in given if (v := getattr(output, k)) is not None}
                name = f"{self.names[population]}_output"
                if name in self.nodes:  # the host reads it twice
                    name += str(index)
                shape = {"output": np.array(self.shapes[population])}
                self.nodes[name] = nir.Output(shape, metadata=about)
                self.edges.append((self.names[population], name))


def _control(
    group: Population, synapses: tuple[Synapses, ...]
) -> Iterator[tuple[str, Array, Array]]:
    """What drives a population beside spikes: kind, steps of the frame, and weights.

    The clock, a constant bias in the window, and what stands for a reset in the middle of a frame:
    an inhibition after which no membrane reaches the threshold again.
    """
    lines: Mapping[int, Array] = {}
    for row in synapses:
        if row.source == CLOCK and row.target == group.name:
            lines = dict(zip(row.ticks, row.weights.astype(np.float64), strict=True))
    for tick, weights in lines.items():
        yield f"clock{tick}", np.array([tick]), weights
    if group.bias is not None:
        yield "bias", np.arange(group.open, group.close + 1), group.bias
    if group.reset > group.open:
        # The membrane is at most the threshold, and the current what clocks have left of it.
        most = group.threshold + 1 + sum(np.abs(weights).max() for weights in lines.values())
        yield "reset", np.array([group.reset]), np.full((1,) * len(group.shape), -most)


def _identifiers(names: Mapping[str, Any]) -> dict[str, str]:
    """A name of letters, digits and underscores for each, as paths in HDF5 and Python need."""
    found: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:40]
        if not plain[:1].isalpha() or plain in found.values():
            plain = f"n{len(found)}_{plain}".rstrip("_")
        found[name] = plain
    return found
