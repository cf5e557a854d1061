"""What of a network cannot fit on the cores of a chip, told before calibration and fit.

The populations are those of a folded graph at the tensor level. A program takes no fewer axons and
no less memory: slices, segments and the clock's synapses come on top, and only weights that surely
round to an integer other than 0 count here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from qcompiler.backends.backend import Backend
from qcompiler.backends.chip import Chip
from qcompiler.backends.loihi.mapping.core_map import map_to_cores
from qcompiler.backends.loihi.netlist.netlist import Netlist, Population, Synapses
from qcompiler.ir import (
    Diagnostic,
    Graph,
    Node,
    Spikes,
    Tensor,
    UnsupportedModel,
    Value,
    raise_if_any,
)
from qcompiler.ir.ann import Function, MaxPool, Multiply
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Connect, Convolve, Relay, Synapse
from qcompiler.ir.view import View, arrange
from qcompiler.passes import Pass, Pipeline, Watcher
from qcompiler.passes.quantization.fusion_groups import FusionGroup, fusion_groups
from qcompiler.passes.quantization.real_layer import real_layer_of
from qcompiler.passes.spiking.quantize import Quantize
from qcompiler.passes.tensor.equalize import Equalize
from qcompiler.passes.tensor.normalize import Normalize
from qcompiler.passes.tensor.split_ranges import SplitRanges

_SLOW = (Equalize, Normalize, Quantize, SplitRanges)
_OWN = "qcompiler.passes."
_LARGEST = 127  # integer weight of 8 bits: what is smaller than this part of it may become 0
_ONE = 2  # any weight but 0


def exceeded_core_limits(graph: Graph, steps: Pipeline, backend: Backend) -> tuple[Diagnostic, ...]:
    """A finding for every population that no core of the target's chip can hold.

    The passes before the first slow one run. Other packages' passes behind it could still change
    the network, so there are no findings, then, nor for a target that may exceed its chip.
    """
    chip, quick = _chip_to_fit(steps, backend), _quick_passes(steps)
    return () if chip is None else _oversized(Pipeline(quick).run(graph), chip)


def check_core_limits(
    graph: Graph, steps: Pipeline, backend: Backend, watch: Watcher, now: bool
) -> Watcher:
    """What watches these passes, and raises UnsupportedModel once the quick ones have run.

    ``watch`` is told of these behind that. So passes run once; with ``now``, or where there are no
    quick ones, they run for the findings alone.
    """
    chip, quick = _chip_to_fit(steps, backend), _quick_passes(steps)
    if now or not quick:
        raise_if_any(exceeded_core_limits(graph, steps, backend), UnsupportedModel)
    if now or not quick or chip is None:
        return watch
    held: list[tuple[Pass, Graph]] = []

    def watched(step: Pass, graph: Graph) -> None:
        held.append((step, graph))
        if any(step is one for one in quick[:-1]):
            return
        if step is quick[-1]:
            raise_if_any(_oversized(graph, chip), UnsupportedModel)
        while held:
            watch(*held.pop(0))

    return watched


def _quick_passes(steps: Pipeline) -> tuple[Pass, ...]:
    """The passes before the first slow one."""
    first = next((i for i, step in enumerate(steps.passes) if isinstance(step, _SLOW)), 0)
    return steps.passes[:first]


def _chip_to_fit(steps: Pipeline, backend: Backend) -> Chip | None:
    """The chip whose cores must hold every population; None where that cannot be told so early."""
    slow = steps.passes[len(_quick_passes(steps)) :]
    foreign = [step for step in slow if not type(step).__module__.startswith(_OWN)]
    chip = backend.chip
    if chip is None or foreign or all(i.name != f"fits {chip.name}" for i in backend.requires):
        return None
    return chip


def _oversized(graph: Graph, chip: Chip) -> tuple[Diagnostic, ...]:
    groups = {group.result.name: group for group in fusion_groups(graph)}
    known = {value.name for value in graph.inputs}
    populations: list[Population] = []
    synapses: list[Synapses] = []
    for node in graph.nodes:
        name, group = node.result.name, groups.get(node.result.name)
        rows = list(_rows(graph, node, group))
        if rows and all(row.source in known for row in rows):  # else the host computes it
            known.add(name)
            synapses += rows
            origin = group.origin if group else node.origin
            populations.append(Population(name, node.result.type.shape, True, 0, 0, 0, 0, origin))
    findings = map_to_cores(Netlist((), tuple(populations), tuple(synapses)), chip)[1]
    return tuple(
        replace(finding, message=finding.message.replace(" needs ", " needs at least "))
        for finding in findings
    )


def _rows(graph: Graph, node: Node, group: FusionGroup | None) -> Iterator[Synapses]:
    """The data synapses of a population; none if the node is not the last of one."""
    for value, synapse, weight in _links(node, group):
        source, image = _senders(graph, value)
        assert isinstance(source.type, Tensor)
        given = source.name, node.result.name
        for _ in range(source.type.digits):
            match synapse:
                case Connect():
                    sure = np.abs(weight) >= np.abs(weight).max(axis=1, keepdims=True) / _LARGEST
                    nonzero = (sure & (weight != 0)).astype(np.int8)
                    yield Synapses(*given, "matrix", nonzero * _ONE, image.shape, image)
                case Relay():
                    ones = (weight != 0).astype(np.int8)
                    yield Synapses(*given, "each", ones * _ONE, image.shape, image)
                case Convolve() as op:
                    ones = np.full(weight.shape, _ONE, np.int8)
                    how: tuple[Any, ...] = (op.strides, op.pads, op.dilations, op.groups)
                    yield Synapses(*given, "kernel", ones, image.shape, image, 0, *how)


def _links(node: Node, group: FusionGroup | None) -> Iterator[tuple[Value, Synapse, Array]]:
    """Source, kind and weights of each projection to a population."""
    if group is not None:
        sources = [branch.source for branch in group.branches]
        try:
            real = real_layer_of(group, [[Spikes(s.type.shape, 2, 1.0)] for s in sources])
        except UnsupportedModel:  # the pass that lowers it says why
            return
        for source, branch in zip(sources, real.branches, strict=True):
            yield source, branch.synapse, branch.weight
        return
    values = [operand for operand in node.operands if isinstance(operand, Value)]
    match node.op:
        case MaxPool() as op:
            channels = node.result.type.shape[0]
            pool = Convolve(op.strides, op.pads, op.dilations, channels)
            yield values[0], pool, np.ones((channels, 1, *op.kernel), np.int8)
        case Function() | Multiply():
            for value in values:
                yield value, Relay(), np.ones((1,) * len(value.type.shape), np.int8)


def _senders(graph: Graph, value: Value) -> tuple[Value, Array]:
    """The value behind views, and which of its elements stands where."""
    node = graph.producer(value)
    if node is None or not isinstance(node.op, View):
        shape = value.type.shape
        return value, np.arange(np.prod(shape, dtype=np.int64)).reshape(shape)
    (inner,) = (operand for operand in node.operands if isinstance(operand, Value))
    source, image = _senders(graph, inner)
    return source, arrange(node.op, image[None], *node.arrays)[0]
