"""The reference target, which needs no hardware, and its three engines."""

from __future__ import annotations

from qcompiler.backends.backend import Backend, Engine, EngineFactory
from qcompiler.ir import Graph
from qcompiler.ir.spiking.invariants import READ_OUT, SCHEDULED, SPIKING, within

PIPELINE = (
    "fold-batchnorm,fold-linear{pooled},lower-magnitudes,split-fan-in{fan_in},standardize,"
    "split-inputs{fan_in},equalize,split-ranges{membranes},refine-outputs,normalize,"
    "lower-activations{membranes},{quantize},split-windows{limits},{windows},{codes},"
    "insert-readout"
)

# The arithmetic of the fast engine is exact for every input, even outside calibrated bounds.
EXACT = within((1 << 23) - 1, "sums within 24 bits")


def _fast(graph: Graph) -> Engine:
    from qcompiler.backends.reference.fast.fast_engine import FastEngine

    return FastEngine(graph)


def _steps(graph: Graph) -> Engine:
    from .steps_engine import StepsEngine

    return StepsEngine(graph)


def _events(graph: Graph) -> Engine:
    from .events.events_engine import EventsEngine
    from .steps_engine import StepsEngine

    return EventsEngine(graph, StepsEngine(graph))


ENGINES = (
    EngineFactory("fast", "the integer network in closed form, on onnxruntime", _fast),
    EngineFactory("steps", "currents and membranes step by step: the reference model", _steps),
    EngineFactory("events", "the same spikes as steps, at the cost of the spikes", _events),
)

REFERENCE = Backend(
    "reference",
    "the integer network, run by the fast, steps and events engines",
    PIPELINE.format(
        pooled="",
        fan_in="",
        membranes="",
        quantize="quantize",
        limits="",
        windows="assign-windows",
        codes="choose-codes",
    ),
    (SPIKING, SCHEDULED, READ_OUT, EXACT),
    engines=ENGINES,
    most_weight_bits=16,
)
