"""What an engine returns, checked: a plugin's may be anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from qcompiler.backends.backend import Engine
from qcompiler.backends.host import Counters, Outcome
from qcompiler.ir import Graph, PipelineError, Value
from qcompiler.ir.diagnostics import is_ours, module_of
from qcompiler.ir.kernels import is_finite_float32
from qcompiler.ir.spiking.integer_network import calibrated, spikes_of, spiking_nodes
from qcompiler.ir.spiking.senders import start

from .costs import ProgramCosts
from .counted import fault_of_counters, plain


class Outcomes:
    """Checks outcomes for a graph; PipelineError, which names the engine, for what is none."""

    def __init__(self, graph: Graph, costs: ProgramCosts) -> None:
        self._graph, self._costs = graph, costs

    def checked(
        self, found: Any, name: str, engine: Engine, frames: int, asked: Mapping[str, Any]
    ) -> Outcome:
        """What an engine of this name returns for a batch, and for what it is ``asked``.

        Counters that nobody asks for stay at 0. Our own engines are taken at their word.
        """
        outcome: Outcome = found
        if is_ours(engine):
            return outcome
        counted = bool(asked.get("count", True))
        if fault := self._fault(found, frames, counted, bool(asked.get("record"))):
            raise PipelineError(f"the engine {name} of {module_of(engine)} returns {fault}")
        return replace(outcome, counters=plain(found.counters) if counted else Counters(frames))

    def _fault(self, found: Any, frames: int, counted: bool, recorded: bool) -> str | None:
        """What is wrong with an outcome, as the end of a sentence."""
        if not isinstance(found, Outcome):
            return f"no Outcome, but {type(found).__name__}"
        may_be = self._costs.may_have
        if counted and (fault := fault_of_counters(found.counters, frames, may_be)):
            return fault
        return self._of_outputs(found.outputs, frames) or (
            self._of_levels(found.levels, frames) if recorded else None
        )

    def _of_outputs(self, outputs: Any, frames: int) -> str | None:
        wanted = dict(zip(self._graph.output_names, self._graph.outputs, strict=True))
        if not isinstance(outputs, Sequence):
            return f"outputs that are no tuple of arrays, but {type(outputs).__name__}"
        if len(outputs) != len(wanted):
            return f"{len(outputs)} outputs, but the network has {len(wanted)}"
        faults = (
            _of_output(array, f'the output "{name}"', (frames, *value.type.shape), _kind(value))
            for array, (name, value) in zip(outputs, wanted.items(), strict=True)
        )
        return next(filter(None, faults), None)

    @cached_property
    def _most(self) -> dict[str, int]:
        """The highest level that may be recorded of each population.

        Beyond calibrated bounds a neuron may spike early, or at step -1, which is not at all.
        """
        beyond, found = bool(calibrated(self._graph)), {}
        for node in spiking_nodes(self._graph):
            early = (start(self._graph, node.result) or 0) + 1 if beyond else 0
            found[node.result.name] = spikes_of(node.result).top + early
        return found

    def _of_levels(self, levels: Any, frames: int) -> str | None:
        if not isinstance(levels, Mapping):
            return f"levels that are no arrays by population, but {type(levels).__name__}"
        nodes = {node.result.name: node for node in spiking_nodes(self._graph)}
        if missing := [name for name in nodes if name not in levels]:
            return f"no levels of {', '.join(f'%{name}' for name in missing[:8])}"
        faults = (
            _of_level(levels[name], f"levels of %{name}", (frames, *shape), self._most[name])
            for name, shape in ((name, node.result.type.shape) for name, node in nodes.items())
        )
        return next(filter(None, faults), None)


def _kind(value: Value) -> str:
    """The kinds of numpy that may hold an output: of integers, such as an index, or of reals."""
    return "f" if getattr(value.type, "dtype", "f32") == "f32" else "iu"


def _of_output(given: Any, what: str, shape: tuple[int, ...], kinds: str) -> str | None:
    if fault := _of_array(given, what, shape):
        return fault
    if given.dtype.kind not in kinds:
        numbers = "real numbers, in the units of the model" if kinds == "f" else "integers"
        return f"{what} as {given.dtype}: it must hold {numbers}"
    return None


def _of_level(given: Any, what: str, shape: tuple[int, ...], most: int) -> str | None:
    if fault := _of_array(given, what, shape):
        return fault
    if given.dtype.kind not in "iu":
        return f"{what} as {given.dtype}: they must be integers"
    low, high = int(given.min()), int(given.max())
    if low < 0 or high > most:
        return f"{what} from {low} to {high}: they must be from 0 to {most}"
    return None


def _of_array(given: Any, what: str, shape: tuple[int, ...]) -> str | None:
    """What is wrong with an array, ``frames x shape``."""
    if not isinstance(given, np.ndarray):
        return f"{what} as {type(given).__name__}: it must be a numpy array"
    if given.shape != shape:
        return f"{what} of shape {given.shape}: it must be {shape}, with a row for each frame"
    if not is_finite_float32(given):
        return f"{what} with NaN, infinite or non-real values"
    return None
