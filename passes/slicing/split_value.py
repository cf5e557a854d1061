"""Split one value as it is chosen: its range into slices, its noisiest channels apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from qcompiler.ir import Graph, Tensor, Value
from qcompiler.ir.kernels import Array
from qcompiler.ir.types import size
from qcompiler.passes.calibration.histogram import Histogram
from qcompiler.passes.folding.linear import most_copies
from qcompiler.passes.quantization.group_index import group_named
from qcompiler.passes.quantization.levels import levels_of, map_values, spiking_values

from .bottlenecks import Slicing
from .channel_slices import channels_name, split_channels
from .slice_ranges import covered
from .sliceable import readers_of
from .slices import split_range

OnChannelSplit: TypeAlias = "Callable[[str, list[int]], None] | None"

_SMALL_SHARE = 1 / 256  # of all neurons: a value of so few gets slices of half the window
_SHORTEST = 7  # levels of a window that is short enough


def shorter_slices(
    graph: Graph, name: str, slicing: Slicing, t_max: int, fan_in: int
) -> tuple[Graph, Slicing]:
    """Twice as many slices with half the levels, which end earlier, where neurons are few."""
    if slicing.slices < 2 or slicing.noisy:
        return graph, slicing
    group = group_named(graph, name)
    levels, count = levels_of(graph, group.result, t_max), slicing.slices
    half = (levels + 1) // 2
    more = -(-count * (levels - 1) // (half - 1)) if half > _SHORTEST else count
    readers = readers_of(graph, group.result) if fan_in else ()
    most = min((most_copies(g, group.result, fan_in) for g in readers), default=more)
    neurons = sum(size(value.type) for value in spiking_values(graph))
    few = size(group.result.type) * more <= _SMALL_SHARE * neurons
    if not few or more == count or most < more:
        return graph, slicing
    return _with_levels(graph, name, half), replace(slicing, slices=more)


def split_value(
    graph: Graph,
    name: str,
    slicing: Slicing,
    noisy: Array,
    histogram: Histogram,
    steps: int,
    note: OnChannelSplit,
) -> Graph:
    """Split one value into slices of so many ``steps``, its noisiest channels separately.

    ``histogram`` is that of the value. ``note`` is told of the channels of each value.
    """
    graph, parts = noisy_apart(graph, name, slicing, noisy, note)
    for part, count in zip(parts, (slicing.slices, slicing.noisy_slices), strict=False):
        if count == 1:
            continue
        group, all_steps = group_named(graph, part), count * steps
        low, width = covered(histogram, group, all_steps + 1, all_steps)
        if width > 0:
            graph = split_range(graph, group, width / count, count, low)
    return graph


def noisy_apart(
    graph: Graph, name: str, slicing: Slicing, noisy: Array, note: OnChannelSplit
) -> tuple[Graph, list[str]]:
    """The graph with the ``noisy`` channels of a value apart, if it has some, and all its names."""
    if not slicing.noisy:
        return graph, [name]
    channels = np.arange(group_named(graph, name).result.type.shape[0])
    chosen = np.setdiff1d(channels, noisy), np.sort(noisy)
    graph = split_channels(graph, group_named(graph, name), chosen)
    parts = [channels_name(name, at) for at in range(len(chosen))]
    for part, some in zip(parts, chosen, strict=True):
        if note:
            note(part, some.tolist())
    return graph, parts


def _with_levels(graph: Graph, name: str, levels: int) -> Graph:
    """The graph with so many levels of a value."""

    def change(value: Value) -> Value:
        if value.name != name or not isinstance(value.type, Tensor):
            return value
        return replace(value, type=replace(value.type, t_max=levels))

    return map_values(graph, change)
