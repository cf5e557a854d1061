"""A factor of each element of a state, at both of its ends in a graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from qcompiler.ir import Graph, Node, Range, Value
from qcompiler.ir.ann import Add, Affine, Conv, Dense, Multiply, SumPool
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.coding import Rescaling
from qcompiler.passes.folding.channel_scales import with_gain
from qcompiler.passes.folding.neighbours import affine, scale_and_shift
from qcompiler.passes.folding.rescaling import rescale_input

from .clipped_ends import through_clips
from .in_front import Front, Picks

_LINEAR = Conv | Dense | Add | Affine | SumPool


def with_factor(
    graph: Graph, value: Value, whole: Value, factor: Array, bounds: Range, picks: Picks
) -> tuple[Graph, Value]:
    """The graph whose state is a factor times as large, from the input to what is clipped.

    Layers that read the next state, ``whole``, divide its elements in their weights, and products
    of which one makes it in their gains. Functions, which have neither, read what it was before.
    A clip is one of the product, within the ``bounds`` of its code, where it can be.
    """
    factors = of_rank(factor, value.type.shape, whole.type.shape)
    graph = rescale_input(graph, value, Rescaling(0 * factor, factor))
    known, layer = _undone(graph, value), graph.producer(whole)
    assert layer is not None
    front = Front.of(graph, layer, picks, known)
    kinds = _LINEAR | Multiply if front.has_products else _LINEAR
    divides = all(isinstance(user.op, kinds) for user in graph.users(whole))
    raw, back = (Value(graph.fresh(f"{whole.name}:{end}"), whole.type) for end in ("raw", "back"))
    scaled = whole if divides else Value(graph.fresh(f"{whole.name}:scaled"), whole.type)
    front = front if divides else replace(front, nodes=())  # copies would be populations
    nodes: list[Node] = []
    for node in graph.nodes:
        operands = (back if divides and one == whole else one for one in node.operands)
        node = replace(node, operands=tuple(operands))
        if node.result != whole:
            nodes.append(node)
            continue
        made = through_clips(graph, front, factors, bounds, scaled)
        if made is None:
            node = replace(node, result=raw) if divides else node
            nodes += [node, affine(node.result, factors, 0 * factors, scaled, node.origin)]
        else:
            nodes += made if divides else [node, *made]
        if divides:
            nodes.append(affine(whole, 1 / factors, 0 * factors, back, node.origin))
    others = back if divides else whole
    outputs = tuple(others if output == whole else output for output in graph.outputs)
    graph = replace(graph, nodes=tuple(nodes), outputs=outputs)
    return (_with_gains(graph, {**known, back: whole}) if divides else graph), scaled


def of_rank(factor: Array, shape: tuple[int, ...], other: tuple[int, ...]) -> Array:
    """A factor that spreads over a shape, for another one that differs in axes of length 1."""
    kept = (size for size, length in zip(factor.shape, shape, strict=True) if length != 1)
    return factor.reshape([1 if length == 1 else next(kept) for length in other])


def _undone(graph: Graph, value: Value) -> dict[Value, Value]:
    """What has a factor, by what readers of an input read of it."""
    (standard,) = (user.result for user in graph.users(value))
    return {user.result: standard for user in graph.users(standard)}


def _with_gains(graph: Graph, known: Mapping[Value, Value]) -> Graph:
    """The graph whose products read what has a factor, and take that back in their gains."""
    nodes = []
    for node in graph.nodes:
        read = [one for one in node.operands if isinstance(one, Value) and one in known]
        made = graph.producer(read[0]) if read else None
        if made is not None and isinstance(node.op, Multiply) and len(read) == 1:
            back, _ = scale_and_shift(made)
            gain, *shift = node.arrays or (back.dtype.type(1),)
            operands = (known[read[0]] if one == read[0] else one for one in node.operands)
            node = with_gain(replace(node, operands=tuple(operands)), gain * back, *shift)
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))
