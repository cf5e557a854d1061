"""A compiled program: it runs on engines, reports on itself and is saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import InitVar, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from qcompiler.backends.backend import Backend, Engine, EngineFactory, Progress
from qcompiler.backends.host import Measured
from qcompiler.backends.plots.plots import Plots
from qcompiler.backends.saving.program_files import load_program, save_program
from qcompiler.backends.targets import BUILT_IN
from qcompiler.ir import Value
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.coding import step_of
from qcompiler.ir.spiking.integer_network import spikes_of, spiking_nodes
from qcompiler.ir.spiking.senders import start

from .described_program import DescribedProgram
from .given_arrays import arrays_of
from .runs import ProgramRuns
from .stream import Stream


@dataclass(frozen=True)
class Program(DescribedProgram):
    """A network compiled for a target; ``manifest`` records how, as JSON data.

    The host runs the ``prologue`` on the data, if there is one: it gives the network's inputs.
    ``made`` are engines of the network that there are already, by name. Engines are made once, so
    no other network can take the place of this one: make a new program.
    """

    made: InitVar[Mapping[str, Engine] | None] = None
    _engines: dict[str, Engine] = field(init=False, repr=False, compare=False)

    def __post_init__(self, made: Mapping[str, Engine] | None) -> None:
        object.__setattr__(self, "_engines", dict(made or {}))

    def __hash__(self) -> int:
        """Of equal programs the same: their manifests are no less equal, but cannot be hashed."""
        return hash(self.graph)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles are without engines, which are made again on first use."""
        return type(self), (self.graph, self.backend, self.manifest, self.prologue)

    def __repr__(self) -> str:
        known = self.manifest.get("model")
        name = ""
        if isinstance(known, dict) and "sha256" in known:  # else the model was no file
            name = str(known.get("file", ""))
        size = f"{len(spiking_nodes(self.graph)):,} populations, t_max {self.t_max}"
        return f"<Program {f'{name[:80]!r} ' if name else ''}for {self.backend.name}: {size}>"

    def _repr_html_(self) -> str | None:
        from qcompiler.backends.plots.notebook import notebook_html

        return notebook_html(repr(self)[1:-1], self.graph, self.report())

    @cached_property
    def _runs(self) -> ProgramRuns:
        given = self.graph, self.prologue, self.backend, self._costs, self._engines
        return ProgramRuns(*given, self.unread_inputs, self.states)

    @property
    def inputs(self) -> tuple[Value, ...]:
        """What the data are for: the inputs of the prologue, or else of the network."""
        return self._runs.inputs

    def network_inputs(self, *inputs: Any, first: int = 0) -> tuple[Array, ...]:
        """What the network reads of data, which are as for `run`; one array for each of its inputs.

        DataError for data that do not fit, and for an index that is in no table, which names the
        frame, counted from the ``first``.
        """
        return self._runs.network_inputs(inputs, first)

    @property
    def engines(self) -> tuple[EngineFactory, ...]:
        """The engines that may run this program: the built-in ones, and those of its target."""
        return self._runs.factories

    def stream(self, engine: str = "fast", count: bool = False) -> Stream:
        """The program frame by frame: ``stream.step(frame)`` keeps the states between frames.

        With ``count``, ``stream.counters`` adds up spikes. Raises ProgramError if there are no
        states, or for an unknown engine.
        """
        self._runs.factory(engine)
        return Stream(self, engine, count)

    def run(self, *inputs: Any, engine: str = "fast") -> Array | tuple[Array, ...]:
        """Outputs in real units for one batch per input, ``frames x shape``; a tuple if several.

        A batch is an array, or what becomes one: a tensor, a data frame; its frames may be flat.
        One mapping from the names of the inputs to their batches will do, too, such as an open
        .npz. An iterable of batches, such as a DataLoader, is run batch by batch. Labels are left
        aside: those behind the inputs of a batch, and what a mapping holds as ``labels``, ``label``
        or ``y``. A `CompileWarning` tells of frames that exceed calibrated limits, if the engine
        counts them.
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

        ``inputs`` and errors are as for `run`; errors number frames from the ``first``.
        ``progress`` receives the number of frames that are done. The spikes that an engine does not
        count the fast engine counts: they are the same.
        """
        return self._runs.measure(inputs, engine, count, progress, first)

    def spikes(self, *inputs: Any, engine: str = "steps") -> dict[str, Array]:
        """Step of every neuron's spike from frame start, by population: ``frames x shape``.

        It is -1 for a neuron that is silent in the frame; of a burst it is the first step.
        ``inputs`` are as for `run`.
        """
        found = self.levels(*inputs, engine=engine)
        for node in spiking_nodes(self.graph):
            name, begin = node.result.name, start(self.graph, node.result)
            assert begin is not None
            found[name] = step_of(spikes_of(node.result), begin, found[name])
        return found

    def levels(self, *inputs: Any, engine: str = "fast") -> dict[str, Array]:
        """The level of every neuron by population, ``frames x shape``; 0 is the lowest.

        ``inputs`` are as for `run`.
        """
        return self._runs.levels(inputs, engine)

    @property
    def plot(self) -> Plots:
        """Pictures: ``graph()``, ``schedule()``, ``cores()``, ``raster(x)``, ``histograms(x)``."""
        names = [value.name for value in self.inputs]
        one_each = partial(arrays_of, names=names, unread=self.unread_inputs)
        return Plots(self.graph, self.report, self.levels, one_each)

    def engine(self, name: str) -> Engine:
        """The engine of this name, made on first use."""
        return self._runs.engine(name)

    def streams(self, engine: str) -> bool:
        """Whether an engine takes a whole data set at once. ProgramError for an unknown engine."""
        return self._runs.factory(engine).streams

    def save(self, directory: str | Path) -> None:
        """Write the program, whole or not at all; ProgramError if that fails."""
        save_program(directory, self.graph, self.backend, self.manifest, self.prologue)

    @staticmethod
    def load(
        directory: str | Path, find: Callable[[str], Backend | None] = BUILT_IN.get
    ) -> Program:
        """Read a program and verify it; ProgramError if it is broken.

        ``find`` looks targets up, by default the built-in ones: `qcompiler.load` knows those of
        plugins, too.
        """
        return Program(*load_program(directory, find))
