"""The built-in targets and engines, by name."""

from __future__ import annotations

from collections.abc import Mapping

from qcompiler.backends.brian2.target import BRIAN2
from qcompiler.backends.loihi.target import LOIHI, LOIHI1
from qcompiler.backends.nir.target import NIR
from qcompiler.backends.reference.target import REFERENCE

from .backend import Backend, EngineFactory

BUILT_IN: Mapping[str, Backend] = {
    backend.name: backend for backend in (LOIHI, LOIHI1, REFERENCE, BRIAN2, NIR)
}

# The reference engines come first. Every one runs the programs of all targets, if they fit it.
ENGINES: Mapping[str, EngineFactory] = {
    engine.name: engine for backend in (REFERENCE, *BUILT_IN.values()) for engine in backend.engines
}
