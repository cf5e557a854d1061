"""The netlist: populations and lists of synapses, all that a simulator or a chip needs to know.

Nothing in it refers to the graph: arrays are numpy's, neurons are numbered in C order of their
population's shape, and views have become numbers of other neurons.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import Literal

import numpy as np

from qcompiler.ir import Graph, Node, ProgramError, Spikes
from qcompiler.ir.integer import control_lines, spiking_nodes
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Encode, First, Population

from .wiring import Wires, wires_into

_GATE_THRESHOLD = 1


@dataclass(frozen=True, eq=False)
class Source:
    """Input neurons: level q of graph input ``input`` leaves at step ``start + t_max - 1 - q``.

    ``q = clip(floor(x / scale + zero + 1/2), 0, t_max - 1)``.
    """

    name: str
    input: str
    shape: tuple[int, ...]
    t_max: int
    scale: float
    zero: int
    start: int


@dataclass(frozen=True, eq=False)
class Group:
    """Neurons of one kind: ``u += input; v += u``, a spike where ``v > threshold``, then ``v = 0``.

    The current u of an ``integrate`` group persists; a ``first`` group, a gate, forgets it at
    every step. Both are reset, ``u = v = 0``, at step ``open`` of every frame, before that step's
    input. Spikes leave at steps ``read`` to ``close``. A spike sends ``-inhibition`` back to its
    own neuron, where it arrives one step later and keeps it silent until the reset.
    """

    name: str
    shape: tuple[int, ...]
    kind: Literal["integrate", "first"]
    threshold: int
    inhibition: int
    open: int
    read: int
    close: int
    origin: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Number of neurons."""
        return prod(self.shape)


@dataclass(frozen=True, eq=False)
class Control:
    """A clock's spike that arrives at step ``at`` of every frame, with one weight a neuron."""

    target: str
    at: int
    weight: Array


@dataclass(frozen=True, eq=False)
class Netlist:
    """A spiking network. A frame enters every ``interval`` steps and stays ``latency`` steps."""

    sources: tuple[Source, ...]
    groups: tuple[Group, ...]
    wires: tuple[Wires, ...]
    controls: tuple[Control, ...]
    interval: int
    latency: int


def build(graph: Graph) -> Netlist:
    """The netlist of a compiled graph; ProgramError if it is not compiled to the end."""
    nodes = spiking_nodes(graph)
    spans = [_window(node) for node in nodes]
    sources, groups = [], []
    wires: list[Wires] = []
    controls: list[Control] = []
    for node in nodes:
        if isinstance(node.op, Encode):
            sources.append(_source(node, node.op))
            continue
        inward = tuple(wires_into(graph, node))
        lines = tuple(_controls(graph, node)) if isinstance(node.op, Population) else ()
        groups.append(_group(node, inward, lines))
        wires += inward
        controls += lines
    latency = max((close for _, _, close in spans), default=-1) + 1
    interval = frame_interval(graph)
    return Netlist(tuple(sources), tuple(groups), tuple(wires), tuple(controls), interval, latency)


def frame_interval(graph: Graph) -> int:
    """The smallest number of steps between two frames.

    A population is reset at its first step (open). The last thing to reach it in a frame is the
    inhibition by its own spike, one step after its last step (close): that must come before the
    next frame's reset, so ``open + interval > close + 1``. A source needs its ``t_max`` steps.
    Raises ProgramError if the graph has no windows yet.
    """
    needed = 1
    for node in spiking_nodes(graph):
        opens, _, close = _window(node)
        needed = max(needed, close - opens + (1 if isinstance(node.op, Encode) else 2))
    return needed


def _window(node: Node) -> tuple[int, int, int]:
    match node.op:
        case Population(window=window):
            return window
        case Encode(start=int(start)) | First(start=int(start)):
            assert isinstance(node.result.type, Spikes)
            return start, start, start + node.result.type.top
    raise ProgramError(f"%{node.result.name} has no window: run assign-windows and insert-readout")


def _source(node: Node, op: Encode) -> Source:
    assert op.start is not None
    (operand,) = node.operands
    return Source(
        node.result.name,
        operand.name,
        node.result.type.shape,
        *(op.t_max, op.scale, op.zero, op.start),
    )


def _group(node: Node, wires: Iterable[Wires], lines: Iterable[Control]) -> Group:
    name, shape = node.result.name, node.result.type.shape
    kind: Literal["integrate", "first"] = "integrate"
    threshold = _GATE_THRESHOLD
    if isinstance(node.op, Population):
        threshold = node.op.threshold
    else:
        kind = "first"
    group = Group(name, shape, kind, threshold, 0, *_window(node), node.origin)
    total = net_weight(group, wires)
    silence = _silence(group, total, lines) if kind == "integrate" else total.max(initial=0)
    return replace(group, inhibition=_rounded(int(silence)))


def _rounded(inhibition: int) -> int:
    """At least this much, in as few 8-bit weights as possible; see `limits.split`."""
    unit = 2 if inhibition <= 254 else 256
    return -(-inhibition // unit) * unit


def net_weight(group: Group, wires: Iterable[Wires], clip: tuple[int, int] | None = None) -> Array:
    """What one spike of every input sends to each neuron, as int64, with weights clipped."""
    total = np.zeros(group.size, np.int64)
    for wire in wires:
        weight = np.clip(wire.weight, *clip) if clip else wire.weight
        total += np.bincount(wire.post, weight, group.size).astype(np.int64)
    return total


def _silence(group: Group, net: Array, lines: Iterable[Control]) -> int:
    """The inhibition that keeps a neuron silent after its spike.

    After the spike v is 0 and u is what it was. With ``u - inhibition <= 0`` at every later step
    v falls, but for the forcing step (close), where it must stay below the threshold.
    """
    later = sorted({group.read + 1, group.close + 1} | {line.at for line in lines})
    needed = 0
    for step in later:
        if step > group.read:
            u = net + sum(line.weight for line in lines if line.at <= step)
            needed = max(needed, int(u.max()) - (group.threshold if step == group.close else 0))
    return needed


def _controls(graph: Graph, node: Node) -> Iterator[Control]:
    shape = node.result.type.shape
    for at, weight in control_lines(graph, node).items():
        spread = np.broadcast_to(weight, shape).ravel().astype(np.int64)
        yield Control(node.result.name, at, spread)
