"""What calibration images make of every value in the real network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from qcompiler.ir import Graph, Node, Value
from qcompiler.ir.ann import Conv, Dense
from qcompiler.ir.execution.evaluate import apply
from qcompiler.ir.kernels import Array
from qcompiler.passes.quantization.fusion_groups import FusionGroup

from .data import Images, run, run_precisely

_BYTES = 24  # a neuron and image, while its layer is worked on
_MEMORY = 3 << 30
_WORK = 1.2e11  # products that run all images through a network once


class Trace:
    """Real values of every tensor that is still to be read, ``images x shape``.

    Sums that integers are fitted to are ``precise``: see `run_precisely`, which takes longer.
    """

    def __init__(self, graph: Graph, data: Images, precise: bool = False) -> None:
        self._graph, self._precise = graph, precise
        self._real = {
            value.name: array.astype(np.float32)
            for value, array in zip(graph.inputs, data, strict=True)
        }
        self._unread = PendingReads(graph)

    def follow(self, node: Node) -> None:
        """Add what a single node makes of its sources."""
        self._real[node.result.name] = self._run([node], self._real)
        self._forget([node])

    def of(self, name: str) -> Array:
        """A value that is still to be read."""
        return self._real[name]

    def before_clip(self, group: FusionGroup, given: Mapping[str, Array] | None = None) -> Array:
        """What a group has in front of its clip, with some sources as ``given`` in their stead."""
        known = {**self._real, **(given or {})}
        nodes = [node for node in group.nodes if node is not group.clip]
        return self._run(nodes, known) if nodes else known[group.branches[0].source.name]

    def add(self, group: FusionGroup, before: Array) -> None:
        """Add what a group makes of its sources, given what is ``before`` its clip."""
        name = group.result.name
        self._real[name] = apply(group.clip.op, before) if group.clip else before
        self._forget(group.nodes)

    def _run(self, nodes: Sequence[Node], known: Mapping[str, Array]) -> Array:
        """What nodes make of what is known; the last one's result."""
        last = nodes[-1].result
        operands = [o for node in nodes for o in node.operands if isinstance(o, Value)]
        inputs = tuple({o.name: o for o in operands if o.name in known}.values())
        part = replace(self._graph, inputs=inputs, nodes=tuple(nodes), outputs=(last,))
        data = tuple(known[value.name] for value in inputs)
        if self._precise:
            return run_precisely(part, data)
        found = [values[last.name] for values in run(part, data, [last.name])]
        return np.concatenate(found)

    def _forget(self, nodes: Sequence[Node]) -> None:
        for name in self._unread.after(nodes):
            self._real.pop(name, None)


class PendingReads:
    """How many nodes are still to read each value of a graph."""

    def __init__(self, graph: Graph) -> None:
        values = [*graph.inputs, *(node.result for node in graph.nodes)]
        self._nodes = {value.name: len(graph.users(value)) for value in values}

    def after(self, nodes: Sequence[Node]) -> Iterator[str]:
        """Names of the values that nobody reads any more once these nodes are done."""
        for node in nodes:
            for name in {o.name for o in node.operands if isinstance(o, Value)}:
                self._nodes[name] -= 1
                if self._nodes[name] <= 0:
                    yield name


def images_for(graph: Graph, given: int, effort: int) -> int:
    """How many images to work with: as many as time (of the effort) and memory allow."""
    products, largest = size_of(graph)
    share = 4 ** (effort - 1)
    most = min(_WORK * share / products, _MEMORY * share / (_BYTES * largest))
    return int(max(1, min(given, most)))


def size_of(graph: Graph) -> tuple[float, int]:
    """Products that run an image through a network, and elements of its largest tensor."""
    largest = max((int(np.prod(node.result.type.shape)) for node in graph.nodes), default=1)
    products = 1.0
    for node in graph.nodes:
        if isinstance(node.op, Conv | Dense):
            fan = int(np.prod(node.operands[1].type.shape[1:]))
            products += float(np.prod(node.result.type.shape)) * fan
    return products, max(1, largest)
