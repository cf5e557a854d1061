"""Lava's runtime with error handling for interrupts and failed processes."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from qcompiler.ir import ProgramError
from qcompiler.ir.kernels import Array

from .multi_process_runner import MultiProcessRunner, kill
from .process_guards import InterruptGuard, quiet_logging
from .single_process_runner import unregister

_POLL = 0.001  # seconds between polls of a network that has not answered yet


class SupervisedRunner(MultiProcessRunner):
    """A runner that always stops its processes. Raises ProgramError if one of them fails."""

    @contextmanager
    def running(self, steps: int) -> Iterator[None]:
        """Start all processes for a number of steps; stop them in any case."""
        from lava.magma.core.run_conditions import RunSteps

        first = self.processes[0]
        with InterruptGuard() as interrupts:
            try:
                with interrupts.delayed(), quiet_logging(), _frozen_garbage():
                    first.create_runtime(self.run_config)
                if any(process.runtime is not first.runtime for process in self.processes):
                    raise ProgramError(
                        "Lava runs only connected networks, and this one has unconnected parts"
                    )
                first.run(RunSteps(num_steps=steps, blocking=False))
                yield
                first.wait()
            finally:
                # All spikes are received. Lava's own stop waits for every process to end by itself,
                # and occasionally one does not.
                with interrupts.delayed():
                    kill(first.runtime)
                unregister(self.processes)

    def received(self, extractor: Any) -> Array:
        """Spikes of a population's next step; ProgramError if a Lava process has ended."""
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
def _frozen_garbage() -> Iterator[None]:
    """Keep forked processes from destroying objects that only this process can destroy.

    The destructor of an onnxruntime session joins threads, which a fork does not copy.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
