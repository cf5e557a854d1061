"""How active the values of an integer network are on calibration images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import starmap
from typing import Any, NamedTuple

import numpy as np

from qcompiler.ir import Graph, Node
from qcompiler.ir.execution.integer_sums import has_integer_kernel, write_integer_sum
from qcompiler.ir.execution.session import OnnxWriter
from qcompiler.ir.execution.write_nodes import write_clip, write_max_pool, write_synapse, write_view
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Encode, First, Neuron, Synapse
from qcompiler.ir.spiking.coding import Rescaling, digit_of, encode
from qcompiler.ir.spiking.integer_network import (
    Layer,
    connection,
    layer_of,
    spikes_of,
    spiking_nodes,
    weight_of,
)
from qcompiler.ir.types import Spikes, size
from qcompiler.ir.view import View

_BATCH = 1 << 24  # neurons of all images that run together
_FLOAT, _UINT8, _INT32, _BOOL = 1, 2, 6, 9  # of ONNX
_LARGEST_BYTE = 255


class Activity(NamedTuple):
    """Of the levels of a population: the share that is not 0, and the mean."""

    share: float
    mean: float


def activity(graph: Graph, images: tuple[Array, ...]) -> dict[str, Activity]:
    """The activity of every encoder, integer neuron and gate, over all their neurons and images.

    Sums of integers below 2**24 are exact in single precision, so every machine finds the same.
    """
    data = {value.name: x for value, x in zip(graph.inputs, images, strict=True)}
    encoders = [node for node in graph.nodes if isinstance(node.op, Encode)]
    neurons = sum(size(node.result.type) for node in spiking_nodes(graph))
    count, step = len(images[0]), max(1, _BATCH // max(1, neurons))
    session, names = _session(graph, count * neurons)
    found = np.zeros((len(names), 2))
    for begin in range(0, count, step):
        part = {name: x[begin : begin + step] for name, x in data.items()}
        given = {node.result.name: _digits(node, part) for node in encoders}
        sums = session.run(None, {f"x{i}": q for i, q in enumerate(given.values())})
        found += np.array(sums, np.float64).reshape(-1, 2)
    sizes = {node.result.name: size(node.result.type) for node in spiking_nodes(graph)}
    return {
        name: Activity(*(row / (count * sizes[name])).tolist())
        for name, row in zip(names, found, strict=True)
    }


def _digits(node: Node, data: Mapping[str, Array]) -> Array:
    assert isinstance(node.op, Encode)
    levels = encode(node.op.code, data[node.operands[0].name], Rescaling.of(node))
    return digit_of(node.op, levels).astype(np.float32)


def _session(graph: Graph, elements: int) -> tuple[Any, list[str]]:
    """A session that gives, for each population, its active neurons and the sum of its levels.

    ``elements`` is the number of levels of all images.
    """
    writer, known = OnnxWriter(), dict[str, str]()
    names: list[str] = []
    outputs: dict[str, Any] = {}
    for node in graph.nodes:
        if not isinstance(node.result.type, Spikes):
            continue
        match node.op:
            case Encode():
                found = writer.input(f"x{len(writer.inputs)}", node.result.type.shape)
            case First() as op:
                found = write_max_pool(writer, op, op.kernel, known[node.operands[0].name])
            case Neuron():
                found = _levels(writer, graph, node, known)
            case op if isinstance(op, View):
                found = write_view(writer, node, known[node.operands[0].name])
            case _:
                continue
        known[node.result.name] = found
        if isinstance(node.op, Encode | First | Neuron):
            names.append(node.result.name)
            active = writer.add("Cast", found, to=_BOOL)
            for one in (active, found):
                whole = writer.add("Cast", one, to=_INT32)
                outputs[writer.add("ReduceSum", whole, keepdims=0)] = np.int32
    return writer.session(outputs, elements=elements), names


def _levels(writer: OnnxWriter, graph: Graph, node: Node, known: Mapping[str, str]) -> str:
    layer = layer_of(graph, node)
    total = writer.constant(np.asarray(layer.bias + 0.5, np.float32))
    for sent in _sent(writer, layer, known):
        total = writer.add("Add", sent, total)
    ratio = writer.add("Div", total, writer.constant(np.asarray(layer.slope, np.float32)))
    return writer.add("Floor", write_clip(writer, ratio, 0, spikes_of(node.result).top))


def _sent(writer: OnnxWriter, layer: Layer, known: Mapping[str, str]) -> Iterator[str]:
    """What synapses send; weights of 8 bits stay that small.

    Sources of the same weights, such as the slices of a value, are added up first.
    """
    alike: dict[tuple[Synapse, int], list[Node]] = {}
    for node in layer.synapses:
        kind = replace(connection(node), delay=0), id(node.operands[1])
        alike.setdefault(kind, []).append(node)
    tops = [sum(spikes_of(n.operands[0]).top for n in nodes) for nodes in alike.values()]
    parts = [(synapse, weight_of(nodes[0])) for (synapse, _), nodes in alike.items()]
    sources = [_added(writer, [known[n.operands[0].name] for n in some]) for some in alike.values()]
    if max(tops) <= _LARGEST_BYTE and all(starmap(has_integer_kernel, parts)):
        bytes_ = [writer.add("Cast", source, to=_UINT8) for source in sources]
        yield writer.add("Cast", write_integer_sum(writer, parts, bytes_), to=_FLOAT)
        return
    for (synapse, weight), source in zip(parts, sources, strict=True):
        yield write_synapse(writer, synapse, source, weight)


def _added(writer: OnnxWriter, sources: Sequence[str]) -> str:
    return writer.add("Sum", *sources) if len(sources) > 1 else sources[0]
