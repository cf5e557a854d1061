"""Runs networks in Lava's own runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .lava_network import Network, PortFactory

_AHEAD = 16  # input steps sent ahead of the output step that the host receives
_BUFFER = 64  # capacity of the ports in steps, larger than _AHEAD


class MultiProcessRunner:
    """Runs a network in Lava's runtime; spikes enter and leave step by step.

    ``make`` builds the network from the factories of input and output ports: see `Network`.
    """

    def __init__(
        self, make: Callable[[PortFactory, PortFactory], Network], run_config: Any
    ) -> None:
        from lava.proc.io.extractor import Extractor, PyLoihiExtractorModel
        from lava.proc.io.injector import Injector, PyLoihiInjectorModel

        models = {Injector: PyLoihiInjectorModel, Extractor: PyLoihiExtractorModel}
        run_config.exception_proc_model_map = models
        self.run_config = run_config
        self.inputs: dict[str, Any] = {}
        self.outputs: dict[str, Any] = {}

        def source(name: str, size: int) -> Any:
            self.inputs[name] = Injector((size,), _BUFFER)
            return self.inputs[name].out_port

        def sink(name: str, size: int) -> Any:
            self.outputs[name] = Extractor((size,), _BUFFER)
            return self.outputs[name].in_port

        network = make(source, sink)
        self.processes = [*network.processes, *self.inputs.values(), *self.outputs.values()]

    def stream(
        self, spikes_at: Mapping[str, Callable[[int], Any]], steps: int
    ) -> Iterator[dict[str, Any]]:
        """Run a number of steps; yields the spikes of each by recorded population."""
        with self.running(steps):
            for ahead in range(steps + _AHEAD):
                if ahead < steps:
                    for name, injector in self.inputs.items():
                        injector.send(spikes_at[name](ahead))
                if ahead >= _AHEAD:
                    yield {name: self.received(end) for name, end in self.outputs.items()}

    @contextmanager
    def running(self, steps: int) -> Iterator[None]:
        """Run all processes for a number of steps, and stop them."""
        from lava.magma.core.run_conditions import RunSteps

        first = self.processes[0]
        first.create_runtime(self.run_config)
        try:
            first.run(RunSteps(num_steps=steps, blocking=False))
            yield
            first.wait()
        finally:
            kill(first.runtime)

    def received(self, extractor: Any) -> Any:
        """Spikes of a population's next step."""
        return extractor.receive()


def kill(runtime: Any) -> None:
    """End a runtime whose processes may no longer answer."""
    if runtime is None or runtime._messaging_infrastructure is None:
        return
    for actor in runtime._messaging_infrastructure.actors:
        if not actor._is_done:
            actor.terminate()
    runtime._is_started = runtime._is_running = False
    runtime.join()
    runtime.stop()
