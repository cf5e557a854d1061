"""The fast engine: the integer network in closed form, on onnxruntime.

    q = clip(floor((sum W q + B) / D), 0, T)

Two kinds of kernels compute this exactly. In float32 all sums are integers below 2**23, so the
order of summation does not matter. The quotient (V + 1/2) / D is at least 1 / (2 D) away from any
integer, and its rounding error is smaller while D (T + 2) stays below 2**23. In 8-bit integers
(`QLinearConv`) onnxruntime rounds V / D to the nearest integer. The model therefore passes
V - D // 2, with a scale slightly above 1 / D that rounds ties up. Processors without VNNI add two
products in 16 bits, which saturate: levels and weights are so small that no pair reaches that.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

import numpy as np
import onnxruntime

from qcompiler.backends.backend import Progress
from qcompiler.backends.counting import coded_values, output_steps, saturated_inputs
from qcompiler.backends.energy.activity import activity_of
from qcompiler.backends.energy.wiring import Wiring, wiring_of
from qcompiler.backends.host import Counters, HostTail, Outcome, output_nodes
from qcompiler.ir import Graph
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Decode
from qcompiler.ir.spiking.integer_network import spiking_nodes
from qcompiler.ir.view import View

from .closed_form import ClosedForm, Output
from .decoded_in_graph import decoded_in_graph
from .single_frames import SingleFrame
from .whole_digits import with_whole_digits
from .whole_outputs import with_whole_outputs


class _Session(NamedTuple):
    session: onnxruntime.InferenceSession
    inputs: list[str]
    results: list[str]
    levels: dict[str, Output]
    tail: HostTail
    size: int  # results that hold levels
    decoded: list[str]  # values that further results hold, if none of them counts
    is_bare: bool  # whether results are the outputs, in order


class FastEngine:
    """Evaluates a compiled graph; ``threads`` 0 uses OMP_NUM_THREADS, or all cores."""

    def __init__(self, graph: Graph, threads: int = 0) -> None:
        self.graph = graph
        self.threads = threads
        self._coded = coded_values(graph)
        self._sessions: dict[tuple[bool, bool], _Session] = {}
        self._single: SingleFrame | None = None

    def __call__(
        self,
        *inputs: Array,
        record: bool = False,
        count: bool = True,
        progress: Progress | None = None,
    ) -> Outcome:
        """Run a batch; ``record`` keeps the levels of every population.

        Without ``count`` the counters stay at 0 and cost no time.
        """
        if self._single is not None and not (record or count) and len(inputs) == 1:
            single = self._single(inputs[0])
            if single is not None:
                return Outcome(single, {}, Counters(1))
        found = self._session(record, count)
        feed = {
            name: x.astype(np.float32, copy=False)
            for name, x in zip(found.inputs, inputs, strict=True)
        }
        results = found.session.run(found.results, feed)
        if found.is_bare:
            if len(inputs) == len(inputs[0]) == 1:
                self._single = SingleFrame(found.session, inputs[0], results)
            return Outcome(tuple(results), {}, Counters(len(inputs[0])))
        levels = {name: at.piece.cut(results[at.result]) for name, at in found.levels.items()}
        decoded = zip(found.decoded, results[found.size :], strict=False)
        outputs = found.tail({**levels, **dict(decoded)})
        if not count:
            return Outcome(outputs, levels if record else {}, Counters(len(inputs[0])))
        counters = self._counters(inputs, levels, results[found.size :])
        return Outcome(outputs, levels if record else {}, counters)

    def _session(self, record: bool, count: bool) -> _Session:
        if (record, count) not in self._sessions:
            graph = self.graph if record or count else with_whole_digits(self.graph)
            form = ClosedForm(graph, record, count)
            names = [node.result.name for node in output_nodes(graph)]
            decoded: dict[str, str] = {}
            if record:
                names = [*form.outputs]
            elif not count:
                graph, wholes = with_whole_outputs(graph, form.pieces)
                form.pieces |= wholes
                graph, decoded = decoded_in_graph(graph, form.writer, form.pieces)
                names = [name for name in (*wholes, *names) if _is_read(graph, name)]
            session, levels = form.session(names, self.threads, decoded.values())
            given = [value.name for value in session.get_inputs()]
            results = 1 + max((output.result for output in levels.values()), default=-1)
            tail = HostTail(graph, (*levels, *decoded))
            made = [value.name for value in session.get_outputs()]
            is_bare = not levels and not tail.steps and [*decoded] == tail.outputs
            self._sessions[record, count] = _Session(
                session, given, made, levels, tail, results, [*decoded], is_bare
            )
        return self._sessions[record, count]

    @cached_property
    def _wiring(self) -> Wiring:
        return wiring_of(self.graph)

    def _counters(
        self, inputs: tuple[Array, ...], levels: Mapping[str, Array], counts: list[Array]
    ) -> Counters:
        frames = len(inputs[0])
        found = Counters(frames, coded=frames * self._coded)
        names = [node.result.name for node in spiking_nodes(self.graph)]
        sums, saturated = counts[: 2 * len(names)], counts[2 * len(names) :]
        pairs = zip(sums[::2], sums[1::2], strict=True)
        found.count(self._wiring, activity_of(dict(zip(names, pairs, strict=True)), self._wiring))
        found.first, found.last = output_steps(self.graph, levels)
        found.saturated = sum(map(int, saturated)) + saturated_inputs(self.graph, inputs)
        return found


def _is_read(graph: Graph, name: str) -> bool:
    """Whether the host reads the levels of a population."""
    return any(
        operand.name == name
        for node in graph.nodes
        if isinstance(node.op, Decode | View)
        for operand in node.operands
    )
