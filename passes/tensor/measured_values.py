"""Which values get ranges, and histograms of them on calibration data.

`refine-outputs` looks at outputs, `normalize` behind it at all values, on the same data: they share
a run. The histograms of the first stay with the graph that it returns.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from qcompiler.ir import Graph, Node, Value
from qcompiler.ir.ann import Function, MaxPool, Multiply
from qcompiler.ir.kernels import Array
from qcompiler.ir.view import View
from qcompiler.passes.calibration.data import Images, Progress, are, places_of, run
from qcompiler.passes.calibration.histogram import Histogram
from qcompiler.passes.folding.neighbours import is_ranged
from qcompiler.passes.quantization.fusion_groups import fusion_groups
from qcompiler.passes.quantization.levels import coded_inputs


class Measured(NamedTuple):
    """Histograms of values, by name, and the data that they are of."""

    data: Images
    histograms: dict[str, Histogram]


def remember(graph: Graph, measured: Measured) -> None:
    """Keep what was measured with the graph, whose values have the names of those."""
    graph.remember(_measured, measured)


def _measured(graph: Graph) -> Measured | None:
    return None  # unless it is remembered


def histograms_of(
    graph: Graph, data: Images, names: Collection[str], progress: Progress
) -> dict[str, Histogram]:
    """Histograms of the values of these names; ones that are known are not measured again."""
    known = graph.known(_measured)
    if known is None or not are(known.data, data) or not known.histograms.keys() >= {*names}:
        found = {name: Histogram() for name in names}
        factors = factors_of(graph, found)
        for values in run(graph, data, [*dict.fromkeys((*found, *factors.values()))], progress):
            _add(graph, found, values, factors)
        return found
    if progress:
        progress(1.0)
    return {name: known.histograms[name] for name in names}


def measured_with(
    graph: Graph, data: Images, names: Sequence[str], frames: int
) -> tuple[dict[str, Array], Measured]:
    """Values of these names on some frames, evenly spread, and histograms of all on all data.

    There are none of these if a value of those names gets no range.
    """
    kept = np.zeros(len(data[0]), bool)
    kept[places_of(len(kept), frames)] = True
    inputs = (v for v in coded_inputs(graph) if v in graph.inputs or not is_ranged(v))
    found = {name: Histogram() for name in seen_as(graph, inputs).values()}
    if not found.keys() >= {*names}:  # another session has sums of other last bits
        found, data, kept = {}, tuple(array[kept] for array in data), kept[kept]
    parts: dict[str, list[Array]] = {name: [] for name in names}
    begin = 0
    factors = factors_of(graph, found)
    for values in run(graph, data, [*dict.fromkeys((*(found or parts), *factors.values()))]):
        _add(graph, found, values, factors)
        for name, part in parts.items():
            part.append(values[name][kept[begin : begin + len(values[name])]])
        begin += len(values[names[0]])
    joined = {name: np.concatenate(part) for name, part in parts.items()}
    return joined, Measured(data, found)


def seen_as(graph: Graph, inputs: Iterable[Value]) -> dict[str, str]:
    """Names of the values that get ranges, these inputs included, and under which to look at them.

    The name of a value in front of a max pool is that of the pool, unless a function reads it; in
    front of views that one product reads, that of its factor.
    """
    domains = domains_of(graph)
    names = [*(value.name for value in inputs)]
    names += [g.result.name for g in fusion_groups(graph) if not is_ranged(g.result)]
    names += [*(node.result.name for node in _fitted(graph)), *sorted(domains)]
    names += sorted(_operands(graph, Multiply))
    known = {value.name: value for value in graph.inputs}
    known |= {node.result.name: node.result for node in graph.nodes}
    return {n: n if n in domains else _seen_as(graph, known[n]) for n in dict.fromkeys(names)}


def domains_of(graph: Graph, products: bool = False) -> set[str]:
    """What functions read; with ``products`` what these read, too."""
    found = _operands(graph, Function)
    return found | _operands(graph, Multiply) if products else found


def measured_name(graph: Graph, value: Value) -> str:
    """Name of the value to measure: the max pool behind this one, if it is the only reader."""
    user = graph.only_user(value)
    if user is not None and isinstance(user.op, MaxPool):
        return measured_name(graph, user.result)
    return value.name


def _seen_as(graph: Graph, value: Value) -> str:
    factor = _factor_behind(graph, value)
    return measured_name(graph, value) if factor is None else factor.name


def _factor_behind(graph: Graph, value: Value) -> Value | None:
    """The factor of the one product that reads a value, behind views; None if others read it."""
    user = graph.only_user(value)
    if user is not None and isinstance(user.op, View):
        return _factor_behind(graph, user.result)
    return value if user is not None and isinstance(user.op, Multiply) else None


def _fitted(graph: Graph) -> list[Node]:
    return [node for node in graph.nodes if isinstance(node.op, Function | Multiply)]


def _operands(graph: Graph, kind: type[Function | Multiply]) -> set[str]:
    """The values that nodes of a kind read."""
    nodes = (node for node in graph.nodes if isinstance(node.op, kind))
    return {o.name for node in nodes for o in node.operands if isinstance(o, Value)}


def _add(
    graph: Graph,
    histograms: Mapping[str, Histogram],
    values: Mapping[str, Array],
    factors: Mapping[str, str],
) -> None:
    for name, histogram in histograms.items():
        factor = factors.get(name)
        weights = None if factor is None else np.square(values[factor], dtype=np.float64)
        histogram.add_of(graph, name, values[name], weights)


def factors_of(graph: Graph, names: Collection[str]) -> dict[str, str]:
    """By what these values are multiplied, and read by nothing else.

    An error of a value is one of the product as many times as large as the other factor is.
    """
    found = {}
    for node in graph.nodes:
        values = [one for one in node.operands[:2] if isinstance(one, Value)]
        if isinstance(node.op, Multiply) and len(values) == 2:
            for one, other in (values, reversed(values)):
                if one.name in names and graph.only_user(one) is node:
                    found[one.name] = other.name
    return found
