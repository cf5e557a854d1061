"""The target brian2: the reference's network, with a module that runs it on Brian2."""

from __future__ import annotations

from dataclasses import replace

from qcompiler.backends.backend import Engine, EngineFactory
from qcompiler.backends.reference.target import REFERENCE
from qcompiler.ir import Graph

from .standalone import emit


def _engine(graph: Graph) -> Engine:
    from .engine import Brian2Engine

    return Brian2Engine(graph)


BRIAN2 = replace(
    REFERENCE,
    name="brian2",
    description="the integer network, with a module for the simulator Brian2",
    emit=emit,
    engines=(EngineFactory("brian2", "every neuron and synapse on Brian2", _engine),),
)
