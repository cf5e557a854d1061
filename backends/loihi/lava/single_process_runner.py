"""Lava's stock process models in one operating-system process.

Lava's own runtime starts one operating-system process per Lava process and spends most of its time
on messages between them. Here the same unmodified models, chosen by the same run configuration,
get in-memory ports and are called in turn. A connection sends what it computed one step before.
Running all neurons first and then all connections, whose results enter the next step, is therefore
exact. Connections that no spike reaches add nothing and are skipped. Delay matrices, which Lava
computes from constants at every step, are computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any

import numpy as np

from .lava_network import Network


class _Port:
    """In-memory port of a process model; an input port knows the last port that sends to it."""

    def __init__(self, size: int) -> None:
        self.value: Any = np.zeros(size, np.int32)
        self.sender: _Port | None = None

    def recv(self) -> Any:
        return self.value

    def send(self, value: Any) -> None:
        self.value = value


class _CachedDelayWeights:
    """Caches the weights by delay, which Lava computes from constants at every step."""

    def __init__(self, compute: Callable[[Any, Any, int], Any]) -> None:
        self.compute = compute
        self.weights: Any = None
        self.found: Any = None

    def __call__(self, weights: Any, delays: Any, longest: int) -> Any:
        if weights is not self.weights:  # the model replaces them at its first step
            self.weights, self.found = weights, self.compute(weights, delays, longest)
        return self.found


class SingleProcessRunner:
    """Runs a network that ``make`` builds from factories of input and output ports."""

    def __init__(
        self, make: Callable[[Callable[..., Any], Callable[..., Any]], Network], config: Any
    ) -> None:
        from lava.proc.io.sink import RingBuffer as Sink
        from lava.proc.io.source import RingBuffer as Source

        ends: list[Any] = []  # never run: this class sends and receives in their place
        self.inputs: dict[str, _Port] = {}
        self.outputs: dict[str, _Port] = {}
        ports: dict[int, _Port] = {}

        def end(process: Any, port: Any, made: dict[str, _Port], name: str) -> Any:
            ends.append(process)
            made[name] = ports[id(port)] = _Port(port.shape[0])
            return port

        def source(name: str, size: int) -> Any:
            process = Source(data=np.zeros((size, 1)))
            return end(process, process.s_out, self.inputs, name)

        def sink(name: str, size: int) -> Any:
            process = Sink(shape=(size,), buffer=1)
            return end(process, process.a_in, self.outputs, name)

        network = make(source, sink)
        models = [
            (process, _process_model(process, config, ports)) for process in network.processes
        ]
        unregister([*network.processes, *ends])
        for sender, receiver in network.connections:  # several neurons' inputs, but one sender each
            ports[id(receiver)].sender = ports[id(sender)]
        self.neurons = [model for process, model in models if hasattr(process, "s_out")]
        self.connections = [model for process, model in models if hasattr(process, "s_in")]
        targets = {id(sender): ports[id(receiver)] for sender, receiver in network.connections}
        self.targets = [targets[id(p.a_out)] for p, _ in models if hasattr(p, "s_in")]
        self.presynaptic = [_presynaptic(model.weights) for model in self.connections]

    def stream(
        self, spikes_at: Mapping[str, Callable[[int], Any]], steps: int
    ) -> Iterator[dict[str, Any]]:
        """Run a number of steps; yields the spikes of each step by recorded population."""
        for now in range(steps):
            for name, port in self.inputs.items():
                port.value = spikes_at[name](now)
            for model in self.neurons:
                model.time_step = now + 1
                model.run_spk()
                model.a_in.value = 0 * model.a_in.value
            for each in zip(self.connections, self.targets, self.presynaptic, strict=True):
                _propagate(*each)
            yield {name: port.sender.value for name, port in self.outputs.items() if port.sender}


def _presynaptic(weights: Any) -> Any:
    """An index of the presynaptic neurons that have synapses in a matrix."""
    senders = np.unique(weights.nonzero()[1])
    return slice(None) if len(senders) == weights.shape[1] else senders


def _propagate(model: Any, target: _Port, presynaptic: Any) -> None:
    delayed = model.a_buff.ndim > 1
    spikes = model.s_in.sender.value
    if spikes[presynaptic].any() or (delayed and model.a_buff.any()):
        model.s_in.value = spikes
        model.run_spk()
        target.value = target.value + (model.a_buff[:, 0] if delayed else model.a_buff)


def _process_model(process: Any, config: Any, ports: dict[int, _Port]) -> Any:
    """The process model that Lava would run, with initialized variables and in-memory ports."""
    from lava.magma.compiler.builders.py_builder import PyProcessBuilder
    from lava.magma.compiler.utils import VarInitializer

    kind = type(process)
    module = import_module(kind.__module__.rpartition(".")[0] + ".models")
    found = [m for m in vars(module).values() if getattr(m, "implements_process", None) is kind]
    builder = PyProcessBuilder(config.select(process, found), 0, process.proc_params)
    builder.set_variables([VarInitializer(v.name, v.shape, v.init, v.id) for v in process.vars])
    model = builder.build()
    for port in (*process.in_ports, *process.out_ports):
        ports[id(port)] = _Port(port.shape[0])
        setattr(model, port.name, ports[id(port)])
    if hasattr(model, "get_delay_wgts_mat"):
        model.get_delay_wgts_mat = _CachedDelayWeights(model.get_delay_wgts_mat)
    return model


def unregister(processes: list[Any]) -> None:
    """Remove processes from Lava's global registry, which would keep their weights alive."""
    from lava.magma.core.process.process import ProcessServer

    server, gone = ProcessServer(), {id(process) for process in processes}
    server.processes = [process for process in server.processes if id(process) not in gone]
