"""What engines share: counters, and the decoding of output spikes on the host computer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from qcompiler.backends.energy.activity import Activity, added
from qcompiler.backends.energy.events import count_events
from qcompiler.backends.energy.wiring import Wiring
from qcompiler.ir import Graph, Node, Value
from qcompiler.ir.execution.evaluate import apply
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Decode, Encode
from qcompiler.ir.spiking.coding import decoder
from qcompiler.ir.spiking.decoded_outputs import outputs
from qcompiler.ir.spiking.integer_network import spiking_nodes
from qcompiler.ir.spiking.senders import sender
from qcompiler.ir.types import size
from qcompiler.ir.view import View, arrange


@dataclass(slots=True)  # a batch of one image takes microseconds
class Counters:
    """Sums over frames. ``events`` counts synaptic events: one per synapse that a spike reaches.

    ``spikes`` are those of inputs and populations, without the markers that the host sends.
    ``activity`` adds levels up by population (None: not counted, then ``spikes`` and ``events`` may
    be 0, too).
    ``saturated`` counts inputs outside their range and potentials above it, out of ``coded`` inputs
    and neurons (0: not counted). ``first`` is the sum over frames of the step at which the largest
    output is known, ``last`` the latest output step of all frames.
    ``exceeded`` counts frames in which any population left its calibrated bounds;
    ``exceeded_by_population`` counts them by population (None: not counted). ``network`` is the
    digest of the network that a program counted for (None: of no program).
    """

    frames: int = 0
    spikes: int = 0
    events: int = 0
    saturated: int = 0
    coded: int = 0
    first: int = 0
    last: int = 0
    exceeded: int = 0
    exceeded_by_population: dict[str, int] | None = None
    activity: Activity | None = None
    network: str | None = None

    def add(self, other: Counters) -> None:
        """Add the counters of further frames of the same network."""
        self.network = self.network or other.network
        self.last = max(self.last, other.last)
        for name in ("frames", "spikes", "events", "saturated", "coded", "first", "exceeded"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        if other.activity is not None:
            self.activity = added(self.activity, other.activity)
        if other.exceeded_by_population is not None:
            known = self.exceeded_by_population or {}
            self.exceeded_by_population = {
                name: known.get(name, 0) + count
                for name, count in other.exceeded_by_population.items()
            }

    def count(self, wiring: Wiring, activity: Activity) -> None:
        """Set spikes and events to those that this activity of the frames makes."""
        events = count_events(wiring, activity, self.frames)
        self.activity = activity
        self.spikes = round(sum(events[name].spikes for name in wiring.senders))
        self.events = round(sum(found.total for found in events.values()))


@dataclass(slots=True)
class Outcome:
    """Result of one batch: decoded outputs, requested levels by population, and counters."""

    outputs: tuple[Array, ...]
    levels: Mapping[str, Array]
    counters: Counters


class HostTail:
    """What the host runs behind the output populations: decoding, views and further operations."""

    def __init__(self, graph: Graph, known: Iterable[str]) -> None:
        """Of a graph, what can be computed from the levels of known populations."""
        self.outputs = [value.name for value in graph.outputs]
        self.steps: list[tuple[str, list[str], Callable[..., Array]]] = []
        there = set(known)
        for node in graph.nodes:
            sources = [operand.name for operand in node.operands if isinstance(operand, Value)]
            run = _on_host(node)
            if sources and run is not None and there.issuperset(sources):
                self.steps.append((node.result.name, sources, run))
                there.add(node.result.name)

    def __call__(self, levels: Mapping[str, Array]) -> tuple[Array, ...]:
        """The outputs."""
        known = dict(levels)
        for name, sources, run in self.steps:
            known[name] = run(*(known[source] for source in sources))
        return tuple([known[name] for name in self.outputs])


def _on_host(node: Node) -> Callable[..., Array] | None:
    match node.op:
        case op if isinstance(op, View):
            view = op
            return lambda x: arrange(view, x, *node.arrays)
        case Decode():
            return decoder(node)
        case op if op.mnemonic.startswith("ann."):
            return lambda *given: apply(op, *given, *node.arrays)
    return None


@dataclass(frozen=True)
class Measured:
    """Result for a whole data set: outputs in real units by ONNX name, and counters."""

    outputs: Mapping[str, Array]
    counters: Counters


def decode_outputs(graph: Graph, levels: Mapping[str, Array]) -> tuple[Array, ...]:
    """Decode the levels of the output populations and apply the operations that the host runs."""
    return HostTail(graph, levels)(levels)


def host_nodes(graph: Graph) -> tuple[Node, ...]:
    """What the host computes on decoded outputs."""
    return tuple(node for node in graph.nodes if node.op.mnemonic.startswith("ann."))


def output_nodes(graph: Graph) -> tuple[Node, ...]:
    """The populations whose spikes are decoded."""
    found = {node.result.name: node for node in (sender(graph, v) for v in outputs(graph))}
    return tuple(found.values())


def hidden_nodes(graph: Graph) -> tuple[Node, ...]:
    """Populations between inputs and outputs; the output populations if there are no others."""
    ends = output_nodes(graph)
    found = (node for node in spiking_nodes(graph) if not isinstance(node.op, Encode))
    return tuple(node for node in found if node not in ends) or ends


def frames_per_batch(graph: Graph, budget: int = 1 << 26) -> int:
    """Number of frames per batch that keeps the largest population within ``budget`` bytes."""
    largest = max((size(node.result.type) for node in graph.nodes), default=1)
    return int(max(1, min(256, budget // (32 * largest))))
