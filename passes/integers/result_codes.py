"""The codes of results, also of those behind a layer that could not be lowered."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from qcompiler.ir import Diagnostic, Graph, InvalidGraph, Spikes, Tensor, UnsupportedModel, Value
from qcompiler.ir.ann import Clip, MaxPool
from qcompiler.ir.spiking.integer_network import spikes_of
from qcompiler.ir.view import View
from qcompiler.passes.activations.clip_sums import is_piece
from qcompiler.passes.folding.clips import is_code
from qcompiler.passes.quantization.fusion_groups import FusionGroup, is_network_output
from qcompiler.passes.quantization.level_codes import code_of
from qcompiler.passes.quantization.levels import levels_of, spiking_values
from qcompiler.passes.quantization.real_layer import real_layer_of
from qcompiler.passes.quantization.slope_limits import check_steepness

from .options import LoweringOptions


def result_code(
    graph: Graph, value: Value, origin: tuple[str, ...], options: LoweringOptions
) -> Spikes:
    """The code of what becomes spikes: its levels span its range. InvalidGraph if it has none."""
    bounds = value.type.range if isinstance(value.type, Tensor) else None
    if bounds is None:
        help_ = "put normalize before quantize in --passes"
        if any(isinstance(one.type, Tensor) and one.type.range for one in spiking_values(graph)):
            help_ = "put the pass that makes it in front of normalize, or give its type a range"
        raise InvalidGraph(Diagnostic(f"%{value.name} has no range", origin, help_))
    levels = levels_of(graph, value, options.t_max, options.output_t_max)
    producer = graph.producer(value)
    highest = producer.op.high if producer and isinstance(producer.op, Clip) else None
    origin = origin or (producer.origin if producer else ())
    return code_of(value.type.shape, levels, bounds, highest, f"%{value.name}", origin)


def steep_behind(
    graph: Graph,
    groups: Mapping[str, FusionGroup],
    spikes: Mapping[str, tuple[Value, ...]],
    failed: Collection[str],
    options: LoweringOptions,
) -> Iterator[Diagnostic]:
    """What is too steep of the layers that are not lowered, being behind another fault.

    ``spikes`` holds what is lowered, ``failed`` the names of the layers that cannot be.
    """
    for name, group in groups.items():
        if name in spikes or name in failed:
            continue
        try:
            sources = [branch.source for branch in group.branches]
            codes = [_codes_ahead(graph, one, groups, spikes, options) for one in sources]
            real = real_layer_of(group, codes)
            code = result_code(graph, group.result, group.origin, options)
            flat = tuple(digit for digits in codes for digit in digits)
            check_steepness(group, real, flat, code, options.limits)
        except UnsupportedModel as error:
            yield from error.diagnostics


def _codes_ahead(
    graph: Graph,
    value: Value,
    groups: Mapping[str, FusionGroup],
    spikes: Mapping[str, tuple[Value, ...]],
    options: LoweringOptions,
) -> tuple[Spikes, ...]:
    """The codes of a value, whether it is lowered or not."""
    if value.name in spikes:
        return tuple(map(spikes_of, spikes[value.name]))
    node = graph.producer(value)
    if node is not None and isinstance(node.op, MaxPool | View):
        source = node.operands[0]
        assert isinstance(source, Value)
        before = _codes_ahead(graph, source, groups, spikes, options)
        return tuple(replace(code, shape=value.type.shape) for code in before)
    origin = groups[value.name].origin if value.name in groups else ()
    return (result_code(graph, value, origin, options),)


def keeps_levels(graph: Graph, value: Value) -> bool:
    """Whether the levels of a result are given: by a quantised model, or by the next frame.

    Those of an output that only the host decodes may be fewer.
    """
    if not is_code(value) or is_piece(value.name):
        return False
    next_frame = any(is_code(other) and other.type == value.type for other in graph.inputs)
    return next_frame or not is_network_output(graph, value)


def holds_code(group: FusionGroup) -> bool:
    """Whether the result of a group is a code of a quantised model."""
    type_, clip = group.result.type, group.clip.op if group.clip else None
    if not isinstance(clip, Clip) or not isinstance(type_, Tensor):
        return False
    return is_code(group.result) and type_.range == (clip.low, clip.high)


def reads_codes(graph: Graph, groups: Mapping[str, FusionGroup], group: FusionGroup) -> bool:
    """Whether all that a group reads are inputs, or codes of a quantised model."""
    for branch in group.branches:
        source = branch.source
        made = graph.producer(source)
        while made is not None and isinstance(made.op, View | MaxPool):
            assert isinstance(made.operands[0], Value)
            source = made.operands[0]
            made = graph.producer(source)
        read = groups.get(source.name)
        if made is not None and (read is None or not holds_code(read) or is_piece(source.name)):
            return False
    return True
