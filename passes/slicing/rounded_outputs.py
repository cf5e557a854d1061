"""What an output becomes if one value of the real network is rounded to levels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from qcompiler.ir import Graph, Spikes, Value, drop_dead, substitute
from qcompiler.ir.kernels import Array
from qcompiler.ir.types import size
from qcompiler.passes.calibration.data import Images, RealNetwork, run
from qcompiler.passes.calibration.rounded_values import rounded_to_levels

_MEMORY, _BYTES = 1 << 27, 4  # of the values of all images that are kept, and of one


class RealValues:
    """The first output of a graph on some data, and some of its values: the network runs once.

    ``values`` are those that will be rounded. If they take too much memory, each is computed when
    it is asked for. Raises DataError if a value becomes NaN or infinite.
    """

    def __init__(self, graph: Graph, data: Images, values: Sequence[Value]) -> None:
        self._graph, self._data = graph, data
        needed = _BYTES * len(data[0]) * sum(size(value.type) for value in values)
        kept = [value.name for value in values] if needed <= _MEMORY else []
        self._known = self._run([*kept, graph.outputs[0].name])
        self.output = self._known[graph.outputs[0].name]

    def outputs_if_rounded(self, value: Value, codes: Sequence[Spikes]) -> Iterator[Array]:
        """The output with one value rounded by each of the codes."""
        given = Value(f"{value.name}:coded", value.type)
        rest = substitute(self._graph, {value.name: given})
        rest = drop_dead(replace(rest, inputs=(*self._graph.inputs, given)))
        name = value.name
        real = self._known[name] if name in self._known else self._run([name])[name]
        rounded = RealNetwork(rest, [rest.outputs[0].name], len(codes) * len(real))
        for code in codes:
            batches = rounded((*self._data, rounded_to_levels(code, real)))
            yield np.concatenate([found for part in batches for found in part.values()])

    def _run(self, names: Sequence[str]) -> dict[str, Array]:
        """Values of these names; what none of them needs is not computed."""
        parts = list(run(self._graph, self._data, list(dict.fromkeys(names))))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
