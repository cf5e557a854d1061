"""Lower the tensor level to integer neurons: weights W, bias B and slope D of every population.

A fusion group ``y = clip(gain (w x + b) + c)``, with x and y quantized as ``s (q - z)``, becomes
``q_y = clip(floor((W q_x + B) / D), 0, T)``:

    W = round(D g w s_x / s_y)      B = round(D ((g b + c) / s_y + z_y)) - z_x sum(W) + D // 2

``w x`` and ``z_x sum(W)`` are sums over the branches of the group; each branch has its own x. A
gain that varies over space divides the slope instead: the slope of the neuron is round(D / g).

The slope D of a channel is as large as its weights and membrane potentials allow, so that every
channel uses all bits of its weights. The term of the zero point differs between neurons, because
neurons at padded borders have fewer weights.

With ``even``, W, B and D are stored doubled (`_Quantizer.stored`). `quantization.integer_layer`
computes the formulas: B in ``_rounded``, D in ``_slope``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import ClassVar

from qcompiler.ir import (
    Builder,
    Constant,
    Diagnostic,
    Graph,
    InvalidGraph,
    Invariant,
    Node,
    Spikes,
    Tensor,
    UnsupportedModel,
    Value,
)
from qcompiler.ir.ann import Clip, Concat, MaxPool, OnHost, Rescale
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Decode, Encode, First, Neuron
from qcompiler.ir.spiking.coding import Rescaling
from qcompiler.ir.spiking.integer_network import spikes_of
from qcompiler.ir.spiking.invariants import NO_BATCHNORM, SPIKING
from qcompiler.ir.view import View
from qcompiler.passes.base import HIDDEN, Pass
from qcompiler.passes.calibration.data import check_effort
from qcompiler.passes.integers.group_integers import GroupIntegers, OnRounding
from qcompiler.passes.quantization.fusion_groups import FusionGroup, fusion_groups
from qcompiler.passes.quantization.integer_layer import (
    IntegerLayer,
    check_levels,
    check_steepness,
    check_weight_bits,
    code_of,
)
from qcompiler.passes.quantization.levels import coded_inputs, levels_of, narrow, times_of
from qcompiler.passes.quantization.membrane_limits import Limits
from qcompiler.passes.quantization.real_layer import constants_of, real_layer_of

_EXACT = (1 << 23) - 1


@dataclass(frozen=True)
class Quantize(Pass):
    """Turn ranged tensors into spikes and layers into integer synapses and neurons.

    Levels: ``t_max`` for inner layers, ``output_t_max`` for outputs (0: t_max, but at least 64, so
    that the largest logit stays distinguishable). `split-inputs` sets those of inputs.

    Limits of the target: ``weight_bits``; ``potential`` bounds the membrane and ``input`` the input
    of one step, in units of weights; ``even`` doubles weights, slopes and biases. If a proof of
    these limits for all inputs would cost weight bits, the limits hold for the calibration data
    with a margin. ``proved`` asks for the proof in all cases. With ``pieces`` the limits hold for
    the pieces that `split-windows` makes of outputs, too.

    ``calibration`` holds one array per input, ``images x shape``. With ``effort`` 1 or 2 (four
    times the images) every layer is fitted to the quantized layers before it; with 0, or without
    data, weights are rounded to nearest. A layer that is fitted loses its least weights, and with
    them synaptic events, as long as this adds an error of at most ``prune`` of the variance of its
    sums. The layers of a quantised model keep its integer weights
    where these fit; ``rounding`` is called with the name of each, and how it rounds, or None if it
    keeps them not or does not read codes alone. Raises UnsupportedModel for operators without a
    spiking form.
    """

    name: ClassVar[str] = "quantize"
    requires: ClassVar[tuple[Invariant, ...]] = (NO_BATCHNORM,)
    establishes: ClassVar[tuple[Invariant, ...]] = (SPIKING,)
    t_max: int = 16
    output_t_max: int = 0
    weight_bits: int = 8
    even: bool = False
    potential: int = _EXACT
    input: int = _EXACT
    proved: bool = False
    pieces: bool = False
    effort: int = 0
    prune: float = 0.0
    calibration: tuple[Array, ...] | None = field(default=None, metadata=HIDDEN, compare=False)
    progress: Callable[[float], None] | None = field(default=None, metadata=HIDDEN, compare=False)
    rounding: OnRounding = field(default=None, metadata=HIDDEN, compare=False)

    def __post_init__(self) -> None:
        check_levels(self.t_max, output_t_max=self.output_t_max)
        check_weight_bits(self.weight_bits)
        check_effort(self.effort)
        if not 0 <= self.prune < 1:
            raise ValueError(f"prune must be at least 0 and below 1, not {self.prune:g}")
        if self.even and self.weight_bits > 8:
            have = "even weights, as Loihi has them, have at most 8 weight_bits"
            raise ValueError(f"{have}, not {self.weight_bits}")

    def __call__(self, graph: Graph) -> Graph:
        """Lower node by node."""
        return _Quantizer(graph, self).run()

    @property
    def limits(self) -> Limits:
        """Limits of weights, membrane potentials and inputs, before ``even`` doubles them."""
        weight = (1 << (self.weight_bits - 1)) - 1
        factor = 2 if self.even else 1
        return Limits(weight, *(n // factor for n in (self.potential, self.input, _EXACT)))


class _Quantizer:
    def __init__(self, graph: Graph, options: Quantize) -> None:
        self.graph = graph
        self.options = options
        self.builder = Builder(graph.name)
        self.spikes: dict[str, tuple[Value, ...]] = {}  # digits, or one population for all
        self.tensors: dict[str, Value] = {}
        self.groups = {group.result.name: group for group in fusion_groups(graph)}
        self.inner = {n.result.name for g in self.groups.values() for n in g.nodes[:-1]}
        self.kept: dict[int, tuple[Array, Constant]] = {}
        self.faults: list[Diagnostic] = []
        self.failed: set[str] = set()
        self.integers = GroupIntegers(graph, options, self.groups)
        self.trace, self.levels = self.integers.trace, self.integers.levels

    def run(self) -> Graph:
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
            raise UnsupportedModel(*self.faults, *self.steep_behind())
        outputs = [self.tensor(value) for value in self.graph.outputs]
        return self.builder.build(outputs, self.graph.output_names)

    def lowered(self, node: Node) -> bool:
        """Whether all sources of a node are lowered; if not, an error is already recorded."""
        group = self.groups.get(node.result.name)
        sources = [b.source for b in group.branches] if group else node.operands
        values = [source for source in sources if isinstance(source, Value)]
        return all(v.name in self.spikes or v.name in self.tensors for v in values)

    def steep_behind(self) -> Iterator[Diagnostic]:
        """What is too steep of the layers that are not lowered, being behind another fault."""
        for name, group in self.groups.items():
            if name in self.spikes or name in self.failed:
                continue
            try:
                codes = [self.codes_ahead(branch.source) for branch in group.branches]
                real, code = real_layer_of(group, codes), self.code(group.result, group.origin)
                flat = tuple(digit for digits in codes for digit in digits)
                check_steepness(group, real, flat, code, self.options.limits)
            except UnsupportedModel as error:
                yield from error.diagnostics

    def codes_ahead(self, value: Value) -> tuple[Spikes, ...]:
        """The codes of a value, whether it is lowered or not."""
        if value.name in self.spikes:
            return tuple(map(spikes_of, self.spikes[value.name]))
        node = self.graph.producer(value)
        if node is not None and isinstance(node.op, MaxPool | View):
            source = node.operands[0]
            assert isinstance(source, Value)
            return tuple(replace(c, shape=value.type.shape) for c in self.codes_ahead(source))
        return (self.code(value, ()),)

    def encode(self, raw: Value, value: Value) -> None:
        """Encode an input; ``value`` is what becomes spikes of it."""
        assert isinstance(value.type, Tensor)
        rescaling: tuple[Constant, ...] = ()
        if (node := self.graph.producer(value)) is not None:
            rescaling = constants_of(node)
            if self.trace:
                self.trace.follow(node)
        given = self.builder.input(raw.name, raw.type)
        digits, code = value.type.digits, self.code(value, ())
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

    def code(self, value: Value, origin: tuple[str, ...]) -> Spikes:
        bounds = value.type.range if isinstance(value.type, Tensor) else None
        if bounds is None:
            raise InvalidGraph(
                Diagnostic(
                    f"%{value.name} has no range",
                    origin,
                    "put normalize before quantize in --passes",
                )
            )
        given = self.options
        levels = levels_of(self.graph, value, given.t_max, given.output_t_max)
        producer = self.graph.producer(value)
        highest = producer.op.high if producer and isinstance(producer.op, Clip) else None
        return code_of(value.type.shape, levels, bounds, highest)

    def lower(self, node: Node) -> None:
        name, origin = node.result.name, node.origin
        if group := self.groups.get(name):
            self.spikes[name] = (self.population(group),)
            return
        source = node.operands[0]
        assert isinstance(source, Value)
        if source.name in self.spikes and not isinstance(node.op, Rescale | OnHost | Concat):
            for record in (self.trace, self.levels):
                if record:
                    record.follow(node)
        match node.op:
            case Rescale():
                self.rescale(node, source)
            case MaxPool() as op:
                first = First(op.strides, op.pads, op.dilations, op.kernel)
                self.spikes[name] = (self.follow(node, first, self.whole(source)),)
            case op if isinstance(op, View) and source.name in self.spikes:
                digits = self.spikes[source.name]
                self.spikes[name] = tuple(self.follow(node, op, digit) for digit in digits)
            case op if isinstance(op, OnHost | Concat | View):
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
        """The spikes of a value; UnsupportedModel if it is sent as several digits."""
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

    def population(self, group: FusionGroup) -> Value:
        origin = group.origin
        names = [branch.source.name for branch in group.branches]
        if any(name not in self.spikes for name in names):
            raise UnsupportedModel(
                Diagnostic(
                    "a layer behind softmax or argmax has no spiking form",
                    origin,
                    "end the model at softmax or argmax; run the other layers on the host",
                )
            )
        sources = [self.spikes[name] for name in names]
        codes = [tuple(map(spikes_of, digits)) for digits in sources]
        code, found = self.integers.of(group, codes, self.code(group.result, origin))
        return self.neurons(group, [digit for source in sources for digit in source], code, found)

    def neurons(
        self, group: FusionGroup, sources: list[Value], code: Spikes, found: IntegerLayer
    ) -> Value:
        name, origin, add = group.result.name, group.origin, self.builder.add
        currents = []
        for index, (branch, synapse, weight) in enumerate(found.synapses, 1):
            constant = self.stored(f"{name}:W" if index == 1 else f"{name}:W.{index}", weight)
            operands = sources[branch], constant
            currents.append(add(synapse, *operands, name=f"{name}:current", origin=origin))
        bias, slope = (
            self.stored(f"{name}:B", found.bias),
            self.stored(f"{name}:D", found.slope),
        )
        op, bounds = Neuron(code.t_max, code.scale, code.zero), []
        if calibrated := found.calibrated:
            op = replace(op, images=calibrated.images, margin=calibrated.margin)
            bounds.append(self.stored(f"{name}:bounds", calibrated.rows))
        return add(op, *currents, bias, slope, *bounds, name=name, origin=origin)

    def stored(self, name: str, array: Array) -> Constant:
        """An array as a constant; slices of one value share theirs."""
        if id(array) not in self.kept:
            constant = Constant(name, narrow(array * (2 if self.options.even else 1)))
            self.kept[id(array)] = array, constant
        return self.kept[id(array)][1]
