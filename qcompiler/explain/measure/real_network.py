"""The real network that a program came from, and parts of it.

The model is read again as when it was compiled, up to the point where ranges and integers come in.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from qcompiler.backends.program.program import Program
from qcompiler.backends.program.states import carried_states
from qcompiler.frontend.import_model import Preprocessing, import_model
from qcompiler.frontend.input_values import stated_values
from qcompiler.ir import Graph, Node, ProgramError, Value
from qcompiler.ir.ann import Rescale
from qcompiler.ir.prologue import split_prologue
from qcompiler.ir.snn import Decode, Encode
from qcompiler.ir.spiking.coding import Rescaling
from qcompiler.ir.spiking.integer_network import spiking_nodes
from qcompiler.manifest.channel_scales import Offsets, offsets_of, uncentred_name
from qcompiler.passes.activations.lowered_sums import with_own_layers
from qcompiler.passes.folding.arrangement.gains import with_scales_at_roots
from qcompiler.passes.folding.host_copies import host_copy_name, reads_on_host, with_host_copy
from qcompiler.passes.folding.neighbours import affine
from qcompiler.passes.folding.rescaling import rescale_input, rescale_output
from qcompiler.passes.slicing.slices import unsliced_name
from qcompiler.passes.tensor.fold_batchnorm import FoldBatchNorm
from qcompiler.passes.tensor.fold_linear import FoldLinear
from qcompiler.streaming.ends import with_clip

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
    values = stated_values(manifest.get("input_values"))
    imported = import_model(model, before, True, shapes, values)
    _, found = split_prologue(imported.graph)
    carried = carried_states(program.graph, program.states)
    for one in carried:
        factor = one.rescaling and one.rescaling.factor
        found = with_clip(found, one.state, one.coded, factor, program.states)
    limit = _FAN_IN.search(str(manifest.get("pipeline", "")))
    fan_in = int(limit[1]) if limit else 0
    found = FoldLinear(fan_in)(FoldBatchNorm()(found))
    for node in program.graph.nodes:
        rescaling = Rescaling.of(node) if isinstance(node.op, Encode | Decode) else None
        if rescaling is not None and not (isinstance(node.op, Encode) and node.op.digit):
            found = _rescaled(found, node, rescaling)
    found = _with_host_copies(with_own_layers(FoldLinear(fan_in)(found)), program)
    shapes = {node.result.name: node.result.type.shape for node in found.nodes}
    return _with_offsets(found, offsets_of(manifest, shapes))


def _with_offsets(graph: Graph, offsets: Offsets) -> Graph:
    """The real network with the values that a program has around zero, which readers add to."""
    nodes: list[Node] = []
    restored: dict[str, Value] = {}
    known = {uncentred_name(name): (name, offset) for name, offset in offsets.items()}
    for node in graph.nodes:
        operands = tuple(restored.get(operand.name, operand) for operand in node.operands)
        nodes.append(replace(node, operands=operands))
        if node.result.name in known:
            name, offset = known[node.result.name]
            centred = Value(name, node.result.type.layout)
            back = Value(graph.fresh(f"{name}:back"), node.result.type.layout)
            restored[node.result.name] = back
            one = np.ones_like(offset)
            nodes.append(affine(node.result, one, -offset, centred, node.origin))
            nodes.append(affine(centred, one, offset, back, node.origin))
    return replace(graph, nodes=tuple(nodes))


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
    values = tuple(one.result for one in graph.nodes)  # outputs, and parts that the host joins
    if isinstance(node.op, Encode):
        values, rescale = graph.inputs, rescale_input
    value = next((value for value in values if value.name in (name, unsliced_name(name))), None)
    done = value is None or any(isinstance(user.op, Rescale) for user in graph.users(value))
    found = graph if value is None or done else rescale(graph, value, rescaling)  # states are done
    return with_scales_at_roots(FoldLinear()(found))


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
