"""One t_max for all layers, or another for every second one.

A frame takes as many steps as the two windows of a layer and of what it reads. So between a t_max
and the next there is one more program: every second layer has a level more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from qcompiler.ir import Graph
from qcompiler.passes import Pass
from qcompiler.passes.folding.clips import is_code
from qcompiler.passes.quantization.fusion_groups import is_network_output
from qcompiler.passes.quantization.levels import coded_inputs, spiking_values
from qcompiler.passes.tensor.assign_levels import AssignLevels

from .halves import with_option
from .latency import LatencyModel

Options: TypeAlias = tuple[tuple[str, float], ...]  # of the pipeline, by name

ALTERNATE = "alternate"  # t_max of every second layer, if it has another


def with_options(
    steps: Sequence[Pass], graph: Graph, t_max: int, options: Options
) -> tuple[Pass, ...]:
    """The passes that lower a graph with this t_max and these options."""
    for name, value in (("t_max", t_max), *options):
        steps = tuple(with_option(step, name, value) for step in steps)
    other = int(dict(options).get(ALTERNATE, 0))
    return (alternating(graph, other), *steps) if other else tuple(steps)


def alternating(graph: Graph, t_max: int) -> AssignLevels:
    """This t_max for every second layer, counted from the inputs, but not for outputs and codes."""
    ends, depths = coded_inputs(graph), LatencyModel(graph).depths()
    numbers = (
        0
        if depth % 2 or value in ends or is_network_output(graph, value) or is_code(value)
        else t_max
        for value, depth in zip(spiking_values(graph), depths, strict=True)
    )
    return AssignLevels(":".join(map(str, numbers)))
