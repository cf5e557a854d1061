"""Adapts `LavaEngine` to the `Engine` protocol: decoded outputs, levels and counters."""

from __future__ import annotations

from functools import partial

from qcompiler.backends.backend import EngineFactory, Progress
from qcompiler.backends.host import (
    Counters,
    Outcome,
    decode_outputs,
    output_nodes,
    output_steps,
)
from qcompiler.ir import Graph, ProgramError
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.coding import level_of
from qcompiler.ir.spiking.integer_network import spikes_of, spiking_nodes, start

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
        nodes = spiking_nodes(self.graph) if record else output_nodes(self.graph)
        names = [node.result.name for node in nodes]
        steps = self.engine.spikes(*inputs, record=names, progress=progress)
        levels = {}
        for node in nodes:
            name, code, begin = (
                node.result.name,
                spikes_of(node.result),
                start(self.graph, node.result),
            )
            assert begin is not None
            levels[name] = level_of(code, begin, steps[name])
            if (levels[name] < 0).any() or (levels[name] > code.top).any():
                raise ProgramError(f"neurons of %{name} spike outside their window on Lava")
        counters = Counters(len(inputs[0]))
        counters.first, counters.last = output_steps(self.graph, levels)
        return Outcome(decode_outputs(self.graph, levels), levels if record else {}, counters)


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
