"""Adapts `LavaEngine` to the `Engine` protocol: decoded outputs, levels and counters."""

from __future__ import annotations

from functools import partial

from qcompiler.backends.backend import EngineFactory, Progress
from qcompiler.backends.decoded_spikes import outcome_of_spikes, recorded_names
from qcompiler.backends.host import Outcome
from qcompiler.ir import Graph
from qcompiler.ir.kernels import Array

from .lava_engine import LavaEngine, Runtime


class LavaEngineAdapter:
    """An `Engine` on Lava's fixed-point simulation of Loihi, in the given runtime."""

    def __init__(self, graph: Graph, runtime: Runtime = "auto") -> None:
        self.graph = graph
        self.engine = LavaEngine(graph, runtime=runtime)

    def __call__(
        self,
        *inputs: Array,
        record: bool = False,
        count: bool = True,
        progress: Progress | None = None,
    ) -> Outcome:
        """Run a batch; ``record`` keeps every population's levels, which slows Lava down.

        Membrane potentials are not observed, so saturation is not counted, nor is the activity.
        Raises ProgramError if a neuron does not spike in its window.
        """
        names = recorded_names(self.graph, record)
        spikes = self.engine.spikes(*inputs, record=names, progress=progress)
        return outcome_of_spikes(self.graph, spikes, len(inputs[0]), record, "Lava")


ENGINES = (
    EngineFactory(
        "lava",
        "stock Lava processes in fixed point (Python 3.10), in the faster runtime",
        LavaEngineAdapter,
        streams=True,
    ),
    EngineFactory(
        "lava-single",
        "stock Lava processes in one operating-system process",
        partial(LavaEngineAdapter, runtime="single"),
        streams=True,
    ),
    EngineFactory(
        "lava-processes",
        "stock Lava processes in Lava's runtime, one operating-system process each",
        partial(LavaEngineAdapter, runtime="processes"),
        streams=True,
    ),
)
