"""What an engine returns, checked: a plugin's may be anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qcompiler.backends.backend import Engine
from qcompiler.backends.host import Counters, Outcome
from qcompiler.ir import Graph, PipelineError
from qcompiler.ir.diagnostics import is_ours, module_of
from qcompiler.ir.kernels import is_finite_float32
from qcompiler.ir.spiking.integer_network import spiking_nodes


class Outcomes:
    """Checks outcomes for a graph; PipelineError, which names the engine, for what is none."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._levels = {node.result.name: node.result.type.shape for node in spiking_nodes(graph)}

    def check(
        self, found: Any, name: str, engine: Engine, frames: int, asked: Mapping[str, Any]
    ) -> None:
        """Check what an engine of this name returns for a batch, and for what it is ``asked``.

        Our own engines are taken at their word.
        """
        if not is_ours(engine) and (fault := self._fault(found, frames, asked)):
            raise PipelineError(f"the engine {name} of {module_of(engine)} returns {fault}")

    def _fault(self, found: Any, frames: int, asked: Mapping[str, Any]) -> str | None:
        """What is wrong with an outcome, as the end of a sentence."""
        if not isinstance(found, Outcome):
            return f"no Outcome, but {type(found).__name__}"
        if not isinstance(found.counters, Counters):
            return f"no Counters, but {type(found.counters).__name__}"
        if asked.get("count", True) and found.counters.frames != frames:
            return f"counters of {found.counters.frames!r:.20} frames for a batch of {frames:,}"
        return self._of_outputs(found.outputs, frames) or (
            self._of_levels(found.levels, frames) if asked.get("record") else None
        )

    def _of_outputs(self, outputs: Any, frames: int) -> str | None:
        wanted = dict(zip(self._graph.output_names, self._graph.outputs, strict=True))
        if not isinstance(outputs, Sequence):
            return f"outputs that are no tuple of arrays, but {type(outputs).__name__}"
        if len(outputs) != len(wanted):
            return f"{len(outputs)} outputs, but the network has {len(wanted)}"
        faults = (
            _of_array(array, f'the output "{name}"', (frames, *value.type.shape))
            for array, (name, value) in zip(outputs, wanted.items(), strict=True)
        )
        return next(filter(None, faults), None)

    def _of_levels(self, levels: Any, frames: int) -> str | None:
        if not isinstance(levels, Mapping):
            return f"levels that are no arrays by population, but {type(levels).__name__}"
        if missing := [name for name in self._levels if name not in levels]:
            return f"no levels of {', '.join(f'%{name}' for name in missing[:8])}"
        faults = (
            _of_array(levels[name], f"levels of %{name}", (frames, *shape))
            for name, shape in self._levels.items()
        )
        return next(filter(None, faults), None)


def _of_array(given: Any, what: str, shape: tuple[int, ...]) -> str | None:
    """What is wrong with an array, ``frames x shape``."""
    if not isinstance(given, np.ndarray):
        return f"{what} as {type(given).__name__}: it must be a numpy array"
    if given.shape != shape:
        return f"{what} of shape {given.shape}: it must be {shape}, with a row for each frame"
    if not is_finite_float32(given):
        return f"{what} with NaN, infinite or non-real values"
    return None
