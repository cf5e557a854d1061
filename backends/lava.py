"""Compiled networks as stock Lava processes, on Lava's simulation of Loihi.

Lava 0.10.0 is imported only when an engine is made: it runs on Python 3.10 alone. Every process
is an operating-system process; spikes come in and go out step by step through an Injector and
Extractors, so that memory does not grow with the number of frames.
"""

from __future__ import annotations

import gc
import multiprocessing
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from qcompiler.ir import DataError, Graph, ProgramError
from qcompiler.ir.kernels import Array

from .clocks import CLOCK, Clocks
from .limits import findings, split
from .netlist import Group, Netlist, build
from .runtime import Interrupts, kill, quiet
from .stream import Feed, Tap
from .wiring import Wires

_TAGS = ("fixed_pt", "floating_pt")
_AHEAD = 16  # steps of input that are on their way
_BUFFER = 64  # room for more steps than that at both ends
_POLL = 0.001  # seconds between looks at a network that has not answered yet
_DENSE = 1 << 22  # entries up to which a matrix that is mostly full is stored whole


def available() -> str | None:
    """None if Lava can be imported, else one sentence that says what it needs."""
    method = multiprocessing.get_start_method(allow_none=True)
    if method not in (None, "fork"):
        return f"Lava starts processes by fork, this program by {method}"
    reason = f"this is Python {sys.version_info[0]}.{sys.version_info[1]}"
    if sys.version_info < (3, 11):
        try:
            _import(method)
            return None
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
    return (
        "running on Lava needs Python 3.10 and qcompiler[loihi], compiling for Loihi does not "
        f"({reason})"
    )


def _import(method: str | None) -> None:
    if method and "lava.magma.runtime" not in sys.modules:
        multiprocessing.set_start_method(None, force=True)  # Lava sets fork, and only once
    with Interrupts() as interrupts, interrupts.delayed():  # numpy would turn one into an error
        import lava.proc.lif.process  # noqa: F401


