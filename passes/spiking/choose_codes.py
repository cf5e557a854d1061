"""Choose the code in which inputs and populations send their levels.

The integer network stays the same: codes differ in spikes, steps between frames and energy. See
`ir.spiking.codes`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from qcompiler.ir import Graph, Invariant, Node, Spikes, Value
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Encode, Neuron, Population
from qcompiler.ir.spiking.codes import CODES
from qcompiler.ir.spiking.frames import frame_interval, neurons_of, window_of
from qcompiler.ir.spiking.integer_network import control_lines, layer_of
from qcompiler.ir.spiking.invariants import NO_READOUT, SCHEDULED, SPIKING
from qcompiler.ir.types import Coding
from qcompiler.passes.base import HIDDEN, Pass, check_limits
from qcompiler.passes.calibration.data import check, sample
from qcompiler.passes.quantization.calibrated_bounds import LEAST_MARGIN
from qcompiler.passes.scheduling.activity import Activity, activity
from qcompiler.passes.scheduling.frame_cost import PRICES, FrameCost, frame_cost
from qcompiler.passes.scheduling.silent_readers import can_be_silent, marked, savings

from .insert_readout import InsertReadout

_IMAGES = 64  # more change little
_SCARCE = 2  # power of neurons in a cost: they take cores, and on full cores each step longer


@dataclass(frozen=True)
class ChooseCodes(Pass):
    """Let inputs and neurons send their levels in the code ``code``.

    ``one-spike`` is one spike a value. ``silent`` is the same without a spike for level 0; other
    levels send a marker besides. ``burst`` is as many spikes as the level, none for level 0: it
    saves energy where windows are short. Bursts are for a whole network, as neurons that read them
    forget their currents and others keep them.

    ``auto`` takes what costs least on ``calibration``, one array per input, ``images x shape``:
    bursts, or silent zeros where they save more than their markers cost. The cost is energy, or by
    ``price`` neurons energy times neurons squared. Then single populations have no markers, which
    are neurons: only values that need none are silent, or all values, since frames then come
    faster. Without data it is one-spike. Markers count as inputs, too: a reader takes at most
    ``fan_in`` of them. In bursts the input of one step is at most ``input``, and a constant bias at
    most ``bias`` (0: no limit).
    Raises DataError if the data do not fit, are empty or not finite.
    """

    name: ClassVar[str] = "choose-codes"
    requires: ClassVar[tuple[Invariant, ...]] = (SPIKING, NO_READOUT, SCHEDULED)
    establishes: ClassVar[tuple[Invariant, ...]] = (SPIKING, SCHEDULED)
    code: str = "auto"
    fan_in: int = 0
    input: int = 0
    bias: int = 0
    price: str = "neurons"
    calibration: tuple[Array, ...] | None = field(default=None, metadata=HIDDEN, compare=False)

    def __post_init__(self) -> None:
        check_limits(fan_in=self.fan_in, input=self.input, bias=self.bias)
        if self.code not in (known := ("auto", *CODES)):
            raise ValueError(f"code must be one of {', '.join(known)}, not {self.code}")
        if self.price not in PRICES:
            raise ValueError(f"price must be one of {', '.join(PRICES)}, not {self.price}")

    def __call__(self, graph: Graph) -> Graph:
        """Write codes into spikes."""
        for coding in CODES:
            if coding == self.code != "one-spike":
                return _recoded(graph, dict.fromkeys(_senders(graph), coding))
        if self.code != "auto" or self.calibration is None:
            return graph
        check(graph, self.calibration)
        active = activity(graph, sample(self.calibration, min(_IMAGES, len(self.calibration[0]))))
        ways = self._ways(graph, active)
        return min(ways, key=lambda way: self._cost(way[1]))[0]

    def _ways(
        self, graph: Graph, active: Mapping[str, Activity]
    ) -> Iterator[tuple[Graph, FrameCost]]:
        """The graph in codes that may cost least, and that fit, with what each costs."""
        now = frame_cost(InsertReadout()(graph), active)
        yield graph, now
        saved = savings(graph, active)
        dear = marked(graph) if self.price == "neurons" else set()
        most = sorted((n for n in saved if saved[n] > 0 and n not in dear), key=saved.__getitem__)
        for names in (most, [*saved]):
            silent = self._silent(graph, names)
            yield silent, frame_cost(InsertReadout()(silent), active)
        burst = _recoded(graph, dict.fromkeys(_senders(graph), "burst"))
        finished = InsertReadout()(burst)
        if self._fits(finished):
            yield burst, frame_cost(finished, active)

    def _cost(self, frame: FrameCost) -> float:
        return frame.energy * frame.neurons**_SCARCE if self.price == "neurons" else frame.energy

    def _silent(self, graph: Graph, names: Iterable[str]) -> Graph:
        """The graph with silent zeros of these, as far as their readers can take them."""
        wanted: dict[str, Coding] = dict.fromkeys(names, "silent")
        whole = _recoded(graph, wanted)
        if can_be_silent(whole, wanted, self.fan_in):
            return whole
        for name in reversed(wanted):
            tried = _recoded(graph, {name: "silent"})
            if can_be_silent(tried, [name], self.fan_in):
                graph = tried
        return graph

    def _fits(self, graph: Graph) -> bool:
        """Whether the populations of a graph keep within the limits of input and bias."""
        interval = frame_interval(graph)
        for node in graph.nodes:
            if not isinstance(op := node.op, Population):
                continue
            neurons, lines = (
                neurons_of(layer_of(graph, node), window_of(node), interval),
                control_lines(graph, node),
            )
            code, given = CODES[op.coding], (neurons, lines, op.threshold)
            worst = code.extremes(*given, code.self_weight(*given)).input
            if self.input and np.max(worst) > self.input:
                return False
            if self.bias and np.max(neurons.slope) > self.bias:
                return False
        return True


def _senders(graph: Graph) -> list[str]:
    return [node.result.name for node in graph.nodes if isinstance(node.op, Encode | Neuron)]


def _recoded(graph: Graph, codings: Mapping[str, Coding]) -> Graph:
    """The graph with encoders and neurons of these names in other codes, and what follows them."""
    values: dict[str, Value] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        op, type_, name = node.op, node.result.type, node.result.name
        operands = tuple(
            values.get(v.name, v) if isinstance(v, Value) else v for v in node.operands
        )
        if isinstance(op, Encode | Neuron) and name in codings:
            op = replace(op, coding=codings[name])
            if isinstance(op, Neuron) and op.images and codings[name] == "burst":
                op = replace(op, margin=min(op.margin, LEAST_MARGIN))  # of the input of one step
            assert isinstance(type_, Spikes)
            type_ = replace(type_, coding=codings[name])
        elif isinstance(type_, Spikes) and operands and isinstance(operands[0].type, Spikes):
            type_ = replace(type_, coding=operands[0].type.coding)  # of a view or a gate
        values[name] = replace(node.result, type=type_)
        nodes.append(replace(node, op=op, operands=operands, result=values[name]))
    return replace(graph, nodes=tuple(nodes))
