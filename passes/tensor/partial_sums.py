"""A layer that sums many elements as one that sums fewer, and partial sums of the others.

    y = act(W1 x1 + W2 x2 + b)  =  act(W1 x1 + p + b),  p = W2 x2

A clip without bounds behind p makes it a value, and so a population, of its own. The elements with
the smallest weights go there: the smaller the range of p, the less its levels round away.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import numpy as np

from qcompiler.ir import Constant, Graph, Node, Tensor, Value
from qcompiler.ir.ann import Clip, Conv, Dense, SumPool
from qcompiler.ir.kernels import Array
from qcompiler.ir.view import Reshape, Take
from qcompiler.passes.folding.images.padded_taps import taps_on_image
from qcompiler.passes.folding.linear import elements_summed, parameters
from qcompiler.passes.quantization.fusion_groups import Branch

PARTIAL = ":partial"  # behind the names of partial sums
_ADDED = (
    32  # elements that a value counts as that is added as it is: its large weights take as many
)


@dataclass(frozen=True)
class Pieces:
    """Nodes in place of a layer, ``values`` whose sum it was, and how many elements that sums."""

    nodes: tuple[Node, ...]
    values: tuple[Value, ...]
    summed: int


def most_summed(branch: Branch) -> int:
    """The elements that any neuron sums of a branch; padding is none."""
    if (layer := branch.linear) is None:
        return _ADDED
    if (found := parameters(layer)) is None:
        return elements_summed(layer)
    used = np.count_nonzero(found[0].reshape(len(found[0]), -1), axis=1).max()
    return min(int(used), found[0].shape[1] * _taps(layer))


def _taps(layer: Node) -> int:
    """Most pixels that a neuron reads of each channel."""
    if not isinstance(layer.op, Conv):
        return 1
    axes = range(len(layer.op.strides))
    return prod(int(taps_on_image(layer, axis).sum(axis=0).max()) for axis in axes)


def partial_sums(graph: Graph, layer: Node, most: int, others: int) -> Pieces | None:
    """A layer in pieces of at most so many elements, beside ``others``; None if there are none."""
    if isinstance(layer.op, SumPool):
        return _pool_in_steps(graph, layer, layer.op, most - others)
    found = parameters(layer)
    if found is None or (isinstance(layer.op, Conv) and layer.op.groups > 1):
        return None
    parts = _parts(found[0], _taps(layer), most, others)
    return None if parts is None else _layers(graph, layer, parts)


def _parts(weight: Array, taps: int, most: int, others: int) -> list[tuple[int, ...]] | None:
    """The channels that stay, perhaps none, and those of each partial sum: as few as will do."""
    sizes = np.square(weight, dtype=np.float64).sum(axis=(0, *range(2, weight.ndim)))
    channels, each = np.count_nonzero(sizes), most // taps
    count, kept = 0, channels
    while channels - kept > count * each or not count:
        count += 1
        kept = max(0, (most - others - count * _ADDED) // taps)
        if not each or count * _ADDED > most - others or kept >= channels:
            return None
    order = np.argsort(-sizes, kind="stable")[:channels]
    parts = (order[:kept], *np.array_split(order[kept:], count))
    return [tuple(sorted(map(int, part))) for part in parts]


def _layers(graph: Graph, layer: Node, parts: list[tuple[int, ...]]) -> Pieces:
    """A layer for each part of the channels; the first that there is has the bias."""
    nodes, values = list(_flat(graph, layer)), list[Value]()
    source = nodes[0].result if nodes else layer.operands[0]
    weight, bias = layer.arrays
    for index, part in enumerate(parts):
        if not part:
            continue
        name = f"{layer.result.name}{PARTIAL}{index}"
        taken, total, value = (graph.fresh(name + end) for end in (":read", ":sum", ""))
        read = Value(taken, Tensor((len(part), *source.type.shape[1:])))
        weights = Constant(f"{name}:weight", np.ascontiguousarray(weight[:, part]))
        shift = Constant(f"{name}:bias", np.zeros_like(bias) if values else bias)
        summed = Value(total, layer.result.type.layout)
        nodes.append(Node(Take(0, part), (source,), read, layer.origin))
        nodes.append(replace(layer, operands=(read, weights, shift), result=summed))
        if index:
            summed = Value(value, summed.type)
            nodes.append(Node(Clip(), (nodes[-1].result,), summed, layer.origin))
        values.append(summed)
    return Pieces(
        tuple(nodes), tuple(values), len(parts[0]) * _taps(layer) + _ADDED * (len(parts) - 1)
    )


def _flat(graph: Graph, layer: Node) -> tuple[Node, ...]:
    """The view of its elements in a row that a dense layer reads, unless they are."""
    source = layer.operands[0]
    if not isinstance(layer.op, Dense) or len(source.type.shape) == 1:
        return ()
    shape = (prod(source.type.shape),)
    flat = Value(graph.fresh(f"{layer.result.name}:flat"), Tensor(shape))
    return (Node(Reshape(shape), (source,), flat, layer.origin),)


def _pool_in_steps(graph: Graph, layer: Node, op: SumPool, most: int) -> Pieces | None:
    """A pool whose windows do not overlap, as a pool of pools."""
    space = layer.operands[0].type.shape[1:]
    apart = op.kernel in (space, op.strides)
    if any(op.pads) or any(step > 1 for step in op.dilations) or not apart:
        return None
    first = _root(op.kernel)
    rest = tuple(length // step for length, step in zip(op.kernel, first, strict=True))
    if max(prod(first), prod(rest)) > most:
        return None
    name = f"{layer.result.name}{PARTIAL}"
    places = (length // step for length, step in zip(space, first, strict=True))
    shape = Tensor((layer.result.type.shape[0], *places))
    summed, value = Value(graph.fresh(f"{name}:sum"), shape), Value(graph.fresh(name), shape)
    pooled = Value(graph.fresh(f"{name}:whole"), layer.result.type.layout)
    nodes = (
        replace(layer, op=replace(op, kernel=first, strides=first), result=summed),
        Node(Clip(), (summed,), value, layer.origin),
        Node(replace(op, kernel=rest, strides=rest), (value,), pooled, layer.origin),
    )
    return Pieces(nodes, (pooled,), prod(rest))


def _root(kernel: tuple[int, ...]) -> tuple[int, ...]:
    """The kernel, a divisor along each axis, whose size is nearest to the root of the whole."""
    found: list[tuple[int, ...]] = [()]
    for length in kernel:
        found = [(*k, d) for k in found for d in range(1, length + 1) if length % d == 0]
    return min(found, key=lambda part: max(prod(part), prod(kernel) // prod(part)))
