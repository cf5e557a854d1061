"""The real network that a program came from, and which of its values the populations code.

The model is read again as when it was compiled, up to the point where ranges and integers come in.
A population codes the value of the same name there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from qcompiler.backends.host import output_nodes
from qcompiler.backends.program import Program
from qcompiler.backends.states import carried_states
from qcompiler.channel_scales import channels_of, check_channels, does_not_fit
from qcompiler.frontend.import_model import Preprocessing, import_model
from qcompiler.ir import Graph, Node, ProgramError, Spikes, Value
from qcompiler.ir.kernels import Array
from qcompiler.ir.prologue import split_prologue
from qcompiler.ir.snn import Decode, Encode, Population
from qcompiler.ir.spiking.coding import Rescaling, code_of_output
from qcompiler.ir.spiking.integer_network import spikes_of, spiking_nodes, split_outputs
from qcompiler.ir.types import size
from qcompiler.passes.fold_batchnorm import FoldBatchNorm
from qcompiler.passes.fold_linear import FoldLinear
from qcompiler.passes.folding.host_copies import host_copy_name, reads_on_host, with_host_copy
from qcompiler.passes.folding.rescaling import (
    STANDARD,
    rescale_input,
    rescale_output,
    standard_name,
)
from qcompiler.passes.slicing.slices import unsliced_name, unsplit_name
from qcompiler.streaming.tied_codes import with_clip

_FAN_IN = re.compile(r"\bfold-linear\{fan_in=(\d{1,9})\}")  # as a pipeline has it


def real_network(model: Path, program: Program) -> Graph:
    """The model at the tensor level, folded as before it was quantised.

    Takes the raw input of the program, and rescales inputs and outputs as it does. Raises a
    CompileError if the model cannot be compiled.
    """
    manifest = program.manifest
    before = Preprocessing(**manifest.get("preprocessing", {}))
    shapes = manifest.get("input_shapes", {})
    if not isinstance(shapes, dict) or not all(isinstance(a, list) for a in shapes.values()):
        raise ProgramError("the manifest's input_shapes are no shapes: compile the model again")
    imported = import_model(model, before, allow_products=True, input_shapes=shapes)
    _, found = split_prologue(imported.graph)
    for carried in carried_states(program.graph, program.states):
        found = with_clip(found, carried.state, carried.bounds)
    limit = _FAN_IN.search(str(manifest.get("pipeline", "")))
    fan_in = int(limit[1]) if limit else 0
    found = FoldLinear(fan_in)(FoldBatchNorm()(found))
    for node in program.graph.nodes:
        rescaling = Rescaling.of(node) if isinstance(node.op, Encode | Decode) else None
        if rescaling is not None and not (isinstance(node.op, Encode) and node.op.digit):
            found = _rescaled(found, node, rescaling)
    return _with_host_copies(FoldLinear(fan_in)(found), program)


def _with_host_copies(graph: Graph, program: Program) -> Graph:
    """The real network with the copies of values that the host reads in a program."""
    names = {unsliced_name(node.result.name) for node in spiking_nodes(program.graph)}
    for node in graph.nodes:
        name = host_copy_name(node.result.name)
        if name in names and not graph.has(name) and reads_on_host(graph, node.result):
            graph = with_host_copy(graph, node.result)
    return graph


def _rescaled(graph: Graph, node: Node, rescaling: Rescaling) -> Graph:
    """The real network with what an encoder or decoder does to raw numbers."""
    name, rescale = node.operands[0].name, rescale_output
    values = graph.outputs
    if isinstance(node.op, Encode):
        values, rescale = graph.inputs, rescale_input
    value = next((value for value in values if value.name == name), None)
    return graph if value is None else rescale(graph, value, rescaling)


@dataclass(frozen=True)
class Part:
    """What codes a value, or the given channels of one: a population, several slices, or digits.

    ``places`` are those of the pieces of an output, ``t_max`` its number of levels.
    """

    nodes: tuple[Node, ...]
    channels: tuple[int, ...] | None = None
    places: tuple[int, ...] = ()
    t_max: int = 0

    @property
    def node(self) -> Node:
        """The population, or the one of the lowest slice or the highest digit."""
        return self.nodes[0]

    @property
    def code(self) -> Spikes:
        """The code of the levels: of slices, that of the sum of theirs, of digits, of the whole."""
        codes = [spikes_of(node.result) for node in self.nodes]
        if isinstance(self.node.op, Encode):
            return replace(self.node.op.code, shape=codes[0].shape)
        levels = 1 + sum(p * code.top for p, code in zip(self.places, codes, strict=True))
        scale = codes[self.places.index(1)].scale
        zero = sum(p * code.zero for p, code in zip(self.places, codes, strict=True))
        return Spikes(codes[0].shape, min(levels, self.t_max or levels), scale, zero)

    def whole(self, levels: Mapping[str, Array]) -> Array:
        """The levels of the value, of those of its populations by name."""
        if len(self.nodes) == 1:
            return levels[self.node.result.name]
        found = np.zeros_like(levels[self.node.result.name], np.uint16)
        for node, place in zip(self.nodes, self.places, strict=True):
            found += levels[node.result.name].astype(np.uint16) * np.uint16(place)
        return np.minimum(found, self.code.top)


@dataclass(frozen=True)
class MatchedLayer:
    """The name of a real value, and what codes it: one part, or several of some channels each."""

    name: str
    shape: tuple[int, ...]
    parts: tuple[Part, ...]

    @property
    def label(self) -> str:
        """The name of the value in the model: of a rescaled input, that of the input."""
        return self.name.removesuffix(STANDARD)

    @property
    def main(self) -> Part:
        """The part of most channels."""
        return max(self.parts, key=lambda part: size(part.node.result.type))

    @property
    def node(self) -> Node:
        """The first population of this part."""
        return self.main.node

    @property
    def code(self) -> Spikes:
        """The code of this part; others differ in scale and number of levels."""
        return replace(self.main.code, shape=self.shape)

    def of_main(self, array: Array) -> Array:
        """This part's channels of ``frames x shape``."""
        return array if self.main.channels is None else array[:, list(self.main.channels)]

    @property
    def scales(self) -> Array:
        """The scale of each channel, shaped to spread."""
        return self.joined(lambda part: _by_channel(part, part.code.scale))

    @property
    def tops(self) -> Array:
        """The highest level of each channel, shaped to spread."""
        return self.joined(lambda part: _by_channel(part, part.code.top))

    def joined(self, found: Callable[[Part], Array]) -> Array:
        """An array of all channels, ``frames x shape`` or what spreads over it, from the parts'."""
        arrays = [found(part) for part in self.parts]
        if len(arrays) == 1:
            return arrays[0]
        frames, _, *space = arrays[0].shape
        result = np.empty((frames, self.shape[0], *space), np.result_type(*arrays))
        for part, array in zip(self.parts, arrays, strict=True):
            result[:, list(part.channels or ())] = array
        return result

    @property
    def neurons(self) -> int:
        """Neurons of all populations."""
        return sum(size(node.result.type) for part in self.parts for node in part.nodes)

    @property
    def is_input(self) -> bool:
        """Whether this is an encoder."""
        return isinstance(self.node.op, Encode)


