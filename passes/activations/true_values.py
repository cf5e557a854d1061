"""Values of the network as it was before its functions and products became sums of clips.

`lower-activations` remembers the graph that it lowered. What `quantize` fits layers to is then what
functions give, not what their line segments give: weights and biases take in the difference.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from qcompiler.ir import Graph, Node, Value
from qcompiler.ir.execution.evaluate import evaluate
from qcompiler.ir.execution.threads import in_threads
from qcompiler.ir.kernels import Array
from qcompiler.passes.calibration.data import Images, finite, images_at_once
from qcompiler.passes.quantization.fusion_groups import FusionGroup, fusion_groups


def remember(lowered: Graph, graph: Graph) -> None:
    """Keep the graph that this one was made from with it, unless they are equal."""
    if lowered != graph:
        lowered.remember(_made_from, graph)


def before_lowering(lowered: Graph) -> Graph:
    """The graph that this one was made from; itself if nothing was lowered."""
    return lowered.known(_made_from) or lowered


def _made_from(lowered: Graph) -> Graph | None:
    return None  # unless it is remembered


def true_values(lowered: Graph, data: Images) -> TrueValues | None:
    """The values that sums of clips stand for in a lowered graph; None if nothing was lowered."""
    graph = lowered.known(_made_from)
    return None if graph is None else TrueValues(graph, lowered, data)


class TrueValues:
    """Sums of groups of a lowered graph, computed on the graph before.

    They are computed in double precision, part by part, as they are asked for, in the order of the
    groups. What nothing reads or asks for any more is forgotten.
    """

    def __init__(self, graph: Graph, lowered: Graph, data: Images) -> None:
        self._graph = graph
        self._producers = {node.result.name: node for node in graph.nodes}
        self._known = {value.name: array for value, array in zip(graph.inputs, data, strict=True)}
        self._names = self._known.keys() | self._producers.keys()
        asked = (self._asked(group) for group in fusion_groups(lowered))
        self._wanted = {name for name in asked if name}
        self._done: set[str] = set()

    def sums(self, group: FusionGroup) -> Array | None:
        """The sums of a group before its clip; None if what it reads was not lowered."""
        name = self._asked(group)
        if name is None or name not in self._wanted:
            return None
        if name not in self._known:
            self._run(name)
        found = self._known[name]
        self._wanted.discard(name)
        self._forget()
        return found

    def _asked(self, group: FusionGroup) -> str | None:
        """The name of a group's sums, if they were there before, and not all that they sum."""
        nodes = [node for node in group.nodes if node is not group.clip]
        if not nodes:
            return None
        before = self._producers.get(nodes[-1].result.name)
        if before is None or before.result.type.shape != nodes[-1].result.type.shape:
            return None
        values = {branch.source.name for branch in group.branches}
        return None if values <= self._names else before.result.name

    def _run(self, name: str) -> None:
        nodes = self._missing(name)
        made = {node.result.name for node in nodes}
        kept = [n.result for n in nodes if n.result.name == name or self._is_left(n.result, made)]
        read = {o.name: o for node in nodes for o in node.operands if isinstance(o, Value)}
        inputs = tuple(value for name, value in read.items() if name not in made)
        part = replace(
            self._graph, inputs=inputs, nodes=tuple(nodes), outputs=tuple(kept), output_names=()
        )
        data = tuple(self._known[value.name] for value in inputs)
        found = [np.empty((len(data[0]), *value.type.shape), np.float32) for value in kept]
        step = images_at_once(part)

        def run(images: slice) -> None:
            for begin in range(images.start, images.stop, step):
                some = slice(begin, min(begin + step, images.stop))
                given = tuple(array[some] for array in data)
                results = evaluate(part, *(array.astype(np.float64) for array in given))
                for value, into, result in zip(kept, found, results, strict=True):
                    into[some] = finite(part, given, value.name, result)

        in_threads(run, len(data[0]))
        self._done |= made
        self._known |= {value.name: array for value, array in zip(kept, found, strict=True)}

    def _missing(self, name: str) -> list[Node]:
        """The nodes between what is known and a value, in order."""
        needed, stack = set(), [name]
        while stack:
            at = stack.pop()
            if at in needed or at in self._known:
                continue
            needed.add(at)
            stack += [o.name for o in self._producers[at].operands if isinstance(o, Value)]
        return [node for node in self._graph.nodes if node.result.name in needed]

    def _is_left(self, value: Value, made: Collection[str] = ()) -> bool:
        """Whether something else is still computed from a value, or asks for it."""
        done = self._done.union(made)
        users = self._graph.users(value)
        return value.name in self._wanted or any(u.result.name not in done for u in users)

    def _forget(self) -> None:
        values = {node.result.name: node.result for node in self._graph.nodes}
        for name in [n for n in self._known if n in values and not self._is_left(values[n])]:
            del self._known[name]
