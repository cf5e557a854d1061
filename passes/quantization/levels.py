"""Number of levels of each value: its own t_max if it has one, else the network's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from qcompiler.ir import Graph, Tensor, Value
from qcompiler.ir.ann import Function, Multiply, Rescale
from qcompiler.ir.kernels import Array

from .fusion_groups import fusion_groups, is_network_output

PRECISE = 64  # t_max from which on precision is asked for, where it costs little
_MOST_LEVELS, _MOST_AT_ENDS = 1024, 1 << 16  # inputs and outputs may have more
_OUTPUT_LEVELS = (64, 256)  # fewest and most, unless t_max is larger


def check_levels(t_max: int, **ends: int) -> None:
    """Raise ValueError unless ``t_max``, and ``ends`` (0: default), are supported level counts."""
    if not 2 <= t_max <= _MOST_LEVELS:
        raise ValueError(f"t_max must be between 2 and {_MOST_LEVELS}, not {t_max}")
    for name, levels in ends.items():
        if levels and not 2 <= levels <= _MOST_AT_ENDS:
            raise ValueError(f"{name} must be 0 or between 2 and {_MOST_AT_ENDS}, not {levels}")


def levels_of(graph: Graph, value: Value, t_max: int, output_t_max: int = 0) -> int:
    """Number of levels of a tensor-level value: t_max to the power of its digits."""
    assert isinstance(value.type, Tensor)
    return int(times_of(graph, value, t_max, output_t_max) ** value.type.digits)


def times_of(graph: Graph, value: Value, t_max: int, output_t_max: int = 0) -> int:
    """Number of spike times of a value, or of each of its digits."""
    if isinstance(value.type, Tensor) and value.type.t_max:
        return value.type.t_max
    if value in coded_inputs(graph) or not is_network_output(graph, value):
        return t_max
    found = output_levels(t_max, output_t_max, value.type.shape)
    return found if output_t_max else max(found, _free_levels(t_max))


def output_levels(t_max: int, chosen: int, shape: tuple[int, ...]) -> int:
    """Levels of an output: ``chosen``, or if 0 the default.

    The default is t_max, but at least one level per channel between 64 and 256: the more classes,
    the more levels it takes to separate the largest logit from the second largest.
    """
    fewest, most = _OUTPUT_LEVELS
    return chosen or max(t_max, fewest, min(shape[0] if shape else 1, most))


def _free_levels(t_max: int) -> int:
    """Levels that two digits have in the window of other values: they take no more neurons.

    From 64 on precision is asked for, and `refine-outputs` decides.
    """
    return min((t_max // 2) ** 2, _OUTPUT_LEVELS[1]) if t_max < PRECISE else 0


def longest_window(graph: Graph, t_max: int) -> int:
    """Most levels that a window has, other than those of outputs that nothing else reads."""
    values = (v for v in spiking_values(graph) if not is_network_output(graph, v))
    return max((times_of(graph, value, t_max) for value in values), default=0)


def narrow(array: Array) -> Array:
    """The same integers in the smallest integer type that holds them."""
    largest = np.abs(array).max(initial=0)
    kind = next(k for k in (np.int8, np.int16, np.int32, np.int64) if largest <= np.iinfo(k).max)
    return array.astype(kind)


def spiking_values(graph: Graph) -> tuple[Value, ...]:
    """The values that become spikes, in order: inputs, fusion groups, functions, products."""
    known = {group.result.name for group in fusion_groups(graph)}
    known |= {n.result.name for n in graph.nodes if isinstance(n.op, Function | Multiply)}
    return (*coded_inputs(graph), *(n.result for n in graph.nodes if n.result.name in known))


def coded_inputs(graph: Graph) -> tuple[Value, ...]:
    """What becomes spikes of each input: the input, or, if it is rescaled, the result of that."""
    return tuple(
        user.result
        if (user := graph.only_user(value)) is not None and isinstance(user.op, Rescale)
        else value
        for value in graph.inputs
    )


def map_values(graph: Graph, change: Callable[[Value], Value]) -> Graph:
    """Replace every value by ``change(value)``; names must stay unique."""
    nodes = tuple(
        replace(
            node,
            operands=tuple(change(o) if isinstance(o, Value) else o for o in node.operands),
            result=change(node.result),
        )
        for node in graph.nodes
    )
    inputs, outputs = tuple(map(change, graph.inputs)), tuple(map(change, graph.outputs))
    return replace(graph, inputs=inputs, nodes=nodes, outputs=outputs)
