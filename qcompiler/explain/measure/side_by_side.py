"""A compiled program beside the real network that it came from, layer for layer.

What lies between two values that populations code, a slice of the real network, can be run on what
the spiking network has in front of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from qcompiler.backends.host import frames_per_batch, output_nodes
from qcompiler.backends.program.program import Program
from qcompiler.ir import Graph
from qcompiler.ir.ann import Add, MaxPool, Rescale
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Encode
from qcompiler.ir.spiking.integer_network import (
    connection,
    layer_of,
    spikes_of,
    spiking_nodes,
    weight_of,
)
from qcompiler.ir.spiking.synapse import current
from qcompiler.ir.types import size
from qcompiler.ir.view import Pick, Reshape, Take, Transpose, View, arrange
from qcompiler.manifest.channel_scales import scale_of
from qcompiler.passes.calibration.data import run
from qcompiler.passes.calibration.trace import images_for
from qcompiler.passes.quantization.fusion_groups import LINEAR, FusionGroup, fusion_groups
from qcompiler.passes.slicing.slices import unsliced_name

from .matched_layer import MatchedLayer, Part
from .real_network import slice_of

_MEMORY = 1 << 31
_BYTES_PER_VALUE = 6  # per neuron and frame: the real value, the level, and what is made of them
_DECOMPOSITION_BYTES = 64  # per neuron and frame of the layer under analysis
_MOST = 1000  # frames
_CHUNK = 1 << 24  # neurons, times frames, whose potentials are computed at once


@dataclass
class SideBySide:
    """A program and its real network on the same frames; arrays are ``frames x shape``."""

    program: Program
    real: Graph
    layers: tuple[MatchedLayer, ...]
    data: tuple[Array, ...]
    levels: dict[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.levels = _levels(self.program, self.data)

    def __len__(self) -> int:
        return len(self.data[0])

    @cached_property
    def groups(self) -> dict[str, FusionGroup]:
        """The groups of the real network by result."""
        return {group.result.name: group for group in fusion_groups(self.real)}

    @cached_property
    def decoded(self) -> tuple[str, ...]:
        """Names of the values that are decoded, in front of what the host does."""
        known = {node.result.name for node in self.real.nodes}
        ends = output_nodes(self.program.graph)
        found = (n.operands[0].name if isinstance(n.op, Encode) else n.result.name for n in ends)
        whole = (name if name in known else unsliced_name(name) for name in found)
        return tuple(dict.fromkeys(whole))

    @cached_property
    def scores(self) -> tuple[str, ...]:
        """Names of the same values in the units of the model."""
        units = {
            n.operands[0].name: n.result.name for n in self.real.nodes if isinstance(n.op, Rescale)
        }
        return tuple(units.get(name, name) for name in self.decoded)

    @cached_property
    def values(self) -> dict[str, Array]:
        """What the real network has at every place and in its scores."""
        names = list(dict.fromkeys((*(layer.name for layer in self.layers), *self.scores)))
        return self._run(0, names)

    def spiking(self, layer: MatchedLayer) -> Array:
        """What the levels of a place stand for, in the real network's units, as float32."""
        q, step = self.coded(layer), self.step(layer)
        return np.multiply(q - np.float32(layer.code.zero), step, dtype=np.float32)

    def coded(self, layer: MatchedLayer) -> Array:
        """The levels of a place, those of slices or digits summed up."""
        return layer.joined(lambda part: part.whole(self.levels))

    def step(self, layer: MatchedLayer) -> Array:
        """What one level of a place stands for, a channel; shaped to spread."""
        return layer.scales * scale_of(self.program.manifest, layer.name, layer.shape)

    def hybrid_scores(self, index: int, value: Array | None = None) -> tuple[Array, ...]:
        """The scores if every place up to this one spikes and the rest is real.

        ``value`` stands for what this place gives.
        """
        given = {} if value is None else {self.layers[index].name: value}
        found = self._run(index + 1, list(self.scores), given)
        return tuple(found[name] for name in self.scores)

    def local(self, index: int, target: str, zero: bool = False) -> Array:
        """A real value near this place, computed from what the spiking network has before it.

        With ``zero`` one frame of it for sources that are zero.
        """
        zeros = {}
        if zero:
            part = self._behind(index, [target])
            zeros = {v.name: np.zeros((1, *v.type.shape), np.float32) for v in part.inputs}
        return self._run(index, [target], zeros)[target]

    def is_linear(self, index: int) -> bool:
        """Whether the sum behind this place, and what is between it and places before, is linear.

        Max pools and views may stand in between: they leave zero what it is.
        """
        name = self.layers[index].name
        if (group := self.groups.get(name)) is None:
            return False
        part = self._behind(index, [name])
        own = {node.result.name for node in group.nodes}
        between = [node for node in part.nodes if node.result.name not in own]
        return all(isinstance(node.op, LINEAR | Add | MaxPool | View) for node in between)

    def potential(self, layer: MatchedLayer, zero: bool = False) -> Array:
        """The real number that a population would code if it had endless levels, as float32.

        In the real network's units; with ``zero`` one frame of it for sources that stand for zero.
        """
        found = layer.joined(lambda part: self._potential(part, zero))
        found *= self.step(layer)
        return found

    def _potential(self, part: Part, zero: bool) -> Array:
        """The same of one part, in levels: its first population reads all that the whole reads."""
        layer = layer_of(self.program.graph, part.node)
        slope = layer.slope // part.places[0]
        code, frames = part.code, 1 if zero else len(self)
        found = np.empty((frames, *code.shape), np.float32)
        step = max(1, _CHUNK // max(1, size(code)))
        for begin in range(0, frames, step):
            chosen = slice(begin, begin + step)
            total: Any = layer.bias - slope // 2
            for synapse in layer.synapses:
                source = self._sent(synapse.operands[0], chosen, zero)
                total = total + current(connection(synapse), source, weight_of(synapse))
            found[chosen] = total / slope - code.zero
        return found

    def _sent(self, operand: Any, chosen: slice, zero: bool) -> Array:
        """Levels that a synapse reads, behind views."""
        if zero:
            code = spikes_of(operand)
            return np.full((1, *code.shape), code.zero, np.int64)
        if operand.name in self.levels:
            return self.levels[operand.name][chosen]
        node = self.program.graph.producer(operand)
        assert node is not None and isinstance(node.op, Reshape | Transpose | Take | Pick)
        return arrange(node.op, self._sent(node.operands[0], chosen, zero), *node.arrays)

    def _behind(self, index: int, targets: list[str]) -> Graph:
        """The real network from the places before this one to some values."""
        return slice_of(self.real, [layer.name for layer in self.layers[:index]], targets)

    def _run(
        self, index: int, targets: list[str], given: Mapping[str, Array] | None = None
    ) -> dict[str, Array]:
        """Real values from what places before this one give, or what is given in their stead."""
        part, known = self._behind(index, targets), dict(given or {})
        spiking = {layer.name: layer for layer in self.layers[:index]}
        raw = {v.name: x for v, x in zip(self.real.inputs, self.data, strict=True)}
        for name in (value.name for value in part.inputs):
            if name not in known:
                known[name] = self.spiking(spiking[name]) if name in spiking else raw[name]
        found: dict[str, list[Array]] = {name: [] for name in targets}
        for piece in run(part, tuple(known[value.name] for value in part.inputs), targets):
            for name, array in piece.items():
                found[name].append(array)
        return {name: np.concatenate(pieces) for name, pieces in found.items()}


def frames_for(program: Program, real: Graph, given: int) -> int:
    """How many frames to work with: as many as time and memory allow."""
    sizes = [size(node.result.type) for node in spiking_nodes(program.graph)]
    most = min(
        _MOST, _MEMORY // (_BYTES_PER_VALUE * sum(sizes) + _DECOMPOSITION_BYTES * max(sizes))
    )
    return max(1, min(images_for(real, given, 1), most))


def _levels(program: Program, data: tuple[Array, ...]) -> dict[str, Array]:
    """Levels of all populations, encoders and gates, in the fewest bytes that hold them."""
    found: dict[str, list[Array]] = {}
    step, engine = frames_per_batch(program.graph), program.engine("fast")
    for begin in range(0, len(data[0]), step):
        part = (array[begin : begin + step] for array in data)
        for name, q in engine(*part, record=True, count=False).levels.items():
            found.setdefault(name, []).append(q.astype(np.min_scalar_type(int(q.max()))))
    return {name: np.concatenate(pieces) for name, pieces in found.items()}
