"""Lowers a graph of the tensor level to spikes, node by node: what `quantize` runs."""

from __future__ import annotations

from qcompiler.ir import Builder, Constant, Diagnostic, Graph, Node, Tensor, UnsupportedModel, Value
from qcompiler.ir.ann import ArgMax, Concat, MaxPool, OnHost, Rescale, Softmax
from qcompiler.ir.snn import Decode, Encode, First
from qcompiler.ir.spiking.coding import Rescaling
from qcompiler.ir.spiking.integer_network import spikes_of
from qcompiler.ir.view import View
from qcompiler.passes.quantization.fusion_groups import FusionGroup, fusion_groups
from qcompiler.passes.quantization.levels import coded_inputs, times_of
from qcompiler.passes.quantization.real_layer import constants_of

from .group_integers import GroupIntegers
from .options import LoweringOptions
from .populations import Populations, sources_of
from .result_codes import result_code, steep_behind


class Quantizer:
    """Lowers one graph.

    ``spikes`` holds what is lowered to spikes by name, ``tensors`` what the host decodes or
    computes. All faults are collected before `UnsupportedModel` tells them.
    """

    def __init__(self, graph: Graph, options: LoweringOptions) -> None:
        self.graph = graph
        self.options = options
        self.builder = Builder(graph.name)
        self.spikes: dict[str, tuple[Value, ...]] = {}  # digits, or one population for all
        self.tensors: dict[str, Value] = {}
        self.groups = {group.result.name: group for group in fusion_groups(graph)}
        self.inner = {n.result.name for g in self.groups.values() for n in g.nodes[:-1]}
        self.populations = Populations(self.builder)
        self.faults: list[Diagnostic] = []
        self.failed: set[str] = set()
        self.integers = GroupIntegers(graph, options, self.groups)
        self.trace, self.levels = self.integers.trace, self.integers.levels

    def run(self) -> Graph:
        """The spiking graph; UnsupportedModel for what has no spiking form."""
        for raw, value in zip(self.graph.inputs, coded_inputs(self.graph), strict=True):
            self.encode(raw, value)
        for index, node in enumerate(self.graph.nodes):
            if self.trace and self.options.progress:
                self.options.progress((index + 1) / len(self.graph.nodes))
            if node.result.name not in self.inner and self.lowered(node):
                try:
                    self.lower(node)
                except UnsupportedModel as error:
                    self.faults.extend(error.diagnostics)
                    self.failed.add(node.result.name)
        if self.faults:
            behind = steep_behind(self.graph, self.groups, self.spikes, self.failed, self.options)
            raise UnsupportedModel(*dict.fromkeys((*self.faults, *behind)))
        outputs = [self.tensor(value) for value in self.graph.outputs]
        return self.builder.build(outputs, self.graph.output_names)

    def lowered(self, node: Node) -> bool:
        """Whether all sources of a node are lowered; if not, an error is already recorded."""
        group = self.groups.get(node.result.name)
        sources = [b.source for b in group.branches] if group else node.operands
        values = [source for source in sources if isinstance(source, Value)]
        return all(v.name in self.spikes or v.name in self.tensors for v in values)

    def encode(self, raw: Value, value: Value) -> None:
        """Encode an input; ``value`` is what becomes spikes of it."""
        assert isinstance(value.type, Tensor)
        rescaling: tuple[Constant, ...] = ()
        if (node := self.graph.producer(value)) is not None:
            rescaling = constants_of(node)
            if self.trace:
                self.trace.follow(node)
        given = self.builder.input(raw.name, raw.type)
        digits = value.type.digits
        code = result_code(self.graph, value, (), self.options)
        t_max = times_of(self.graph, value, self.options.t_max)
        ops = [Encode(t_max, code.scale, code.zero, digits, at) for at in reversed(range(digits))]
        suffixes = [f"digit{op.digit}" for op in ops] if digits > 1 else ["spikes"]
        self.spikes[value.name] = tuple(
            self.builder.add(op, given, *rescaling, name=f"{raw.name}:{suffix}")
            for op, suffix in zip(ops, suffixes, strict=True)
        )
        if self.levels:
            arrays = Rescaling(*(c.data for c in rescaling)) if rescaling else None
            self.levels.encode(raw.name, value.name, ops, arrays)

    def lower(self, node: Node) -> None:
        name, origin = node.result.name, node.origin
        if group := self.groups.get(name):
            self.spikes[name] = (self.population(group),)
            return
        source = node.operands[0]
        assert isinstance(source, Value)
        if source.name in self.spikes and isinstance(node.op, View | MaxPool):
            for record in (self.trace, self.levels):
                if record:
                    record.follow(node)
        match node.op:
            case Rescale() if source.name not in self.tensors:
                self.rescale(node, source)
            case MaxPool() as op:
                first = First(op.strides, op.pads, op.dilations, op.kernel)
                self.spikes[name] = (self.follow(node, first, self.whole(source)),)
            case op if isinstance(op, View) and source.name in self.spikes:
                digits = self.spikes[source.name]
                self.spikes[name] = tuple(self.follow(node, op, digit) for digit in digits)
            case op if isinstance(op, OnHost | Concat | Rescale | View):
                host = (self.tensor(o) if isinstance(o, Value) else o for o in node.operands)
                self.tensors[name] = self.builder.add(node.op, *host, name=name, origin=origin)
            case _:
                raise UnsupportedModel(
                    Diagnostic(f"{node.op.mnemonic} has no spiking form", origin)
                )

    def follow(self, node: Node, op: First | View, spikes: Value) -> Value:
        """Append a first-spike gate or a view."""
        name, operands = node.result.name, (spikes, *node.operands[1:])
        return self.builder.add(op, *operands, name=name, origin=node.origin)

    def rescale(self, node: Node, source: Value) -> None:
        """Decode an output with a scale for each element; inputs are encoded already."""
        name = node.result.name
        if name not in self.spikes:
            operands = self.whole(source), *node.operands[1:]
            self.tensors[name] = self.builder.add(Decode(), *operands, name=name)

    def whole(self, value: Value) -> Value:
        """The spikes of a value; UnsupportedModel if it has none, or is sent as several digits."""
        if value.name not in self.spikes:
            raise UnsupportedModel(self.on_host(value, ()))
        first, *others = self.spikes[value.name]
        if others:
            raise UnsupportedModel(
                f"only sums can read the digits of %{value.name}: use split-inputs{{digits=1}}"
            )
        return first

    def tensor(self, value: Value) -> Value:
        """The value as a tensor on the host; spikes are decoded."""
        if value.name not in self.tensors:
            spikes = self.whole(value)
            decoded = self.builder.add(Decode(), spikes, name=f"{value.name}:value")
            self.tensors[value.name] = decoded
        return self.tensors[value.name]

    def on_host(self, value: Value, origin: tuple[str, ...]) -> Diagnostic:
        """That a layer reads what the host computes, with the remedy for what computes it."""
        made = self.graph.producer(value)
        while made is not None and isinstance(made.op, View):
            made = self.graph.producer(made.operands[0])
        assert made is not None
        if isinstance(made.op, Softmax | ArgMax):
            return Diagnostic(
                "a layer behind softmax or argmax has no spiking form",
                origin or made.origin,
                "end the model at softmax or argmax; run the other layers on the host",
            )
        message = f"a layer reads %{value.name}, which {made.op.mnemonic} computes on the host"
        help_ = "end the model there; run the other layers on the host"
        if isinstance(made.op, Concat):
            help_ = "put the pass that makes it in front of fold-linear, which removes it"
        return Diagnostic(message, origin or made.origin, help_)

    def population(self, group: FusionGroup) -> Value:
        origin = group.origin
        values = [branch.source for branch in group.branches]
        for value in values:
            if value.name not in self.spikes:
                raise UnsupportedModel(self.on_host(value, origin))
        sources = [self.spikes[value.name] for value in values]
        codes = [tuple(map(spikes_of, digits)) for digits in sources]
        first = result_code(self.graph, group.result, origin, self.options)
        code, found = self.integers.of(group, codes, first)
        return self.populations.neurons(group, sources_of(group, sources), code, found)
