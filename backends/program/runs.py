"""How a program runs: its engines, made on first use, and data sets batch by batch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from qcompiler.backends.backend import Backend, Engine, EngineFactory, Progress
from qcompiler.backends.energy import activity as activities
from qcompiler.backends.host import Counters, Measured, Outcome, frames_per_batch
from qcompiler.backends.targets import ENGINES
from qcompiler.ir import CompileWarning, Graph, PipelineError, ProgramError, Value
from qcompiler.ir.diagnostics import blamed, is_ours, module_of
from qcompiler.ir.kernels import Array
from qcompiler.ir.memory import check_results, within_memory
from qcompiler.ir.prologue import run_prologue
from qcompiler.ir.spiking.integer_network import spiking_nodes
from qcompiler.ir.types import size as size_of

from .calibrated_limits import exceeded_limits
from .costs import ProgramCosts
from .input_batches import input_batches
from .outcomes import Outcomes
from .states import State, check_given_states

_BYTES = 4  # of a number in float32; levels take as much at least


class ProgramRuns:
    """Runs one program; ``made`` holds the engines that there are already, by name.

    Data by name may hold ``unread`` inputs, which are left aside. ``states`` are inputs as others.
    """

    def __init__(
        self,
        graph: Graph,
        prologue: Graph | None,
        backend: Backend,
        costs: ProgramCosts,
        made: dict[str, Engine],
        unread: tuple[str, ...] = (),
        states: tuple[State, ...] = (),
    ) -> None:
        self.graph, self.prologue, self.backend, self.costs = graph, prologue, backend, costs
        self._made, self._unread, self._outcomes = made, unread, Outcomes(graph, costs)
        self._states = states

    @property
    def factories(self) -> tuple[EngineFactory, ...]:
        """See `Program.engines`."""
        own = {engine.name: engine for engine in self.backend.engines}
        return tuple(({**ENGINES} | own).values())

    def factory(self, name: str) -> EngineFactory:
        """The factory of an engine; ProgramError if it is unknown."""
        known = {factory.name: factory for factory in self.factories}
        if not isinstance(name, str) or name not in known:
            raise ProgramError(
                f"no engine named {name} runs a program for target {self.backend.name}: "
                f"choose {', '.join(known)}"
            )
        return known[name]

    def engine(self, name: str) -> Engine:
        """See `Program.engine`."""
        factory = self.factory(name)
        if name not in self._made:
            with blamed(factory.make, f"the engine {name}"):
                made = factory.make(self.graph)
            if not callable(made):
                who = f"the engine {name} of {module_of(factory.make)}"
                raise PipelineError(f"{who}: its make returns no engine, but {made!r:.60}")
            self._made[name] = made
        return self._made[name]

    def _ran(self, name: str, batch: tuple[Array, ...], **asked: Any) -> Outcome:
        """What an engine makes of a batch; PipelineError for the faults of a plugin's engine."""
        engine = self.engine(name)
        given = batch if is_ours(engine) else tuple(map(_read_only, batch))
        with blamed(engine, f"the engine {name}"):
            found = engine(*given, **asked)
        return self._outcomes.checked(found, name, engine, len(batch[0]), asked)

    @property
    def inputs(self) -> tuple[Value, ...]:
        """See `Program.inputs`."""
        return self.graph.inputs if self.prologue is None else self.prologue.inputs

    @within_memory
    def network_inputs(self, inputs: tuple[Any, ...], first: int) -> tuple[Array, ...]:
        """See `Program.network_inputs`."""
        made = () if self.prologue is None else self.graph.inputs
        parts = list(self._read(inputs, made, lambda frames: frames, first))
        return parts[0] if len(parts) == 1 else tuple(map(np.concatenate, zip(*parts, strict=True)))

    def _read(
        self,
        inputs: tuple[Any, ...],
        results: Iterable[Value],
        size: Callable[[int], int],
        first: int,
    ) -> Iterator[tuple[Array, ...]]:
        """Batches of a ``size``; DataError if the results of all do not fit into memory."""
        each = _BYTES * sum(size_of(value.type) for value in results)

        def held(frames: int) -> int:
            check_results(frames, each)
            return size(frames)

        if not isinstance(first, int | np.integer):
            raise ProgramError(f"first must be the number of a frame, not {first!r:.60}")
        check_given_states(inputs, len(self.inputs), self._states)
        for arrays, begin in input_batches(inputs, self.inputs, held, first, self._unread):
            whole = self.prologue
            yield arrays if whole is None else run_prologue(whole, *arrays, first=begin)

    def _batches(
        self, inputs: tuple[Any, ...], engine: str, results: Iterable[Value], first: int = 0
    ) -> Iterator[tuple[Array, ...]]:
        """What the network reads, batch by batch: all at once for an engine that streams."""

        def size(frames: int) -> int:
            return frames if self.factory(engine).streams else frames_per_batch(self.graph)

        return self._read(inputs, results, size, first)

    @within_memory
    def measure(
        self,
        inputs: tuple[Any, ...],
        engine: str,
        count: bool,
        progress: Progress | None,
        first: int,
    ) -> Measured:
        """See `Program.measure`."""
        if progress is not None and not callable(progress):
            raise ProgramError(f"progress must be a function, not {progress!r:.60}")
        if not isinstance(count, bool | np.bool_ | int):
            raise ProgramError(f"count must be true or false, not {count!r:.60}")
        counters, pieces = Counters(), []
        for batch in self._batches(inputs, engine, self.graph.outputs, first):
            outcome = self._ran(engine, batch, count=count, progress=progress)
            pieces.append(outcome.outputs)
            if count and outcome.counters.activity is None:
                self._count_activity(batch, outcome.counters)
            counters.add(outcome.counters)
            if progress:
                progress(counters.frames)
        if counters.activity is not None:
            counters.network = self.costs.network
        if not count:  # else who asks reads the counters
            _warn_of(counters)
        joined = (np.concatenate(arrays) for arrays in zip(*pieces, strict=True))
        return Measured(dict(zip(self.graph.output_names, joined, strict=True)), counters)

    def _count_activity(self, batch: tuple[Array, ...], counters: Counters) -> None:
        step = frames_per_batch(self.graph)
        for begin in range(0, len(batch[0]), step):
            piece = tuple(array[begin : begin + step] for array in batch)
            found = self._ran("fast", piece).counters.activity
            counters.activity = activities.added(counters.activity, found or {})
        if not counters.spikes and counters.activity is not None:
            counters.count(self.costs.wiring, counters.activity)

    @within_memory
    def levels(self, inputs: tuple[Any, ...], engine: str) -> dict[str, Array]:
        """See `Program.levels`."""
        values = [node.result for node in spiking_nodes(self.graph)]
        found: dict[str, list[Array]] = {value.name: [] for value in values}
        counters = Counters()
        for batch in self._batches(inputs, engine, values):
            outcome = self._ran(engine, batch, record=True, count=False)
            counters.add(outcome.counters)
            for name, arrays in found.items():
                arrays.append(outcome.levels[name])
        _warn_of(counters)
        return {name: np.concatenate(arrays) for name, arrays in found.items()}


def _warn_of(counters: Counters) -> None:
    if finding := exceeded_limits(counters):
        warnings.warn(finding.text, CompileWarning, stacklevel=5)


def _read_only(array: Array) -> Array:
    """A view that cannot change the data, which are the caller's own."""
    view = array.view()
    view.flags.writeable = False
    return view
