"""Writes the closed form of a spiking graph as an ONNX model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime

from qcompiler.ir import Graph, Node, Spikes
from qcompiler.ir.execution.session import (
    OnnxWriter,
    pads_within,
    sliding,
    write_clip,
    write_max_pool,
    write_reshape,
    write_synapse,
    write_view,
)
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Convolve, Encode, First, Population, Relay
from qcompiler.ir.spiking.coding import Rescaling, affine
from qcompiler.ir.spiking.integer_network import (
    Layer,
    connection,
    layer_of,
    lower_pieces,
    spiking_nodes,
    weight_of,
)
from qcompiler.ir.view import View

from .exact_arithmetic import common_factor, fits_float32, fits_int8, is_per_channel, per_channel
from .sum_parts import SharedSums, SumKey, SumPart, parts_of

_TIE_BREAK = 1 + 2.0**-20  # scale above 1 / D that rounds ties up; see `fast_engine`


@dataclass
class LevelForms:
    """Levels in up to three forms: float32 before clip and floor (``raw``), float32, uint8.

    What is raw may still have to be divided by ``over``, one number for each channel.
    """

    top: int
    raw: str | None = None
    over: Array | None = None
    real: str | None = None
    byte: str | None = None


class ClosedForm:
    """The ONNX model of a graph; ``record`` and ``count`` as for `FastEngine`."""

    def __init__(self, graph: Graph, record: bool, count: bool) -> None:
        self.graph = graph
        self.exact = record or count  # floors every layer, to show levels and saturation
        self.count = count
        self.lower = lower_pieces(graph)
        self.writer = OnnxWriter()
        self.values: dict[str, LevelForms] = {}
        self.encoded: dict[tuple[str, Spikes], str] = {}
        self.shared = SharedSums(graph)
        self.sums: dict[SumKey, str] = {}
        self.saturation_counts: list[str] = []
        for value in graph.inputs:
            name = self.writer.input(self.writer.name("input"), value.type.shape)
            self.values[value.name] = LevelForms(0, real=name)
        for node in graph.nodes:
            self._write(node)
        self.level_sums = (
            [part for name in self.outputs for part in self._sums(name)] if count else []
        )

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of all populations, in order."""
        return tuple(node.result.name for node in spiking_nodes(self.graph))

    def session(self, names: list[str], threads: int) -> onnxruntime.InferenceSession:
        """A session that returns these populations' levels, then, if it counts, two arrays each.

        These are, neuron by neuron of a population, the number of frames in which the level is
        above 0, and the sum of levels. Last come numbers of saturated neurons.
        """
        kinds: dict[str, Any] = {}
        for name in names:
            levels = self.values[name]
            if levels.byte:
                kinds[self.writer.add("Identity", levels.byte)] = np.uint8
            else:
                kinds[self.writer.add("Identity", self._real(name))] = np.float32
        kinds |= dict.fromkeys(self.level_sums, np.float32)
        kinds |= dict.fromkeys(self.saturation_counts, np.int32)
        return self.writer.session(kinds, threads)

    def _write(self, node: Node) -> None:
        if not node.operands:
            return
        source = node.operands[0].name
        match node.op:
            case Encode() as op:
                digit = self._digit(op, self._encoded(op.code, source, Rescaling.of(node)))
                self._store(node, LevelForms(op.t_max - 1, real=digit))
            case op if isinstance(op, View) and isinstance(node.result.type, Spikes):
                self._store(node, self._view(node, self.values[source]))
            case First() as op:
                self._store(node, self._first_spike(op, self.values[source]))
            case Population():
                layer = layer_of(self.graph, node)
                self._store(node, self._population(layer))
            case _:
                return

    def _store(self, node: Node, levels: LevelForms) -> None:
        self.values[node.result.name] = levels

    def _encoded(self, code: Spikes, source: str, rescaling: Rescaling | None) -> str:
        """The levels of an input; all digits of the input share them."""
        if (source, code) not in self.encoded:
            add, raw = self.writer.add, self._real(source)
            if rescaling is not None:
                raw = add("Sub", raw, self._number(rescaling.offset))
            factor, summand = map(self._number, affine(code, rescaling))
            moved = add("Add", add("Mul", raw, factor), summand)
            levels = write_clip(self.writer, add("Floor", moved), 0, code.top)
            self.encoded[source, code] = levels
        return self.encoded[source, code]

    def _digit(self, op: Encode, levels: str) -> str:
        """One digit of input levels. Float32 quotients of integers below 2**16 floor exactly."""

        def shifted(place: int) -> str:
            if place == 1:
                return levels
            return self.writer.add("Floor", self.writer.add("Div", levels, self._number(place)))

        if op.digit == op.digits - 1:
            return shifted(op.place)
        higher = self.writer.add("Mul", shifted(op.place * op.t_max), self._number(op.t_max))
        return self.writer.add("Sub", shifted(op.place), higher)

    def _number(self, value: Any) -> str:
        return self.writer.constant(np.asarray(value, np.float32))

    def _real(self, name: str) -> str:
        return self._real_of(self.values[name])

    def _real_of(self, levels: LevelForms) -> str:
        if levels.real is None:
            if levels.raw is not None:
                levels.real = self.writer.add("Floor", self._clipped(levels))
            else:
                assert levels.byte is not None
                levels.real = self.writer.add("Cast", levels.byte, to=1)
        return levels.real

    def _byte(self, name: str) -> str:
        levels = self.values[name]
        if levels.byte is None:
            # a cast truncates, which floors what is not negative
            source = self._clipped(levels) if levels.raw else self._real(name)
            levels.byte = self.writer.add("Cast", source, to=2)
        return levels.byte

    def _clipped(self, levels: LevelForms) -> str:
        return write_clip(self.writer, self._divided(levels), 0, levels.top + 0.5)

    def _divided(self, levels: LevelForms) -> str:
        assert levels.raw is not None
        if levels.over is not None:
            levels.raw = self.writer.add("Div", levels.raw, self._number(levels.over))
            levels.over = None
        return levels.raw

    def _view(self, node: Node, levels: LevelForms) -> LevelForms:
        raw, real, byte = (
            form and write_view(self.writer, node, form)
            for form in (levels.raw and self._divided(levels), levels.real, levels.byte)
        )
        return LevelForms(levels.top, raw, None, real, byte)

    def _first_spike(self, op: First, levels: LevelForms) -> LevelForms:
        """The maximum commutes with quotient, clip and floor: these act on the smaller image."""

        def pool(form: str) -> str:
            return write_max_pool(self.writer, op, op.kernel, form)

        if levels.byte and pads_within(op, op.kernel):
            return LevelForms(levels.top, byte=pool(levels.byte))
        if levels.raw and not levels.real:
            return LevelForms(levels.top, raw=pool(levels.raw), over=levels.over)
        return LevelForms(levels.top, real=pool(self._real_of(levels)))

    def _population(self, layer: Layer) -> LevelForms:
        if fits_int8(layer):
            return self._int8_population(layer)
        top = layer.spikes.top
        scaled = fits_float32(layer) and not self.shared.of(layer)
        sums = self._scaled_population(layer) if scaled else self._sum(layer)
        over = None if scaled else layer.slope
        if not self.exact:  # a ReLU fuses into the kernel before it, a clip slows it down
            levels = LevelForms(top, raw=self.writer.add("Relu", sums), over=over)
            if over is not None and not is_per_channel(layer, over):
                self._divided(levels)
            return levels
        quotient = sums if over is None else self.writer.add("Div", sums, self._number(over))
        whole = self.writer.add("Floor", write_clip(self.writer, quotient, 0, top + 1.5))
        if self._counts(layer):
            self._count(whole, self._number(top + 0.5))
        return LevelForms(top, real=write_clip(self.writer, whole, 0, top))

    def _counts(self, layer: Layer) -> bool:
        return self.count and layer.node.result.name not in self.lower

    def _count(self, levels: str, top: str) -> None:
        saturated = self.writer.add("Cast", self.writer.add("Greater", levels, top), to=6)
        self.saturation_counts.append(self.writer.add("ReduceSum", saturated, keepdims=0))

    def _sums(self, name: str) -> tuple[str, str]:
        """Sums over the batch, exact in float32: levels above 0 of each neuron, and levels."""
        real, axis = self._real(name), self.writer.constant(np.zeros(1, np.int64))
        found = write_clip(self.writer, real, 0, 1), real
        one, other = (self.writer.add("ReduceSum", x, axis, keepdims=0) for x in found)
        return one, other

    def _scaled_population(self, layer: Layer) -> str:
        """V / D from weights over D in float32, where rounding cannot reach an integer."""
        (synapse,) = layer.synapses
        slope = per_channel(layer, layer.slope)
        weight = weight_of(synapse)
        over = slope.reshape(-1, *(1,) * (weight.ndim - 1))
        bias = (per_channel(layer, layer.bias) + 0.5) / slope
        return self._synapse(synapse, weight / over, bias)

    def _sum(self, layer: Layer) -> str:
        """V + 1/2 in integers; slices of one value, which differ in their bias, share the rest."""
        parts = parts_of(layer)
        if key := self.shared.of(layer):
            if key not in self.sums:
                self.sums[key] = self._added(parts, None)
            return self.writer.add("Add", self.sums[key], self._number(layer.bias + 0.5))
        flat = not isinstance(parts[0].op, Relay) and is_per_channel(layer, layer.bias)
        total = self._added(parts, per_channel(layer, layer.bias) + 0.5 if flat else None)
        return total if flat else self.writer.add("Add", total, self._number(layer.bias + 0.5))

    def _added(self, parts: list[SumPart], bias: Array | None) -> str:
        total = ""
        for part in parts:
            source = self._real(part.source)
            found = write_synapse(
                self.writer, part.op, source, part.weight, None if total else bias
            )
            total = self.writer.add("Add", total, found) if total else found
        return total

    def _synapse(self, synapse: Node, weight: Array, bias: Array | None) -> str:
        source = self._real(synapse.operands[0].name)
        return write_synapse(self.writer, connection(synapse), source, weight, bias)

    def _int8_population(self, layer: Layer) -> LevelForms:
        (synapse,) = layer.synapses
        factor, add, constant = common_factor(layer), self.writer.add, self.writer.constant
        weight = (weight_of(synapse) // factor).astype(np.int8)
        slope = per_channel(layer, layer.slope) // factor
        bias = per_channel(layer, layer.bias) // factor - slope // 2
        source = self._byte(synapse.operands[0].name)
        op = connection(synapse)
        attributes: dict[str, Any] = {}
        if isinstance(op, Convolve):
            attributes = {"group": op.groups, **sliding(op)}
        else:
            weight = weight.reshape(*weight.shape, 1, 1)
            source = write_reshape(self.writer, (weight.shape[1], 1, 1), source)
        one, zero = self._number(1), constant(np.zeros((), np.uint8))
        scale = self._number(_TIE_BREAK / slope)
        zeros = constant(np.zeros(len(slope), np.int8))
        inputs = (source, one, zero, constant(weight, "W"), scale, zeros, one, zero)
        whole = add("QLinearConv", *inputs, constant(bias.astype(np.int32)), **attributes)
        if not isinstance(op, Convolve):
            whole = write_reshape(self.writer, (len(slope),), whole)
        top = constant(np.asarray(layer.spikes.top, np.uint8))
        if self._counts(layer):
            self._count(whole, top)
        return LevelForms(layer.spikes.top, byte=add("Clip", whole, "", top))
