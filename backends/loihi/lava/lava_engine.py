"""Runs compiled networks on Lava's simulation of Loihi and returns spike steps.

Lava 0.10.0 is imported only when an engine is created: it requires Python 3.10. The Lava processes
are those of `lava_network`, which the standalone module also contains.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Literal, TypeAlias, get_args

from qcompiler.backends.chip import Chip
from qcompiler.backends.energy.wiring import count_wiring
from qcompiler.backends.loihi.mapping.chip_limits import check_chip_limits
from qcompiler.backends.loihi.mapping.chips import LOIHI_2
from qcompiler.backends.loihi.netlist.build_netlist import build_netlist
from qcompiler.backends.loihi.netlist.frames import SpikesAt, recorded_spikes
from qcompiler.backends.loihi.netlist.netlist import Netlist
from qcompiler.backends.loihi.netlist.spike_io import InputEncoder, NetworkError
from qcompiler.ir import DataError, Graph, ProgramError
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.integer_network import calibrated

from .lava_network import Network
from .process_guards import InterruptGuard, quiet_logging
from .single_process_runner import SingleProcessRunner
from .supervised_runner import SupervisedRunner

Runtime: TypeAlias = Literal["auto", "processes", "single"]
_MULTI_PROCESS_SYNAPSES = (
    1 << 24
)  # synapses from which two CPU cores were measured to be faster than one
_TAGS = ("fixed_pt", "floating_pt")


def why_unavailable() -> str | None:
    """One sentence on why Lava cannot run here; None if it can."""
    method = multiprocessing.get_start_method(allow_none=True)
    if method not in (None, "fork"):
        return f"Lava starts processes with fork, this program uses {method}"
    reason = f"this is Python {sys.version_info[0]}.{sys.version_info[1]}"
    if sys.version_info < (3, 11):
        try:
            _import(method)
            return None
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
    return (
        "running on Lava needs Python 3.10 and the package lava-nc 0.10.0; compiling for Loihi "
        f"does not, and the engines fast and steps run without it ({reason})"
    )


def _import(method: str | None) -> None:
    if method and "lava.magma.runtime" not in sys.modules:
        multiprocessing.set_start_method(None, force=True)  # Lava sets fork, and only once
    with (
        InterruptGuard() as interrupts,
        interrupts.delayed(),
    ):  # an interrupt would make numpy raise an error
        import lava.proc.lif.process  # noqa: F401


def _faster_runtime(netlist: Netlist) -> Runtime:
    """The faster runtime: for small networks, messages cost more than a second core saves."""
    return "single" if count_wiring(netlist).synapses < _MULTI_PROCESS_SYNAPSES else "processes"


class LavaEngine:
    """Runs a compiled graph on Lava.

    ``tag`` selects Lava's models: ``fixed_pt`` computes as the chip does, ``floating_pt`` has no
    limits on weights and potentials. ``runtime`` is ``processes`` (Lava's runtime, one
    operating-system process per Lava process), ``single`` (this process only) or ``auto`` (the
    faster one). Raises ProgramError if Lava is missing or the network exceeds limits of the
    chip.
    """

    def __init__(
        self,
        graph: Graph,
        tag: str = "fixed_pt",
        runtime: Runtime = "auto",
        chip: Chip = LOIHI_2,
    ) -> None:
        if tag not in _TAGS:
            raise ProgramError(f"Lava's models are {' and '.join(_TAGS)}, not {tag}")
        if runtime not in get_args(Runtime):
            raise ProgramError(f"runtime is {', '.join(get_args(Runtime))}, not {runtime}")
        if reason := why_unavailable():
            raise ProgramError(reason)
        self.graph = graph
        self.tag = tag
        self.netlist = build_netlist(graph)
        self.runtime = _faster_runtime(self.netlist) if runtime == "auto" else runtime
        if tag == "fixed_pt" and (
            found := tuple(check_chip_limits(self.netlist, chip, calibrated(graph)))
        ):
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
            record: names of the inputs and populations to record; all if None. Recording fewer
                is faster.
            progress: called with the number of finished frames.

        Returns:
            For each name the steps of the spikes, ``frames x shape``, int64, counted from the
            frame's own start; -1 where a neuron did not spike.

        Raises:
            DataError: if the inputs do not fit.
            ProgramError: if a neuron spikes twice in a frame, or a Lava process fails.
        """
        encoders = self._encoders(inputs)
        codings = self.netlist.codings
        every = (name for name, coding in codings.items() if coding != "marker")
        wanted = set(every if record is None else record)
        populations = [g.name for g in self.netlist.populations if g.name in wanted]
        if missing := wanted - encoders.keys() - set(populations):
            raise ProgramError(f"the network has no %{', %'.join(sorted(missing))} to record")

        def stream(spikes_at: SpikesAt, steps: int) -> Iterator[Mapping[str, Array]]:
            return self._make_runner(populations).stream(spikes_at, steps)

        try:
            found = recorded_spikes(self.netlist, encoders, stream, populations, progress)
        except NetworkError as error:
            raise ProgramError(str(error)) from error
        return {name: e.steps for name, e in encoders.items() if name in wanted} | found

    def _encoders(self, inputs: tuple[Array, ...]) -> dict[str, InputEncoder]:
        values = self.graph.inputs
        if len(inputs) != len(values) or len({len(x) for x in inputs}) > 1:
            raise DataError(f"takes {len(values)} inputs with the same number of frames")
        for value, x in zip(values, inputs, strict=True):
            if x.shape[1:] != value.type.shape:
                raise DataError(f"%{value.name} takes {value.type.shape}, not {x.shape[1:]}")
        batch = {value.name: x for value, x in zip(values, inputs, strict=True)}
        interval = self.netlist.interval
        return {s.name: InputEncoder(s, batch[s.input], interval) for s in self.netlist.sources}

    def _make_runner(self, record: list[str]) -> SingleProcessRunner | SupervisedRunner:
        from lava.magma.core.run_configs import Loihi2SimCfg

        def make(source: Any, sink: Any) -> Network:
            return Network(self.netlist, {}, source, sink, record, self.tag == "fixed_pt")

        kind = SingleProcessRunner if self.runtime == "single" else SupervisedRunner
        with quiet_logging():
            return kind(make, Loihi2SimCfg(select_tag=self.tag))
