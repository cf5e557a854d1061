"""What calibration images make of every value, in the real network and in the integer one."""

from __future__ import annotations

import numpy as np

from qcompiler.ir import Constant, Graph, Node, Operand, Spikes, Value
from qcompiler.ir.ann import Conv, Dense, MaxPool
from qcompiler.ir.coding import cut, unrounded
from qcompiler.ir.evaluate import apply
from qcompiler.ir.kernels import Array, pool_max
from qcompiler.ir.synapse import current
from qcompiler.ir.view import View, arrange

from .groups import Group
from .integers import Integers

_BYTES = 24  # a neuron and image, while its layer is worked on
_MEMORY = 1 << 31
_WORK = 6e10  # products that run all images through a network once


class Trace:
    """Real values and levels of every tensor that is still to be read, ``images x shape``."""

    def __init__(self, graph: Graph, data: tuple[Array, ...], effort: int) -> None:
        images = images_for(graph, len(data[0]), effort)
        picked = np.linspace(0, len(data[0]) - 1, images).astype(int)
        self.real = {
            value.name: array[picked].astype(np.float32)
            for value, array in zip(graph.inputs, data, strict=True)
        }
        self.levels: dict[str, Array] = {}
        self._unread = {
            name: len(graph.users(value))
            for name, value in [(v.name, v) for v in graph.inputs]
            + [(n.result.name, n.result) for n in graph.nodes]
        }

    def encode(self, name: str, code: Spikes) -> None:
        """Add the levels of an input."""
        self.levels[name] = cut(code, unrounded(code, self.real[name]))

    def follow(self, node: Node) -> None:
        """Add what a max pool or a view makes of its source."""
        source, name = node.operands[0].name, node.result.name
        self.real[name] = apply(node.op, self.real[source])
        levels = self.levels[source]
        if isinstance(node.op, MaxPool):
            self.levels[name] = pool_max(levels, node.op, node.op.kernel, 0)
        else:
            assert isinstance(node.op, View)
            self.levels[name] = arrange(node.op, levels)
        self._read(source)

    def before_clip(self, group: Group) -> Array:
        """What the real network has in front of the clip of a group."""
        known: dict[str, Array] = {}

        def get(operand: Operand) -> Array:
            if isinstance(operand, Constant):
                return operand.data
            return known[operand.name] if operand.name in known else self.real[operand.name]

        nodes = [node for node in group.nodes if node is not group.clip]
        for node in nodes:
            known[node.result.name] = apply(node.op, *map(get, node.operands))
        return known[nodes[-1].result.name] if nodes else self.real[group.branches[0].source.name]

    def add(self, group: Group, before: Array, found: Integers, code: Spikes) -> None:
        """Add what a group makes of its sources: of real ones ``before`` its clip, and levels."""
        name = group.result.name
        self.real[name] = apply(group.clip.op, before) if group.clip else before
        total = found.bias.astype(np.float32) + np.float32(0.5)
        for index, synapse, weight in found.synapses:
            source = self.levels[group.branches[index].source.name]
            total = total + current(synapse, source, weight, np.float32)
        self.levels[name] = cut(code, total / found.slope.astype(np.float32))
        for node in group.nodes:
            for read in {o.name for o in node.operands if isinstance(o, Value)}:
                self._read(read)

    def _read(self, name: str) -> None:
        """Forget a value once all of its readers are done."""
        self._unread[name] -= 1
        if self._unread[name] <= 0:
            self.real.pop(name, None)
            self.levels.pop(name, None)


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
