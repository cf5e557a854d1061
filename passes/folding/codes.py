"""Codes of a quantised model move to the values that they are the codes of."""

from __future__ import annotations

from dataclasses import replace

from qcompiler.ir import Graph, Node, Range, Tensor, Value, substitute
from qcompiler.ir.ann import Affine, Clip, Concat, Function, Multiply, Rescale
from qcompiler.ir.view import View
from qcompiler.passes.quantization.levels import map_values

from .clips import is_code
from .neighbours import affine, scale_and_shift


def with_input_codes(graph: Graph) -> Graph:
    """Give inputs the codes of the clips that read them, where nothing else does."""
    for value in graph.inputs:
        if not graph.is_output(value) and not is_code(value):
            graph = _coded(graph, value)
    return graph


def input_codes(graph: Graph) -> dict[str, Range]:
    """The ends of the codes that inputs have, by name: larger data saturate in the model."""
    types = {v.name: v.type for v in with_input_codes(graph).inputs if is_code(v)}
    return {n: t.range for n, t in types.items() if isinstance(t, Tensor) and t.range}


def levels_of_functions(graph: Graph) -> Graph:
    """Give functions and products the number of levels of the code that they are rounded to."""
    found: dict[str, int | None] = {}
    for node in graph.nodes:
        user = graph.only_user(node.result)
        if isinstance(node.op, Function | Multiply) and user and _is_code(user):
            assert isinstance(user.result.type, Tensor)
            found[node.result.name] = user.result.type.t_max

    def change(value: Value) -> Value:
        type_ = value.type
        if value.name not in found or not isinstance(type_, Tensor):
            return value
        return replace(value, type=replace(type_, t_max=found[value.name]))

    return map_values(graph, change) if found else graph


def most_levels(graph: Graph) -> int:
    """Levels of the finest code of a graph that is rounded to; 0 without codes."""
    rounding = (n.result for n in graph.nodes if not isinstance(n.op, Function))  # which is exact
    values = [*graph.inputs, *rounding]
    types = [value.type for value in values if is_code(value)]
    return max((t.t_max or 0 for t in types if isinstance(t, Tensor)), default=0)


def without_codes(graph: Graph, t_max: int) -> Graph:
    """The graph in which values of more than ``t_max`` levels have no code, only its bounds."""

    def change(value: Value) -> Value:
        type_ = value.type
        if not is_code(value) or not isinstance(type_, Tensor) or (type_.t_max or 0) <= t_max:
            return value
        return replace(value, type=type_.layout)

    return map_values(with_input_codes(graph), change)


def _coded(graph: Graph, value: Value) -> Graph:
    users = graph.users(value)
    types = {user.result.type if _is_code(user) else None for user in users}
    if len(types) == 1 and (type_ := types.pop()) is not None:
        coded = replace(value, type=type_)
        rest = tuple(node for node in graph.nodes if node not in users)
        graph = replace(graph, inputs=_with(graph, coded), nodes=rest)
        return substitute(
            graph, dict.fromkeys([value.name, *(u.result.name for u in users)], coded)
        )
    scaled = users[0] if len(users) == 1 and isinstance(users[0].op, Affine) else None
    clip = graph.only_user(scaled.result) if scaled else None
    if scaled is None or clip is None or not _is_code(clip) or _is_end(graph, clip.result):
        return graph
    scale, shift = scale_and_shift(scaled)
    if scale.size != 1 or shift.size != 1 or scale.min() <= 0:
        return graph
    type_, gain, offset = clip.result.type, float(scale.reshape(())), float(shift.reshape(()))
    assert isinstance(type_, Tensor) and type_.range is not None
    low, high = ((end - offset) / gain for end in type_.range)
    coded = replace(value, type=replace(type_, range=(low, high)))
    made = affine(coded, scale, shift, replace(clip.result, type=type_.layout), scaled.origin)
    nodes = tuple(made if node is clip else node for node in graph.nodes if node is not scaled)
    return substitute(
        replace(graph, inputs=_with(graph, coded), nodes=nodes), {made.result.name: made.result}
    )


def _is_code(node: Node) -> bool:
    return isinstance(node.op, Clip) and is_code(node.result)


def _is_end(graph: Graph, value: Value) -> bool:
    """Whether a value is of an output, whose code may be that of the state that it goes on as."""
    same = {value.name}
    for node in graph.nodes:
        if isinstance(node.op, Concat | Rescale | View):
            read = not same.isdisjoint(operand.name for operand in node.operands)
            same |= {node.result.name} if read else set()
    return any(output.name in same for output in graph.outputs)


def _with(graph: Graph, coded: Value) -> tuple[Value, ...]:
    return tuple(coded if value.name == coded.name else value for value in graph.inputs)