class LavaEngine:
    """Runs a compiled graph on Lava.

    ``tag`` selects Lava's models: ``fixed_pt`` computes as the chip does, ``floating_pt`` has no
    limits on weights and potentials. Raises ProgramError if Lava is missing or the network does
    not fit.
    """

    def __init__(self, graph: Graph, tag: str = "fixed_pt") -> None:
        if tag not in _TAGS:
            raise ProgramError(f"Lava's models are {' and '.join(_TAGS)}, not {tag}")
        if reason := available():
            raise ProgramError(reason)
        self.graph = graph
        self.tag = tag
        self.netlist = build(graph)
        if tag == "fixed_pt" and (found := tuple(findings(self.netlist))):
            raise ProgramError(*found)

    def spikes(
        self,
        *inputs: Array,
        record: Collection[str] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> dict[str, Array]:
        """Run a batch, one frame every ``netlist.interval`` steps.

        Args:
            inputs: one array of real numbers for each graph input, ``frames x shape``.
            record: names of the sources and populations to observe; all, if None. The network
                runs faster with less.
            progress: called with the number of frames that are done.

        Returns:
            For each name the steps of the spikes, ``frames x shape``, int64, counted from the
            frame's own start; -1 where a neuron did not spike.

        Raises:
            DataError: if the inputs do not fit.
            ProgramError: if a neuron spikes twice in a frame, or a Lava process fails.
        """
        feeds, frames = self._feeds(inputs), len(inputs[0])
        interval, groups = self.netlist.interval, self.netlist.groups
        wanted = {*feeds, *(g.name for g in groups)} if record is None else set(record)
        taps = {g.name: Tap(g, frames, interval) for g in groups if g.name in wanted}
        if frames and taps:
            self._run(feeds, taps, frames, progress)
        found = {name: end.steps for name, end in (feeds | taps).items() if name in wanted}
        if missing := wanted - found.keys():
            raise ProgramError(f"the network has no %{', %'.join(sorted(missing))} to record")
        return found

    def _feeds(self, inputs: tuple[Array, ...]) -> dict[str, Any]:
        values = self.graph.inputs
        if len(inputs) != len(values) or len({len(x) for x in inputs}) > 1:
            raise DataError(f"takes {len(values)} inputs with the same number of frames")
        for value, x in zip(values, inputs, strict=True):
            if x.shape[1:] != value.type.shape:
                raise DataError(f"%{value.name} takes {value.type.shape}, not {x.shape[1:]}")
        batch = {value.name: x for value, x in zip(values, inputs, strict=True)}
        interval = self.netlist.interval
        return {s.name: Feed(s, batch[s.input], interval) for s in self.netlist.sources}

    def _run(
        self,
        feeds: dict[str, Feed],
        taps: dict[str, Tap],
        frames: int,
        progress: Callable[[int], None] | None,
    ) -> None:
        interval, latency = self.netlist.interval, self.netlist.latency
        steps = (frames - 1) * interval + latency
        with _Network(self.netlist, self.tag, taps).running(steps) as network:
            for ahead in range(steps + _AHEAD):
                if ahead < steps:
                    network.send({name: feed.at(ahead) for name, feed in feeds.items()})
                if (now := ahead - _AHEAD) < 0:
                    continue
                for name, tap in taps.items():
                    tap.take(network.receive(name), now)
                done, left = divmod(now + 1 - latency, interval)
                if progress and done >= 0 and not left:
                    progress(done + 1)


class _Network:
    """The Lava processes of a netlist."""

    def __init__(self, netlist: Netlist, tag: str, taps: Collection[str]) -> None:
        from lava.proc.io.extractor import Extractor
        from lava.proc.io.injector import Injector

        self.netlist, self.fixed, self.tag = netlist, tag == "fixed_pt", tag
        self.made: list[Any] = []
        self.inputs: dict[str, Any] = {}
        self.outputs: dict[str, Any] = {}
        with quiet():
            self.clocks = Clocks(netlist, self.fixed)
            cells = {group.name: self._cells(group) for group in netlist.groups}
            senders = {name: cell.s_out for name, cell in cells.items()}
            if len(self.clocks.arrivals):
                senders[CLOCK] = self._clock().s_out
            for source in netlist.sources:
                if any(wire.source == source.name for wire in netlist.wires):
                    shape = (int(np.prod(source.shape)),)
                    self.inputs[source.name] = self._made(Injector, shape, _BUFFER)
                    senders[source.name] = self.inputs[source.name].out_port
            for group in netlist.groups:
                for wire in self.clocks.synapses_into(group):
                    self._synapses(senders[wire.source], wire, cells[group.name].a_in)
            for name in taps:
                self.outputs[name] = self._made(Extractor, senders[name].shape, _BUFFER)
                senders[name].connect(self.outputs[name].in_port)

    def _made(self, kind: Any, *args: Any, **options: Any) -> Any:
        self.made.append(kind(*args, **options))
        return self.made[-1]

    def _clock(self) -> Any:
        """Neurons whose bias makes them tick.

        Their first spike leaves one step before it must arrive, the next ones every ``interval``
        steps.
        """
        from lava.proc.lif.process import LIF

        interval, unit = self.netlist.interval, 64 if self.fixed else 1
        start = unit * (interval - self.clocks.arrivals)
        return self._made(LIF, shape=start.shape, v=start, dv=0, bias_mant=unit, vth=interval - 1)

    def _cells(self, group: Group) -> Any:
        from lava.proc.lif.process import LIFReset

        keep, forget = (-1, 4095) if self.fixed else (0, 1)  # fixed_pt adds 1 to du
        interval = self.netlist.interval
        return self._made(
            LIFReset,
            shape=(group.size,),
            du=keep if group.kind == "integrate" else forget,
            dv=0,
            vth=group.threshold,
            reset_interval=interval,
            reset_offset=(group.open + 1) % interval,  # Lava counts steps from 1
        )

    def _synapses(self, sender: Any, wire: Wires, receiver: Any) -> None:
        from lava.proc.dense.process import Dense
        from lava.proc.sparse.process import Sparse
        from scipy.sparse import csr_matrix  # type: ignore[import, unused-ignore]

        shape = (receiver.shape[0], sender.shape[0])
        whole = csr_matrix((wire.weight.astype(np.int32), (wire.post, wire.pre)), shape)
        parts = split(whole.data) if self.fixed else [(whole.data.astype(float), 0)]
        for weight, exponent in parts:
            matrix = csr_matrix((weight, whole.indices, whole.indptr), shape, copy=True)
            matrix.eliminate_zeros()
            dense = 2 * matrix.nnz > matrix.shape[0] * matrix.shape[1] <= _DENSE
            synapses = self._made(
                Dense if dense else Sparse,
                weights=matrix.toarray() if dense else matrix,
                weight_exp=exponent,
            )
            sender.connect(synapses.s_in)
            synapses.a_out.connect(receiver)

    def send(self, spikes: dict[str, Array]) -> None:
        """Hand over one step's input spikes."""
        for name, injector in self.inputs.items():
            injector.send(spikes[name])

    def receive(self, name: str) -> Array:
        """Next step's spikes of a population; ProgramError if a Lava process has ended."""
        extractor = self.outputs[name]
        port = extractor.out_port.external_pipe_csp_recv_port
        while not port.probe():
            time.sleep(_POLL)
            for actor in extractor.runtime._messaging_infrastructure.actors:
                if not actor.is_alive() and not port.probe():
                    error = actor.exception or ("it was killed",)
                    raise ProgramError(f"a Lava process has ended: {error[0]}")
        spikes: Array = extractor.receive()
        return spikes

    @contextmanager
    def running(self, steps: int) -> Iterator[_Network]:
        """Start all processes for a number of steps; stop them in any case."""
        from lava.magma.core.run_conditions import RunSteps

        first = self.made[0]
        with Interrupts() as interrupts:
            try:
                with interrupts.delayed(), quiet(), _untouched():
                    first.create_runtime(self._config())
                if any(process.runtime is not first.runtime for process in self.made):
                    raise ProgramError(
                        "Lava runs one connected network, and this one has parts that nothing links"
                    )
                first.run(RunSteps(num_steps=steps, blocking=False))
                yield self
                first.wait()
                with interrupts.delayed():
                    first.stop()
            except BaseException:
                with interrupts.delayed():
                    kill(first.runtime)
                raise
            finally:
                _forget(self.made)

    def _config(self) -> Any:
        from lava.magma.core.run_configs import Loihi1SimCfg
        from lava.proc.io.extractor import Extractor, PyLoihiExtractorModel
        from lava.proc.io.injector import Injector, PyLoihiInjectorModel

        ends = {Injector: PyLoihiInjectorModel, Extractor: PyLoihiExtractorModel}
        return Loihi1SimCfg(select_tag=self.tag, exception_proc_model_map=ends)


def _forget(processes: list[Any]) -> None:
    """Drop processes from Lava's register, which would keep their weights forever."""
    from lava.magma.core.process.process import ProcessServer

    server, gone = ProcessServer(), {id(process) for process in processes}
    server.processes = [process for process in server.processes if id(process) not in gone]


@contextmanager
def _untouched() -> Iterator[None]:
    """Keep forked processes from collecting what only this one can destroy.

    A session of onnxruntime waits, when it is destroyed, for threads that a fork has not copied.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
