"""Which values of the real network the populations of a program code: those of the same name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from qcompiler.backends.host import output_nodes
from qcompiler.backends.program.program import Program
from qcompiler.ir import Graph, ProgramError
from qcompiler.ir.snn import Decode, Encode, Population
from qcompiler.ir.spiking.coding import Rescaling, code_of_output
from qcompiler.ir.spiking.decoded_outputs import split_outputs
from qcompiler.ir.spiking.integer_network import spikes_of, spiking_nodes
from qcompiler.manifest.channel_scales import channels_of, check_channels, does_not_fit
from qcompiler.passes.folding.rescaling import standard_name
from qcompiler.passes.slicing.slices import unsliced_name, unsplit_name

from .matched_layer import MatchedLayer, Part


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
        MatchedLayer(name, shapes[name], tuple(map(_placed, parts.values())))
        for name, parts in found.items()
    )


def _placed(part: Part) -> Part:
    """The part with the places of digits, whose levels lie farther apart the higher they are."""
    if part.t_max or isinstance(part.node.op, Encode):
        return part
    scales = [spikes_of(node.result).scale for node in part.nodes]
    return replace(part, places=tuple(round(scale / min(scales)) for scale in scales))


def _pieces(graph: Graph) -> dict[str, tuple[int, int]]:
    """The place of every piece of an output, by name, and the number of levels of the output."""
    found = {}
    for node, pieces in split_outputs(graph):
        assert isinstance(node.op, Decode)
        for place, piece in zip(node.op.places, pieces, strict=True):
            found[piece.result.name] = place, code_of_output(node).t_max
    return found