def _by_channel(part: Part, number: float) -> Array:
    shape = part.code.shape
    return np.full((1, *shape[:1], *(1,) * len(shape[1:])), number, np.float32)


def match_layers(program: Program, real: Graph, model: Path) -> tuple[MatchedLayer, ...]:
    """Encoders and populations that code a value of the real network, in order.

    Others, such as relays and segments of functions, belong to the next one that does. Raises
    ProgramError if inputs or outputs have no counterpart, or a value not all of its channels.
    """
    shapes = {v.name: v.type.shape for v in (*real.inputs, *(n.result for n in real.nodes))}
    last = {node.result.name for node in output_nodes(program.graph)}
    pieces = _pieces(program.graph)
    found: dict[str, dict[str, Part]] = {}
    for node in spiking_nodes(program.graph):
        encodes = isinstance(node.op, Encode)
        value = node.operands[0] if encodes else node.result
        coded = standard_name(value.name) if encodes and Rescaling.of(node) else value.name
        part, shape = unsliced_name(coded), value.type.shape
        name = next((n for n in (coded, part, unsplit_name(part)) if n in shapes), "")
        whole = shapes.get(name)
        channels = channels_of(program.manifest, part, shape, whole) if whole else None
        matches = channels is not None or shape == whole
        if not matches and (encodes or value.name in last):
            raise ProgramError(
                f"{model} does not match the program: it has no value %{value.name} of shape "
                f"{shape}\n   = help: give the model that was compiled"
            )
        if not isinstance(node.op, Encode | Population):
            continue
        if matches:
            known = found.setdefault(name, {}).get(part, Part((), channels))
            place, t_max = pieces.get(node.result.name, (1, 0))
            place = node.op.place if isinstance(node.op, Encode) else place
            nodes, places = (*known.nodes, node), (*known.places, place)
            found[name][part] = replace(known, nodes=nodes, places=places, t_max=t_max)
        elif name == unsplit_name(part) != part:
            raise does_not_fit(part)
    for name, parts in found.items():
        check_channels(name, [part.channels for part in parts.values()], shapes[name])
    return tuple(
        MatchedLayer(name, shapes[name], tuple(parts.values())) for name, parts in found.items()
    )


def _pieces(graph: Graph) -> dict[str, tuple[int, int]]:
    """The place of every piece of an output, by name, and the number of levels of the output."""
    found = {}
    for node, pieces in split_outputs(graph):
        assert isinstance(node.op, Decode)
        for place, piece in zip(node.op.places, pieces, strict=True):
            found[piece.result.name] = place, code_of_output(node).t_max
    return found


def slice_of(graph: Graph, given: Sequence[str], targets: Sequence[str]) -> Graph:
    """The part of a graph that computes targets from given values; these are its inputs."""
    values = {v.name: v for v in (*graph.inputs, *(n.result for n in graph.nodes))}
    needed, nodes, inputs = set(targets), [], {}
    for node in reversed(graph.nodes):
        if node.result.name in needed and node.result.name not in given:
            nodes.append(node)
            needed |= {o.name for o in node.operands if isinstance(o, Value)}
    made = {node.result.name for node in nodes}
    inputs = {name: values[name] for name in values if name in needed and name not in made}
    outputs = tuple(values[name] for name in targets)
    return Graph(graph.name, tuple(inputs.values()), tuple(reversed(nodes)), outputs)
