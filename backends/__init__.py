"""Backends: what runs or emits a compiled graph."""

from .backend import Backend, Engine, EngineFactory
from .host import Counters, Outcome
from .loihi.target import LOIHI
from .program import Program
from .reference.target import REFERENCE

__all__ = [
    "LOIHI",
    "REFERENCE",
    "Backend",
    "Counters",
    "Engine",
    "EngineFactory",
    "Outcome",
    "Program",
]
