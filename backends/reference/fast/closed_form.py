"""Writes the closed form of a spiking graph as an ONNX model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import onnxruntime

from qcompiler.backends.reference.kernels.byte_populations import write_levels, write_pooled_bytes
from qcompiler.backends.reference.kernels.exact_arithmetic import is_per_channel
from qcompiler.backends.reference.kernels.families import families, is_stackable, ladders
from qcompiler.backends.reference.kernels.level_forms import LevelForms
from qcompiler.backends.reference.kernels.pieces import Piece
from qcompiler.backends.reference.kernels.population_kernels import (
    Stack,
    Sum,
    cheapest_stacks,
    write_scaled,
)
from qcompiler.backends.reference.kernels.sum_parts import parts_of
from qcompiler.ir import Graph, Node, Spikes
from qcompiler.ir.execution.session import OnnxWriter
from qcompiler.ir.execution.write_nodes import write_clip
from qcompiler.ir.snn import Encode, First, Population
from qcompiler.ir.spiking.integer_network import Layer, neuron_count, spiking_nodes
from qcompiler.ir.view import View

from .input_levels import InputLevels
from .packed_pools import only_pool, pool_of
from .shared_sums import SharedSums
from .spike_counts import SpikeCounts

_FRAMES = 256  # of which levels are shown or counted, about


class Output(NamedTuple):
    """Where the levels of a population are: which result of a session, and which part of it."""

    result: int
    piece: Piece


class ClosedForm:
    """The ONNX model of a graph; ``record`` and ``count`` as for `FastEngine`."""

    def __init__(self, graph: Graph, record: bool, count: bool) -> None:
        self.graph = graph
        self.exact = record or count  # floors every layer, to show levels and saturation
        self.writer = OnnxWriter()
        self.counts = SpikeCounts(self.writer, graph, count)
        self.pieces: dict[str, Piece] = {}
        self.changed: dict[tuple[Any, ...], LevelForms] = {}
        self.families = families(graph)
        self.readers: dict[str, list[Node]] = defaultdict(list)
        for node in graph.nodes:
            for operand in node.operands:
                self.readers[operand.name].append(node)
        self.sums = SharedSums(self.writer, graph)
        self.inputs = InputLevels(self.writer, graph)
        for node in graph.nodes:
            self._write(node)
        for name in self.outputs if count else ():
            self.counts.add_levels(self.pieces[name].alone.as_real())

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of all populations, in order."""
        return tuple(node.result.name for node in spiking_nodes(self.graph))

    def session(
        self, names: list[str], threads: int, decoded: Iterable[str] = ()
    ) -> tuple[onnxruntime.InferenceSession, dict[str, Output]]:
        """A session, and where among its results these populations' levels are.

        If it counts, two arrays each follow: neuron by neuron of a population, the number of frames
        in which the level is above 0, and the sum of levels. Last come numbers of saturated
        neurons; in their place, if it does not count, what is ``decoded``.
        """
        kinds: dict[str, Any] = {}
        known: dict[LevelForms, int] = {}
        found: dict[str, Output] = {}
        for name in names:
            piece = self.pieces[name]
            if piece.whole not in known:
                known[piece.whole] = len(known)
                form = piece.whole.byte or piece.whole.as_real()
                kind = np.uint8 if piece.whole.byte else np.float32
                kinds[self.writer.add("Identity", form)] = kind
            found[name] = Output(known[piece.whole], piece)
        kinds |= dict.fromkeys(self.counts.levels, np.float32)
        kinds |= dict.fromkeys(self.counts.saturation, np.int32)
        kinds |= dict.fromkeys(decoded, np.float32)
        elements = _FRAMES * neuron_count(self.graph) if self.exact else None
        return self.writer.session(kinds, threads, spin=True, elements=elements), found

    def _write(self, node: Node) -> None:
        if not node.operands or node.result.name in self.pieces:
            return
        source = node.operands[0].name
        match node.op:
            case Encode():
                self.pieces[node.result.name] = Piece.of(self.inputs.levels(node))
            case First():
                self.pieces[node.result.name] = self._changed(node, self.pieces[source])
            case op if isinstance(op, View) and isinstance(node.result.type, Spikes):
                self.pieces[node.result.name] = self._changed(node, self.pieces[source])
            case Population():
                self._family(self.families[node.result.name])
            case _:
                return

    def _changed(self, node: Node, piece: Piece) -> Piece:
        """A view of a piece, or its first spikes, which are pieces of those of the whole."""
        pool = isinstance(node.op, First)
        if not (pool or piece.has_all_channels):
            piece = Piece.of(piece.alone)
        whole = piece.whole
        op = pool_of(node) if pool else node.op
        key = op, whole, *(operand.name for operand in node.operands[1:])
        if key not in self.changed:
            self.changed[key] = whole.first_spikes(node) if pool else whole.viewed(node)
        changed = self.changed[key]
        if pool:
            changed.shape = (whole.shape[0], *changed.shape[1:])
        return replace(piece, whole=changed)

    def _number(self, value: Any) -> str:
        return self.writer.constant(np.asarray(value, np.float32))

    def _family(self, family: Sequence[Layer]) -> None:
        """Populations with the same sources: in bytes as one, in float32 one by one."""
        alike: dict[int, list[Sum]] = defaultdict(list)
        for index, ladder in enumerate(ladders(family)):
            one = Sum(ladder, parts_of(ladder.base, self.pieces))
            if one.in_bytes is not None:
                alike[0 if is_stackable(ladder.base) else index].append(one)
            else:
                self._real_population(one)
        for sums in alike.values():
            for way in cheapest_stacks(sums)[1]:
                if isinstance(way, Stack):
                    self._byte_populations(way)
                else:
                    self._real_population(way)

    def _byte_populations(self, stack: Stack) -> None:
        whole = LevelForms(self.writer, stack.shape, stack.top)
        self._assign(stack, whole)
        pool = None if self.exact else only_pool(stack, self.readers)
        if pool is not None:
            op, shape = pool_of(pool), (stack.shape[0], *pool.result.type.shape[1:])
            byte, last = write_pooled_bytes(self.writer, stack, op, shape)
            pooled = LevelForms(self.writer, shape, stack.top, byte=byte, last=last)
            self.changed[op, whole] = pooled
            return
        levels = write_levels(self.writer, stack, whole)
        if self.counts.active:
            raw = LevelForms(self.writer, stack.shape, stack.top + 1, byte=levels)
            self._count_bytes(stack, raw)

    def _assign(self, stack: Stack, whole: LevelForms) -> None:
        first = 0
        for one in stack.sums:
            count = one.channels if len(stack.sums) > 1 else None
            for rung in one.ladder.rungs:
                piece = Piece(whole, rung.top, rung.below, first, count, one.ladder.top)
                self.pieces[rung.name] = piece
            first += one.channels

    def _count_bytes(self, stack: Stack, raw: LevelForms) -> None:
        for rung in (rung for one in stack.sums for rung in one.ladder.rungs):
            if self.counts.includes(rung):
                piece = self.pieces[rung.name]
                form = raw.part(piece.first, piece.channels, 0, raw.top, raw.top)
                limit = np.asarray(rung.below + rung.top, np.uint8)
                self.counts.add_saturation(form.as_byte(), self.writer.constant(limit))

    def _real_population(self, one: Sum) -> None:
        layer, top = one.ladder.base, one.ladder.top
        scaled = one.scaled and not self.sums.is_shared(one)
        sums = write_scaled(self.writer, one) if scaled else self.sums.write(one)
        over = None if scaled else layer.slope
        whole = LevelForms(self.writer, layer.spikes.shape, top)
        for rung in one.ladder.rungs:
            self.pieces[rung.name] = Piece(whole, rung.top, rung.below)
        if not self.exact:  # a ReLU fuses into the kernel before it, a clip slows it down
            whole.raw, whole.over = self.writer.add("Relu", sums), over
            if over is not None and not is_per_channel(layer, over):
                whole.divided()
            return
        quotient = sums if over is None else self.writer.add("Div", sums, self._number(over))
        raw = self.writer.add("Floor", write_clip(self.writer, quotient, 0, top + 1.5))
        for rung in one.ladder.rungs:
            if self.counts.includes(rung):
                self.counts.add_saturation(raw, self._number(rung.below + rung.top + 0.5))
        whole.real = write_clip(self.writer, raw, 0, top)
