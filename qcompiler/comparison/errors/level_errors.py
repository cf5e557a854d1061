"""What the number of levels explains of an error: the model with all its values in levels.

The model runs in floating point. Each value that a program sends as spikes is rounded to as many
levels as it has there, over the range that it has on the data, with the scales of channels that
`equalize` has chosen. Nothing else is rounded, and no function becomes line segments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from qcompiler.backends.program.program import Program
from qcompiler.ir import DataError, Graph, Node, Value, drop_dead
from qcompiler.ir.ann import Function, Multiply
from qcompiler.ir.execution.evaluate import evaluate
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Decode, Encode
from qcompiler.ir.spiking.coding import code_of_output
from qcompiler.manifest.channel_scales import scale_of
from qcompiler.passes.calibration.data import run
from qcompiler.passes.calibration.grid import chooses, grid_of
from qcompiler.passes.calibration.trace import PendingReads
from qcompiler.passes.quantization.fusion_groups import fusion_groups, is_network_output
from qcompiler.passes.quantization.levels import spiking_values
from qcompiler.passes.tensor.fold_linear import FoldLinear

Ends: TypeAlias = tuple[Array, Array]

_PIECE = 1 << 15  # numbers that are rounded together: they stay in the cache


@dataclass(frozen=True)
class LevelCounts:
    """The levels of each input, of inner values, and the fewest of outputs.

    The ``manifest`` knows the scales of channels of inner values, which share a range beside them.
    """

    inputs: dict[str, int]
    inner: int
    outputs: int
    manifest: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, program: Program) -> LevelCounts:
        """Those of a program."""
        graph = program.graph
        codes = {
            value.name: [n.op.code.t_max for n in graph.users(value) if isinstance(n.op, Encode)]
            for value in graph.inputs
        }
        inputs = {name: max(found, default=0) for name, found in codes.items()}
        decoded = (node for node in graph.nodes if isinstance(node.op, Decode))
        ends = min(code_of_output(node).t_max for node in decoded)
        return cls(inputs, program.t_max, ends, program.manifest)


def values_in_levels(
    graph: Graph,
    counts: LevelCounts,
    data: tuple[Array, ...],
    names: Sequence[str],
) -> tuple[Array, ...] | None:
    """Values of a model's graph, without batch normalisations, with all that spikes in levels.

    ``data`` holds one array per input, ``frames x shape``. None if a value becomes infinite.
    """
    known = {value.name: value for value in graph.inputs}
    known |= {node.result.name: node.result for node in graph.nodes}
    cut = replace(graph, outputs=tuple(known[name] for name in names), output_names=())
    try:
        return Walk(FoldLinear()(drop_dead(cut)), counts).run(data)
    except DataError:
        return None


@dataclass
class Walk:
    """A graph whose linear layers are folded, and the levels of its values.

    With ``coded`` its inputs are in levels already. ``variables`` are what functions read, by the
    names of their results. ``ranges`` are those of the levels of values, by their names; ``known``
    are the ranges to take, else they are those of the data.
    """

    graph: Graph
    counts: LevelCounts
    coded: bool = False
    variables: dict[str, Array] = field(default_factory=dict)
    known: Mapping[str, Ends] = field(default_factory=dict)
    ranges: dict[str, Ends] = field(default_factory=dict)

    def run(self, data: tuple[Array, ...]) -> tuple[Array, ...]:
        """The outputs of the graph; DataError if a value becomes infinite."""
        graph, unread = self.graph, PendingReads(self.graph)
        groups = {group.result.name: group.nodes for group in fusion_groups(graph)}
        inner = {node.result.name for nodes in groups.values() for node in nodes[:-1]}
        spiking = {value.name for value in spiking_values(graph)} - _variables(graph)
        known = {
            value.name: self.rounded(value, array)
            if value.name in spiking and not self.coded
            else array
            for value, array in zip(graph.inputs, data, strict=True)
        }
        kept = {value.name for value in graph.outputs}
        for node in graph.nodes:
            if node.result.name in inner:
                continue
            nodes = groups.get(node.result.name, (node,))
            found = self.computed(nodes, known)
            name = node.result.name
            known[name] = self.rounded(node.result, found) if name in spiking else found
            for done in unread.after(nodes):
                if done not in kept:
                    known.pop(done, None)
        return tuple(known[value.name] for value in graph.outputs)

    def computed(self, nodes: Sequence[Node], known: dict[str, Array]) -> Array:
        """The result of the last of some nodes; a product is that of levels."""
        last = nodes[-1]
        if isinstance(last.op, Multiply):
            factors = {o.name: known[o.name] for o in last.operands if isinstance(o, Value)}
            known = known | {n: self.in_levels(n, array) for n, array in factors.items()}
        if isinstance(last.op, Function):
            self.variables[last.result.name] = known[last.operands[0].name]
        operands = [o for node in nodes for o in node.operands if isinstance(o, Value)]
        inputs = tuple({o.name: o for o in operands if o.name in known}.values())
        part = replace(self.graph, inputs=inputs, nodes=tuple(nodes), outputs=(last.result,))
        part, given = replace(part, output_names=()), tuple(known[value.name] for value in inputs)
        if getattr(last.result.type, "dtype", "f32") == "i64":  # sessions look up no labels
            return evaluate(part, *given)[0]
        parts = run(part, given, [last.result.name])
        return np.concatenate([found for one in parts for found in one.values()])

    def rounded(self, value: Value, array: Array) -> Array:
        """Numbers in levels; the elements of inputs and outputs that are vectors have their own."""
        levels = self.counts.inputs.get(value.name, 0)
        grid = grid_of(array, levels > 0 and chooses(self.graph))
        if grid and grid.span < levels:
            return array
        is_end = levels > 0 or is_network_output(self.graph, value)
        levels = levels or (self.counts.outputs if is_end else self.counts.inner)
        each = (0,) if is_end and array.ndim == 2 else None
        scale = scale_of(self.counts.manifest, value.name, value.type.shape)
        if np.all(scale == 1):
            return self.in_levels(f"{value.name}:result", array, levels, each)
        return self.in_levels(f"{value.name}:result", array / scale, levels, each) * scale

    def in_levels(
        self, name: str, array: Array, levels: int = 0, axes: tuple[int, ...] | None = None
    ) -> Array:
        """Numbers rounded to evenly spaced ones over their range, or that of each element."""
        ends = (end(axis=axes, keepdims=True) for end in (array.min, array.max))
        own_low, own_high = (end.astype(np.float64) for end in ends)
        low, high = self.ranges[name] = self.known.get(name, (own_low, own_high))
        step = np.where(high > low, (high - low) / ((levels or self.counts.inner) - 1), 1.0)
        if low.size > 1:
            return _in_levels(array, low, high, step)
        flat, found = array.reshape(-1), np.empty(array.size, np.float32)
        for begin in range(0, flat.size, _PIECE):
            part = flat[begin : begin + _PIECE]
            found[begin : begin + _PIECE] = _in_levels(
                part, *(e.ravel() for e in (low, high, step))
            )
        return found.reshape(array.shape)


def _in_levels(array: Array, low: Array, high: Array, step: Array) -> Array:
    x = array.astype(np.float64).clip(low, high)
    found: Array = (np.rint((x - low) / step) * step + low).astype(np.float32)
    return found


def _variables(graph: Graph) -> set[str]:
    """Sums that only a function reads: its segments compute them as well, without levels."""
    users = {group.result.name: graph.users(group.result) for group in fusion_groups(graph)}
    return {
        name
        for name, readers in users.items()
        if readers and all(isinstance(reader.op, Function) for reader in readers)
    }
