"""Inputs, and the weights of their readers, as codes round them; and the noise of that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from qcompiler.ir import Graph, Node, Value
from qcompiler.ir.kernels import Array
from qcompiler.ir.view import View
from qcompiler.passes.folding.linear import parameters, replace_weights
from qcompiler.passes.quantization.level_codes import code_of

from .feature_ranges import LEVELS, FeatureRanges
from .grid import grid_of
from .histogram import Histogram
from .rounded_values import rounded_to_levels

_LARGEST_WEIGHT = 127


def rounded_apart(x: Array, ranges: FeatureRanges, levels: int) -> Array:
    """Numbers in a code of each feature."""
    code = code_of(x.shape[1:], levels, (0.0, 1.0))
    found = rounded_to_levels(code, (x - ranges.low) / ranges.width)
    return found * ranges.width + ranges.low


def rounded_together(array: Array, x: Array, what: str) -> Array:
    """Some of the numbers of an array in one code for all; integers have a level each, if few.

    ``what`` they are is told where no code holds them.
    """
    if (grid := grid_of(array, False)) and grid.span < LEVELS:
        return x
    histogram = Histogram()
    histogram.add(array)
    bounds = histogram.least_squares(LEVELS, reaches=False)
    code = code_of(x.shape[1:], LEVELS, bounds, what=what)
    return rounded_to_levels(code, x)


def with_rounded_weights(graph: Graph, value: Value) -> Graph:
    """A graph whose layers that read a value, or a view of it, have weights of 8 bits."""
    found: dict[str, Node] = {}
    for node in _readers(graph, value):
        known = parameters(node)
        if known is None:
            continue
        rows = known[0].reshape(len(known[0]), -1)
        step = np.abs(rows).max(axis=1, keepdims=True) / _LARGEST_WEIGHT
        weights = np.rint(rows / np.where(step > 0, step, 1)) * step
        kept = replace_weights(node, node.operands[0], weights.reshape(known[0].shape), known[1])
        found[node.result.name] = kept
    return replace(graph, nodes=tuple(found.get(n.result.name, n) for n in graph.nodes))


def _readers(graph: Graph, value: Value) -> Iterator[Node]:
    for user in graph.users(value):
        yield from _readers(graph, user.result) if isinstance(user.op, View) else (user,)


def relative_noise(found: Array, exact: Array) -> float:
    """Mean squared error relative to the variance."""
    return float(np.mean((found - exact) ** 2) / (exact.var(axis=0).mean() or 1.0))


def joined(batches: Iterable[dict[str, Array]], names: list[str]) -> list[Array]:
    """The values of these names in double precision."""
    parts = list(batches)
    return [np.concatenate([part[name] for part in parts]).astype(np.float64) for name in names]
