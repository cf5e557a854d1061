"""Measuring a schedule on calibration data, in this process or on the workers of a cluster.

One half of the samples is measured with a network compiled with the other half, and the other way
round: no sample is measured on a network that has seen it. The halves do not depend on each other.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from qcompiler import registry
from qcompiler.backends.backend import Backend
from qcompiler.backends.host import Measured, output_nodes
from qcompiler.backends.program.program import Program
from qcompiler.cluster.client import finished, result
from qcompiler.cluster.runs import check_version, own_version
from qcompiler.ir import Graph, InvalidGraph, UnsupportedModel, verify
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.frames import frame_interval
from qcompiler.ir.spiking.integer_network import spikes_of
from qcompiler.ir.spiking.senders import start
from qcompiler.ir.types import size
from qcompiler.passes import Pass, Pipeline
from qcompiler.passes.calibration.data import sample
from qcompiler.passes.quantization.logits import until_logits

from .pareto import Cost, Objective

if TYPE_CHECKING:
    from distributed import Client


HALVES = (1, 0)  # as they are measured: costs first
_PRICED = 64  # samples that a cost is estimated from
_VALUES = 1e7  # of all samples together, where more than these are affordable


class Half(NamedTuple):
    """Outputs of every second sample from ``first`` on, and what the network that gave them takes.

    Both halves' networks take the same; costs are those of the first that is measured.
    """

    outputs: Array
    first: int
    last_step: int
    interval: int
    cost: Cost | None


class Measuring(NamedTuple):
    """What all trials have in common: the network behind the passes that are done, and the data."""

    before: Graph
    backend: Backend
    data: tuple[Array, ...]
    costs: bool

    def half(self, steps: Pipeline, half: int) -> Half:
        """Measure every second sample, from ``half`` on, with costs for the first of `HALVES`."""
        program = self._compiled(steps, tuple(array[1 - half :: 2] for array in self.data))
        graph, costs = program.graph, self.costs and half == HALVES[0]
        measured = program.measure(*(array[half::2] for array in self.data), count=costs)
        (outputs,) = measured.outputs.values()
        cost = _cost(program, measured) if costs else None
        flat = outputs.reshape(len(outputs), -1)
        return Half(flat, half, _last_step(graph), frame_interval(graph), cost)

    def price(self, steps: Pipeline, samples: int = _PRICED) -> Cost:
        """About what a frame costs, from few samples: a network has its size whatever its data."""
        few = sample(self.data, samples)
        program = self._compiled(steps, few)
        return _cost(program, program.measure(*few, count=True))

    def least(self, pipelines: Sequence[Pipeline], objective: Objective) -> Pipeline:
        """The first pipeline whose program costs least, about; the first if no costs are known.

        Programs may differ by less than few samples show: of a small network more are used.
        """
        values = sum(size(node.result.type) for node in self.before.nodes)
        samples = max(_PRICED, int(_VALUES / max(1, values)))

        def cost(steps: Pipeline) -> float:
            try:
                return self.price(steps, samples).of(objective) or 0.0
            except (UnsupportedModel, InvalidGraph):
                return np.inf

        return min(pipelines, key=cost)

    def _compiled(self, steps: Pipeline, data: tuple[Array, ...]) -> Program:
        """The program, up to the logits, that these data calibrate."""
        passes = tuple(with_option(step, "calibration", data) for step in steps.passes)
        graph = Pipeline(passes).run(self.before)
        verify(graph, *self.backend.requires)
        return Program(until_logits(graph), self.backend, {})


Halves: TypeAlias = Callable[[Pipeline], Iterable[Half]]


def here(common: Measuring) -> Halves:
    """Both halves in this process, one after the other, the second when it is asked for."""

    def halves(steps: Pipeline) -> Iterator[Half]:
        return (common.half(steps, half) for half in HALVES)

    return halves


def on_cluster(common: Measuring, client: Client) -> Halves:
    """Each half on a worker, with the same results."""
    named = common._replace(backend=common.backend.name)  # type: ignore[arg-type]
    held = client.submit(bytes, pickle.dumps(tuple(named)), pure=False)

    def halves(steps: Pipeline) -> list[Half]:
        bare, version = Pipeline(tuple(map(_bare, steps.passes))), own_version()
        tasks = [client.submit(_remote, held, version, bare, half, pure=False) for half in HALVES]
        waiting = set(tasks)
        while waiting:
            waiting -= set(finished(client, waiting))
        return [result(task) for task in tasks]

    return halves


def _cost(program: Program, measured: Measured) -> Cost:
    estimate = program.energy(measured.counters).to_dict()
    edp = estimate["edp_ujs"] and estimate["edp_ujs"]["streaming"]
    return Cost(estimate["energy_uj"]["total"], edp)


def _remote(content: bytes, version: str, steps: Pipeline, half: int) -> Half:
    check_version(version)
    return _common(content).half(steps, half)


@lru_cache(1)
def _common(content: bytes) -> Measuring:
    before, target, data, costs = pickle.loads(content)
    return Measuring(before, registry.backend_of_worker(target), data, costs)


def _bare(step: Pass) -> Pass:
    """A pass without its data, and without whom it tells of progress."""
    hidden = (field.name for field in fields(step) if not field.metadata.get("text", True))
    return replace(step, **dict.fromkeys(hidden))


def with_option(step: Pass, option: str, value: Any) -> Pass:
    """A pass with an option, if it has that."""
    known = {field.name for field in fields(step)}
    changed: dict[str, Any] = {option: value}
    return replace(step, **changed) if option in known else step


def _last_step(graph: Graph) -> int:
    last = 0
    for node in output_nodes(graph):
        begin = start(graph, node.result)
        assert begin is not None
        last = max(last, begin + spikes_of(node.result).top)
    return last
