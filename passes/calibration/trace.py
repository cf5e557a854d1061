"""Values of the real-valued network on the calibration images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from qcompiler.ir import Graph, Node, Value
from qcompiler.ir.ann import Conv, Dense
from qcompiler.ir.execution.evaluate import apply
from qcompiler.ir.kernels import Array
from qcompiler.passes.quantization.fusion_groups import FusionGroup

from .data import Images, RealNetwork, finite, images_at_once
from .precise_sums import PreciseSums

_BYTES = 24  # bytes per neuron and image, while its layer is processed
_MEMORY = 3 << 30
_WORK = 1.2e11  # products that run all images through a network once


class Trace:
    """Real values of every tensor that has readers left, ``images x shape``.

    ``precise`` computes sums of groups in double precision (see `PreciseSums`).
    """

    def __init__(self, graph: Graph, data: Images, precise: bool = False) -> None:
        self._graph = graph
        self._precise = PreciseSums(graph) if precise else None
        self._real = {
            value.name: array.astype(np.float32)
            for value, array in zip(graph.inputs, data, strict=True)
        }
        self._unread = PendingReads(graph)
        self._last: tuple[Graph, RealNetwork] | None = None  # what ran last

    def follow(self, node: Node) -> None:
        """Compute and keep the result of one node."""
        self._real[node.result.name] = self._run([node], self._real)
        self._forget([node])

    def of(self, name: str) -> Array:
        """A value that has readers left."""
        return self._real[name]

    def before_clip(self, group: FusionGroup, given: Mapping[str, Array] | None = None) -> Array:
        """The sums of a group before its clip; ``given`` replaces the values of some sources."""
        known = {**self._real, **(given or {})}
        nodes = [node for node in group.nodes if node is not group.clip]
        if not nodes:
            return known[group.branches[0].source.name]
        if self._precise is None:
            return self._run(nodes, known)
        sources = [known[branch.source.name] for branch in group.branches]
        part, data = self._part(nodes, known)
        return finite(part, data, part.outputs[0].name, self._precise.of(group, sources))

    def add(self, group: FusionGroup, before: Array) -> None:
        """Keep the result of a group, computed from its sums ``before`` the clip."""
        name = group.result.name
        clip = group.clip
        self._real[name] = apply(clip.op, before, *clip.arrays) if clip else before
        self._last = None
        self._forget(group.nodes)

    def changed_sums(
        self, group: FusionGroup, changes: Mapping[str, Callable[[Array], Array]]
    ) -> Iterator[tuple[slice, Array]]:
        """The sums of a group for some images after the other, and which images these are.

        ``changes`` are made to the values of some sources, as they are read.
        """
        nodes = [node for node in group.nodes if node is not group.clip]
        if not nodes:
            name = group.branches[0].source.name
            yield slice(None), changes[name](self._real[name])
            return
        part, data = self._part(nodes, self._real)
        step = images_at_once(part)
        for begin in range(0, len(data[0]), step):
            images = slice(begin, begin + step)
            given = tuple(
                changes[value.name](array[images]) if value.name in changes else array[images]
                for value, array in zip(part.inputs, data, strict=True)
            )
            yield images, self._result(part, given)

    def _run(self, nodes: Sequence[Node], known: Mapping[str, Array]) -> Array:
        """Run nodes on known values; returns the result of the last one."""
        return self._result(*self._part(nodes, known))

    def _result(self, part: Graph, data: Images) -> Array:
        """The result of a part of the network; the session of the last part is kept."""
        name = part.outputs[0].name
        if self._last is None or self._last[0] != part:
            self._last = None  # frees its memory before the next takes some
            self._last = part, RealNetwork(part, [name], len(data[0]))
        return self._last[1].whole(data)

    def _part(self, nodes: Sequence[Node], known: Mapping[str, Array]) -> tuple[Graph, Images]:
        """Nodes as a graph of the last result, and the values of its inputs."""
        operands = [o for node in nodes for o in node.operands if isinstance(o, Value)]
        inputs = tuple({o.name: o for o in operands if o.name in known}.values())
        part = replace(self._graph, inputs=inputs, nodes=tuple(nodes), outputs=(nodes[-1].result,))
        return part, tuple(known[value.name] for value in inputs)

    def _forget(self, nodes: Sequence[Node]) -> None:
        for name in self._unread.after(nodes):
            self._real.pop(name, None)


class PendingReads:
    """Counts the remaining readers of each value of a graph."""

    def __init__(self, graph: Graph) -> None:
        values = [*graph.inputs, *(node.result for node in graph.nodes)]
        self._nodes = {value.name: len(graph.users(value)) for value in values}

    def after(self, nodes: Sequence[Node]) -> Iterator[str]:
        """Names of the values without readers left after these nodes have run."""
        for node in nodes:
            for name in {o.name for o in node.operands if isinstance(o, Value)}:
                self._nodes[name] -= 1
                if self._nodes[name] <= 0:
                    yield name


def images_for(graph: Graph, given: int, effort: int) -> int:
    """Number of images to use: as many as the effort's time and the memory allow."""
    products, largest = size_of(graph)
    share = 4 ** (effort - 1)
    most = min(_WORK * share / products, _MEMORY * share / (_BYTES * largest))
    return int(max(1, min(given, most)))


def products_of(node: Node) -> float:
    """Multiplications of a node per image; those of layers count alone."""
    if not isinstance(node.op, Conv | Dense):
        return 0.0
    return float(np.prod(node.result.type.shape)) * float(np.prod(node.operands[1].type.shape[1:]))


def size_of(graph: Graph) -> tuple[float, int]:
    """Multiplications per image, and elements of the largest tensor of a network."""
    largest = max((int(np.prod(node.result.type.shape)) for node in graph.nodes), default=1)
    return 1 + sum(map(products_of, graph.nodes)), max(1, largest)
