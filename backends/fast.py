"""The fast engine: the integer network in closed form, on onnxruntime.

    q = clip(floor((sum W q + B) / D), 0, T)

Two kinds of kernel compute it exactly. In float32 all sums are integers below 2**23, so any order
of summation is exact; the quotient is taken of V + 1/2, whose distance from the next integer
multiple of D is far beyond rounding. In 8-bit integers (`QLinearConv`) onnxruntime rounds V / D to
nearest, so V - D // 2 goes in, with a scale a hair above 1 / D that breaks ties upwards.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnxruntime

from qcompiler.ir import Graph
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Encode

from .closed_form import ClosedForm
from .coding import saturated
from .host import Counters, Outcome, finish, output_nodes, output_steps, static_counters


class FastEngine:
    """Evaluates a compiled graph; ``threads`` 0 means all cores."""

    def __init__(self, graph: Graph, threads: int = 0) -> None:
        self.graph = graph
        self.threads = threads
        self.static = static_counters(graph, 1)
        self._sessions: dict[tuple[bool, bool], tuple[onnxruntime.InferenceSession, list[str]]] = {}

    def __call__(self, *inputs: Array, record: bool = False, count: bool = True) -> Outcome:
        """Run a batch; ``record`` keeps the levels of every population.

        Without ``count`` the counters are left at 0, and nothing is spent on them.
        """
        levels, beyond = self._levels(inputs, record, count)
        outputs = finish(self.graph, levels)
        counters = self._counters(inputs, levels, beyond) if count else Counters(len(inputs[0]))
        return Outcome(outputs, levels if record else {}, counters)

    def _levels(
        self, inputs: tuple[Array, ...], record: bool, count: bool
    ) -> tuple[dict[str, Array], int]:
        session, names = self._session(record, count)
        feed = {
            given.name: x.astype(np.float32, copy=False)
            for given, x in zip(session.get_inputs(), inputs, strict=True)
        }
        results = session.run(None, feed)
        levels = dict(zip(names, results, strict=False))
        beyond = sum(int(found) for found in results[len(names) :])
        return {n: q if q.dtype == np.int64 else q.astype(np.int64) for n, q in levels.items()}, beyond

    def _session(self, record: bool, count: bool) -> tuple[onnxruntime.InferenceSession, list[str]]:
        if (record, count) not in self._sessions:
            form = ClosedForm(self.graph, record, count)
            names = [*form.outputs] if record else [n.result.name for n in output_nodes(self.graph)]
            self._sessions[record, count] = (form.session(names, self.threads), names)
        return self._sessions[record, count]

    def _counters(
        self, inputs: tuple[Array, ...], levels: Mapping[str, Array], beyond: int
    ) -> Counters:
        frames, each = len(inputs[0]), self.static
        found = Counters(frames, each.spikes * frames, each.events * frames, beyond)
        found.coded = each.coded * frames
        found.first, found.last = output_steps(self.graph, levels)
        for value, x in zip(self.graph.inputs, inputs, strict=True):
            found.saturated += sum(
                saturated(node.op, x)
                for node in self.graph.users(value)
                if isinstance(node.op, Encode)
            )
        return found


