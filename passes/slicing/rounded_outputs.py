"""What an output becomes if one value of the real network is rounded to levels."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np

from qcompiler.ir import DataError, Graph, Spikes, Value, drop_dead
from qcompiler.ir.kernels import Array
from qcompiler.ir.types import size
from qcompiler.passes.calibration.data import Images, RealNetwork, run
from qcompiler.passes.calibration.rounded_values import rounded_to_levels

_MEMORY, _BYTES = 1 << 27, 4  # of the values of all images that are kept, and of one


class RealValues:
    """The first output of a graph on some data, and some of its values: the network runs once.

    ``values`` are those that will be rounded. If they take too much memory, each is computed when
    it is asked for. Raises DataError if a value becomes NaN or infinite without rounding.
    """

    def __init__(self, graph: Graph, data: Images, values: Sequence[Value]) -> None:
        self._graph, self._data = graph, data
        needed = _BYTES * len(data[0]) * sum(size(value.type) for value in values)
        kept = [value.name for value in values] if needed <= _MEMORY else []
        self._known = self._run([*kept, graph.outputs[0].name])
        self.output = self._known[graph.outputs[0].name]

    def outputs_if_rounded(self, value: Value, codes: Sequence[Spikes]) -> Iterator[Array]:
        """The output with one value rounded by each of the codes."""
        real = self._real(value)
        rounded = (rounded_to_levels(code, real) for code in codes)
        yield from self._outputs(value, rounded, len(codes) * len(real))

    def outputs_by_channel(self, value: Value, code: Spikes) -> Iterator[Array]:
        """The output with one channel after the other rounded."""
        real = self._real(value)
        rounded = rounded_to_levels(code, real)
        channels = range(real.shape[1])
        changed = (np.where(_only(at, real), rounded, real) for at in channels)
        yield from self._outputs(value, changed, len(channels) * len(real))

    def _real(self, value: Value) -> Array:
        return (
            self._known[value.name]
            if value.name in self._known
            else self._run([value.name])[value.name]
        )

    def _outputs(self, value: Value, given: Iterator[Array], images: int) -> Iterator[Array]:
        """The output with each of these in place of a value."""
        rest = _behind(self._graph, value, self._known)
        known = dict(zip((v.name for v in self._graph.inputs), self._data, strict=True))
        known |= self._known
        behind = RealNetwork(rest, [rest.outputs[0].name], images)
        for array in given:
            known[value.name] = array
            yield self._whole(behind, tuple(known[one.name] for one in rest.inputs))

    def _whole(self, behind: RealNetwork, given: Images) -> Array:
        """The output; its mean if rounding makes it infinite, as with a norm that becomes 0."""
        try:
            return behind.whole(given)
        except DataError:
            return np.broadcast_to(self.output.mean(axis=0), self.output.shape)

    def _run(self, names: Sequence[str]) -> dict[str, Array]:
        """Values of these names; what none of them needs is not computed."""
        parts = list(run(self._graph, self._data, list(dict.fromkeys(names))))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _only(channel: int, array: Array) -> Array:
    """Which channel, in the shape of ``images x shape``."""
    found: Array = np.arange(array.shape[1]).reshape(-1, *(1,) * (array.ndim - 2)) == channel
    return found


def _behind(graph: Graph, value: Value, known: Collection[str]) -> Graph:
    """What computes the output from a value, from known ones that do not depend on it, and inputs.

    Where known values end the branches beside the value, these are not computed again.
    """
    behind = {value.name}
    for node in graph.nodes:
        if any(operand.name in behind for operand in node.operands if isinstance(operand, Value)):
            behind.add(node.result.name)
    ends = {*known} - behind - {graph.outputs[0].name} | {value.name}
    rest = tuple(node for node in graph.nodes if node.result.name not in ends)
    nodes = drop_dead(replace(graph, nodes=rest)).nodes
    made = {node.result.name for node in nodes}
    read = (o for node in nodes for o in node.operands if isinstance(o, Value))
    inputs = {operand.name: operand for operand in (value, *read) if operand.name not in made}
    return replace(graph, inputs=tuple(inputs.values()), nodes=nodes)
