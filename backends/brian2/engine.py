"""Runs compiled networks on Brian2."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from qcompiler.backends.backend import Progress
from qcompiler.backends.decoded_spikes import outcome_of_spikes, recorded_names
from qcompiler.backends.host import Outcome
from qcompiler.backends.loihi.netlist.build_netlist import build_netlist
from qcompiler.backends.loihi.netlist.frames import SpikesAt, encoders_of, recorded_spikes
from qcompiler.backends.loihi.netlist.spike_io import NetworkError
from qcompiler.ir import Graph, ProgramError
from qcompiler.ir.kernels import Array

from .brian2_network import Brian2Network


class Brian2Engine:
    """An `Engine` on Brian2. Raises ProgramError if Brian2 is missing."""

    def __init__(self, graph: Graph) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                import brian2  # noqa: F401
        except ImportError as error:
            raise ProgramError(
                f"the engine brian2 needs Brian2: pip install 'qcompiler-snn[brian2]' ({error})"
            ) from error
        self.graph = graph
        self.netlist = build_netlist(graph)

    def __call__(
        self,
        *inputs: Array,
        record: bool = False,
        count: bool = True,
        progress: Progress | None = None,
    ) -> Outcome:
        """Run a batch, one frame after the other.

        Membranes are not observed, so saturation is not counted, nor is the activity. Raises
        ProgramError if a neuron does not spike in its window.
        """
        batch = {value.name: x for value, x in zip(self.graph.inputs, inputs, strict=True)}
        encoders = encoders_of(self.netlist, {}, batch)
        names = recorded_names(self.graph, record)
        populations = [group.name for group in self.netlist.populations if group.name in names]

        def stream(spikes_at: SpikesAt, steps: int) -> Iterator[dict[str, Array]]:
            return Brian2Network(self.netlist, {}, spikes_at, steps, populations).run()

        try:
            with _kept_settings():
                found = recorded_spikes(self.netlist, encoders, stream, populations, progress)
        except NetworkError as error:
            raise ProgramError(str(error)) from error
        found |= {name: encoders[name].steps for name in names if name in encoders}
        return outcome_of_spikes(self.graph, found, len(inputs[0]), record, "Brian2")


@contextmanager
def _kept_settings() -> Iterator[None]:
    """Whatever Brian2's user has set is kept, and what it uses of others may be deprecated."""
    from brian2 import defaultclock, prefs

    target, dt = prefs.codegen.target, defaultclock.dt
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        prefs.codegen.target, defaultclock.dt = target, dt
