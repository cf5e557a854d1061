"""A compiled program: it runs on engines, reports on itself and is saved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from qcompiler.ir import DataError, Graph, Node, ProgramError, Value, verify
from qcompiler.ir.kernels import Array, is_finite_float32
from qcompiler.ir.prologue import joined, run_prologue, split_prologue
from qcompiler.ir.spiking.coding import step_of
from qcompiler.ir.spiking.integer_network import spikes_of, spiking_nodes, start

from . import loading, storage
from .backend import Backend, Engine, EngineFactory, Progress
from .calibrated_limits import describe_calibrated_limits
from .energy import activity as activities
from .energy.alternatives import Alternatives, alternatives
from .energy.cores import Cores
from .energy.cost_model import CostModel
from .energy.estimate import Estimate, Measurement, estimate
from .energy.wiring import Wiring, wiring_of
from .given_arrays import are_batches, as_array, batches_of
from .host import Counters, Measured, frames_per_batch, hidden_nodes, host_nodes
from .loihi.mapping.chips import LOIHI_1
from .manifest import check_manifest
from .placements import placements_of
from .plots.plots import Plots
from .report import Report, build_report
from .states import State, states_from
from .stream import Stream
from .targets import ENGINES


@dataclass
class Program:
    """A network compiled for a target; ``manifest`` records how, as JSON data.

    The host runs the ``prologue`` on the data, if there is one: it gives the network's inputs.
    """

    graph: Graph
    backend: Backend
    manifest: dict[str, Any]
    prologue: Graph | None = None
    _engines: dict[str, Engine] = field(default_factory=dict, repr=False, compare=False)
    _placed: dict[int, tuple[Cores, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __repr__(self) -> str:
        known = self.manifest.get("model")
        name = str(known.get("file", "") if isinstance(known, dict) else "")
        size = f"{len(spiking_nodes(self.graph)):,} populations, t_max {self.t_max}"
        return f"<Program {f'{name[:80]!r} ' if name else ''}for {self.backend.name}: {size}>"

    def _repr_html_(self) -> str | None:
        from .plots.notebook import notebook_html

        return notebook_html(repr(self)[1:-1], self.graph, self.report())

    @property
    def t_max(self) -> int:
        """Largest number of spike times of a population, inputs and outputs excluded."""
        return max(spikes_of(node.result).t_max for node in hidden_nodes(self.graph))

    @property
    def inputs(self) -> tuple[Value, ...]:
        """What the data are for: the inputs of the prologue, or else of the network."""
        return self.graph.inputs if self.prologue is None else self.prologue.inputs

    @property
    def host_nodes(self) -> tuple[Node, ...]:
        """What the host computes in front of the network, and behind it, in order."""
        front = () if self.prologue is None else self.prologue.nodes
        return (*front, *host_nodes(self.graph))

    def network_inputs(self, *inputs: Array, first: int = 0) -> tuple[Array, ...]:
        """What the network reads of data; DataError for an index that is in no table.

        It names the frame, counted from the ``first``.
        """
        if self.prologue is None:
            return inputs
        return run_prologue(self.prologue, *inputs, first=first)

    @property
    def engines(self) -> tuple[EngineFactory, ...]:
        """The engines that may run this program: the built-in ones, and those of its target."""
        own = {engine.name: engine for engine in self.backend.engines}
        return tuple(({**ENGINES} | own).values())

    @property
    def unproved_checks(self) -> tuple[str, ...]:
        """Limits that rest on calibration data, one sentence each; all others are proven."""
        return describe_calibrated_limits(self.graph)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What looked wrong when the program was compiled: text of one or more lines each.

        Outputs far from the model's, and calibration data that do not suit the model. Raises
        ProgramError if the manifest is damaged.
        """
        found = self.manifest.get("warnings", [])
        if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
            raise ProgramError("the manifest's warnings are damaged: compile the model again")
        return tuple(found)

    @property
    def states(self) -> tuple[State, ...]:
        """The outputs that are inputs of the next frame. ProgramError if the manifest is damaged.

        Programs without states have none.
        """
        return states_from(self.manifest.get("states", []))

    @property
    def returned(self) -> tuple[str, ...]:
        """The outputs that are no states; all of them if there are no others."""
        carried = {state.output for state in self.states}
        names = self.graph.output_names
        return tuple(name for name in names if name not in carried) or names

    def stream(self, engine: str = "fast", count: bool = False) -> Stream:
        """The program frame by frame: ``stream.step(frame)`` keeps the states between frames.

        With ``count``, ``stream.counters`` adds up spikes. Raises ProgramError if there are no
        states, or for an unknown engine.
        """
        self._factory(engine)
        return Stream(self, engine, count)

    def run(self, *inputs: Any, engine: str = "fast") -> Array | tuple[Array, ...]:
        """Outputs in real units for one batch per input, ``frames x shape``; a tuple if several.

        A batch is an array, or what becomes one: a tensor, a data frame. An iterable of batches,
        such as a DataLoader, is run batch by batch; labels behind the inputs are left aside.
        Raises DataError for inputs that do not fit, ProgramError for an unknown engine.
        """
        outputs = tuple(self.measure(*inputs, engine=engine, count=False).outputs.values())
        return outputs[0] if len(outputs) == 1 else outputs

    def measure(
        self,
        *inputs: Any,
        engine: str = "fast",
        count: bool = True,
        progress: Progress | None = None,
        first: int = 0,
    ) -> Measured:
        """Run a data set in batches that fit into memory; return all outputs and the counters.

        ``inputs`` are as for `run`; errors number their frames from the ``first``.
        The spikes that an engine does not count the fast engine counts: they are the same.
        """
        counters, pieces = Counters(), []
        for part in self._parts(inputs, engine, first):
            outcome = self.engine(engine)(*part, count=count, progress=progress)
            pieces.append(outcome.outputs)
            if count and outcome.counters.activity is None:
                self._count_activity(part, outcome.counters)
            counters.add(outcome.counters)
            if progress:
                progress(counters.frames)
        joined = (np.concatenate(arrays) for arrays in zip(*pieces, strict=True))
        return Measured(dict(zip(self.graph.output_names, joined, strict=True)), counters)

    def _count_activity(self, part: tuple[Array, ...], counters: Counters) -> None:
        step = frames_per_batch(self.graph)
        for begin in range(0, len(part[0]), step):
            piece = (array[begin : begin + step] for array in part)
            found = self.engine("fast")(*piece).counters.activity
            counters.activity = activities.added(counters.activity, found or {})
        if not counters.spikes and counters.activity is not None:
            counters.count(self.wiring, counters.activity)

    def spikes(self, *inputs: Any, engine: str = "steps") -> dict[str, Array]:
        """Step of every neuron's spike from frame start, by population: ``frames x shape``."""
        found = self.levels(*inputs, engine=engine)
        for node in spiking_nodes(self.graph):
            name, begin = node.result.name, start(self.graph, node.result)
            assert begin is not None
            found[name] = step_of(spikes_of(node.result), begin, found[name])
        return found

    def levels(self, *inputs: Array, engine: str = "fast") -> dict[str, Array]:
        """The level of every neuron by population, ``frames x shape``; 0 is the lowest."""
        found: dict[str, list[Array]] = {node.result.name: [] for node in spiking_nodes(self.graph)}
        for part in self._parts(inputs, engine):
            levels = self.engine(engine)(*part, record=True, count=False).levels
            for name, arrays in found.items():
                arrays.append(levels[name])
        return {name: np.concatenate(arrays) for name, arrays in found.items()}

    @property
    def plot(self) -> Plots:
        """Pictures: ``graph()``, ``schedule()``, ``cores()``, ``raster(x)``, ``histograms(x)``."""
        return Plots(self.graph, self.report, self.levels)

    def engine(self, name: str) -> Engine:
        """The engine of this name, made on first use."""
        factory = self._factory(name)
        if name not in self._engines:
            self._engines[name] = factory.make(self.graph)
        return self._engines[name]

    def streams(self, engine: str) -> bool:
        """Whether an engine takes a whole data set at once. ProgramError for an unknown engine."""
        return self._factory(engine).streams

    def _factory(self, name: str) -> EngineFactory:
        known = {factory.name: factory for factory in self.engines}
        if not isinstance(name, str) or name not in known:
            raise ProgramError(
                f"no engine named {name} runs a program for target {self.backend.name}: "
                f"choose {', '.join(known)}"
            )
        return known[name]

    def _parts(
        self, inputs: tuple[Any, ...], engine: str, first: int = 0
    ) -> Iterator[tuple[Array, ...]]:
        if len(inputs) == 1 and are_batches(inputs[0]):
            yield from self._parts_of_batches(inputs[0], engine)
            return
        try:
            inputs = tuple(map(as_array, inputs))
        except ValueError as error:
            raise DataError("pass inputs one by one, run(a, b), not in a list") from error
        inputs = tuple(map(self._as_declared, inputs, self.inputs))
        self._check(inputs)
        frames = len(inputs[0])
        step = frames if self._factory(engine).streams else frames_per_batch(self.graph)
        for begin in range(0, frames, step):
            part = (array[begin : begin + step] for array in inputs)
            yield self.network_inputs(*part, first=first + begin)

    def _parts_of_batches(self, given: Iterable[Any], engine: str) -> Iterator[tuple[Array, ...]]:
        before = 0
        for arrays, _ in batches_of(given, [value.name for value in self.inputs]):
            yield from self._parts(arrays, engine, before)
            before += len(arrays[0])
        if not before:
            raise DataError("the data are empty")

    def _as_declared(self, array: Array, value: Value) -> Array:
        """The array without axes of length 1 that a sample of the input has not, or with them."""
        given, shape = array.shape[1:], value.type.shape
        same = [n for n in given if n != 1] == [n for n in shape if n != 1]
        return array.reshape(len(array), *shape) if same and given != shape else array

    def _check(self, inputs: tuple[Array, ...]) -> None:
        expected = [value.type.shape for value in self.inputs]
        given = [array.shape[1:] for array in inputs]
        if given != expected or len({len(array) for array in inputs}) != 1:
            raise DataError(f"the network takes frames of shape {expected}, not {given}")
        if not len(inputs[0]):
            raise DataError("the data are empty")
        for array in inputs:
            if not is_finite_float32(array):
                raise DataError("the data contain NaN, infinite or non-real values")

    @cached_property
    def wiring(self) -> Wiring:
        """What the network's neurons are connected to.

        With states, a frame waits for the end of the one before.
        """
        found = wiring_of(self.graph)
        return replace(found, interval=max(found.interval, found.latency)) if self.states else found

    @property
    def activity(self) -> Measurement:
        """How active the neurons are on calibration data; without these, an assumption.

        Raises ProgramError if the manifest is damaged.
        """
        tops = self._tops
        if (known := self.manifest.get("activity")) is None:
            return Measurement(activities.assumed_activity(self.wiring, tops), 1, "assumed")
        return Measurement(*activities.from_json(known, self.wiring.neurons), "calibration")

    @property
    def _tops(self) -> dict[str, int]:
        """The highest level of every population, inputs included."""
        nodes = spiking_nodes(self.graph)
        return {node.result.name: spikes_of(node.result).top for node in nodes}

    def energy(self, counters: Counters | None = None, model: CostModel | None = None) -> Estimate:
        """What a frame costs by a model, or by the target's.

        ``counters`` are those of `measure`; without them the activity is that of `activity`.
        """
        model = model or self.backend.energy
        return estimate(self.wiring, self._measured(counters), model, self._placements(model))

    def alternatives(
        self, counters: Counters | None = None, model: CostModel | None = None
    ) -> Alternatives | None:
        """The energy of other networks and machines beside it; None without products to count."""
        macs = self.manifest.get("macs")
        if type(macs) is not int or macs < 1 or not self.wiring.updated_neurons:
            return None
        measured = self._measured(counters)
        return alternatives(self.energy(counters, model), measured, self._tops, macs)

    def _measured(self, counters: Counters | None) -> Measurement:
        if counters is None or counters.activity is None:
            return self.activity
        return Measurement(counters.activity, counters.frames, "data")

    def _placements(self, model: CostModel) -> tuple[Cores, ...]:
        if model.times is None:
            return ()
        if model.neurons_per_core not in self._placed:
            chip = self.backend.chip or LOIHI_1
            self._placed[model.neurons_per_core] = placements_of(self.graph, chip, model)
        return self._placed[model.neurons_per_core]

    def report(self, model: CostModel | None = None) -> Report:
        """Populations, synapses, latency, cores and energy, by a model or by the target's."""
        backend, found = self.backend, self.energy(model=model)
        report = build_report(self.graph, backend.name, backend.chip, self.unproved_checks, found)
        return replace(report, warnings=self.warnings)

    def save(self, directory: str | Path) -> None:
        """Write the program, whole or not at all; ProgramError if that fails."""
        manifest = {"target": self.backend.name, "preprocessing": {}, **self.manifest}
        whole = joined(self.prologue, self.graph)
        emit, graph = self.backend.emit, self.graph
        if emit is None or (self.prologue is not None and not self.backend.emits_spikes):
            storage.save(_path(directory), manifest, whole)
        else:
            storage.save(_path(directory), manifest, whole, lambda folder: emit(graph, folder))

    @staticmethod
    def load(directory: str | Path, find: Callable[[str], Backend | None]) -> Program:
        """Read a program and verify it; ``find`` looks targets up. ProgramError if it is broken."""
        try:
            return Program._loaded(_path(directory), find)
        except (TypeError, ValueError, LookupError, ArithmeticError, AssertionError) as error:
            raise ProgramError(f"{directory} is damaged: compile the model again") from error

    @staticmethod
    def _loaded(directory: Path, find: Callable[[str], Backend | None]) -> Program:
        manifest, whole = loading.load(directory)
        prologue, graph = split_prologue(whole)
        target = manifest.pop("target", None)
        backend = find(str(target))
        if backend is None:
            raise ProgramError(f"{directory} is compiled for an unknown target: {target}")
        check_manifest(manifest, directory)
        for own in ("format", "files"):
            manifest.pop(own, None)
        verify(graph, *backend.requires)
        if prologue is not None:
            verify(prologue)
        return Program(graph, backend, manifest, prologue)


def _path(directory: str | Path) -> Path:
    try:
        return Path(directory)
    except TypeError as error:
        raise ProgramError(f"a directory is a path, not {type(directory).__name__}") from error
