"""A spiking network as stock Lava processes.

    python network.py inputs.npy [-o spikes.npz]

runs it on frames of raw input, ``frames x shape``, and writes the step of every neuron's spike,
counted from its frame's first step. Of Python's packages this needs numpy and lava-nc 0.10.0.

`NETWORK` says what there is: plain numbers, and names of arrays in the .npz files beside this one.
`build` makes the processes, for Lava's simulation as well as for Loihi 2, where hardware adapters
take the place of the host's source and sinks.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

WEIGHT = 254  # largest weight of one synapse: 8 bits, of which mixed signs leave the even numbers
EXPONENT = 7  # of a synapse's coarse part
CLOCK = ""  # the sender of clock synapses; no population has this name
_AHEAD = 16  # steps of input that are on their way while the host waits for output
_BUFFER = 64  # room for more steps than that at both ends
ARRAYS = ("arrays.npz", "netlist.npz")


@dataclass(frozen=True)
class Source:
    """Input neurons, which the host drives: level q leaves at step ``start + t_max - 1 - q``.

    ``q = clip(floor(x / scale + zero + 1/2), 0, t_max - 1)``; x is the ONNX input ``input``.
    """

    name: str
    input: str
    shape: tuple[int, ...]
    t_max: int
    scale: float
    zero: int
    start: int


@dataclass(frozen=True)
class Population:
    """Neurons: ``u += input; v += u``, a spike where ``v > threshold``, then ``v = 0``.

    The current u stays from step to step, or, if not ``persistent``, is forgotten. Both are reset
    at step ``open`` of every frame, before that step's input. Spikes leave at steps ``read`` to
    ``close``. ``origin`` names the ONNX nodes that the neurons compute.
    """

    name: str
    shape: tuple[int, ...]
    persistent: bool
    threshold: int
    open: int
    read: int
    close: int
    origin: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def label(self) -> str:
        """The names of the ONNX nodes, or, if there are none, its own."""
        return " + ".join(self.origin) or self.name


@dataclass(frozen=True, eq=False)
class Synapses:
    """Synapses from one population to another; a spike arrives ``delay + 1`` steps later.

    Senders stand in an array, of shape ``senders``: in order, or as ``order`` numbers them.
    ``weights`` are integers; beyond 8 bits they take several synapses (see `split`).

        kernel   a convolution over the senders, ``O x C/groups x kernel``, as in ONNX
        matrix   ``receivers x senders``
        each     from every sender to its counterpart, spread over them
        clock    ``ticks x receivers``, spread over the receivers; ``ticks`` are steps of arrival
    """

    source: str
    target: str
    kind: Literal["kernel", "matrix", "each", "clock"]
    weights: Any
    senders: tuple[int, ...] = ()
    order: Any = None
    delay: int = 0
    strides: tuple[int, ...] = ()
    pads: tuple[int, ...] = ()
    dilations: tuple[int, ...] = ()
    groups: int = 1
    ticks: tuple[int, ...] = ()


@dataclass(frozen=True)
class Output:
    """A decoded population: level q stands for ``scale (q - zero)``."""

    population: str
    scale: float
    zero: int


@dataclass(frozen=True, eq=False)
class Netlist:
    """A spiking network. A frame enters every ``interval`` steps and stays ``latency`` steps."""

    sources: tuple[Source, ...] = ()
    populations: tuple[Population, ...] = ()
    synapses: tuple[Synapses, ...] = ()
    outputs: tuple[Output, ...] = ()
    interval: int = 1
    latency: int = 0

    @property
    def ticks(self) -> tuple[int, ...]:
        """The steps at which a clock's spikes arrive: one clock neuron each."""
        return tuple(sorted({tick for row in self.synapses for tick in row.ticks}))


NETWORK = Netlist()


def levels(source: Source, x: Any) -> Any:
    """Real numbers to levels, ``frames x shape``, as int64."""
    x = np.asarray(x).astype(np.float32)
    rounded = np.floor(x * np.float32(1 / source.scale) + np.float32(source.zero + 0.5))
    return np.clip(rounded, 0, source.t_max - 1).astype(np.int64)


class NetworkError(Exception):
    """The network does not do what it was compiled to do, or was given what does not fit."""


class Feed:
    """What a source sends when frames follow each other every ``interval`` steps.

    ``steps`` holds the steps of its spikes, ``frames x shape``, from each frame's start. The last
    frame is sent over and over: clocks tick on, and without the spikes that they count on, the
    first layers would disturb what is still under way behind them.
    """

    def __init__(self, source: Source, x: Any, interval: int) -> None:
        shape = np.shape(x)[1:]
        if [n for n in shape if n != 1] != [n for n in source.shape if n != 1]:
            raise NetworkError(f"{source.input} takes frames of {source.shape}, not {shape}")
        x = np.reshape(x, (len(x), *source.shape))
        if np.asarray(x).dtype.kind not in "uibf" or not np.isfinite(x).all():
            raise NetworkError(f"the data for {source.input} hold other than finite real numbers")
        self.start, self.interval = source.start, interval
        self.steps = source.start + source.t_max - 1 - levels(source, x)

    def at(self, now: int) -> Any:
        """Spikes that leave at a step of the run, one number 0.0 or 1.0 a neuron."""
        frame = (now - self.start) // self.interval
        if frame < 0:
            return np.zeros(self.steps[:1].size)
        sent = self.steps[min(frame, len(self.steps) - 1)]
        return (sent.ravel() == now - frame * self.interval).astype(float)

    def train(self, begin: int, end: int) -> Any:
        """Spikes that leave at steps of the run, ``neurons x steps``."""
        return np.stack([self.at(now) for now in range(begin, end)], axis=-1)


class Tap:
    """Collects the spikes of a population; ``steps`` is ``frames x shape``, -1 without a spike."""

    def __init__(self, group: Population, frames: int, interval: int) -> None:
        self.group, self.interval = group, interval
        self.steps = np.full((frames, *group.shape), -1, np.int64)

    def take(self, spikes: Any, now: int) -> None:
        """Note the spikes of one step; NetworkError if one of the neurons has spiked before."""
        frame = (now - self.group.open) // self.interval
        if not 0 <= frame < len(self.steps):
            return
        steps, fired = self.steps[frame].reshape(-1), np.flatnonzero(spikes)
        if np.any(steps[fired] >= 0):
            raise NetworkError(f"a neuron of {self.group.name} spikes twice in frame {frame}")
        steps[fired] = now - frame * self.interval


def pairs(row: Synapses, weights: Any, order: Any, receivers: tuple[int, ...]) -> Any:
    """Sending neuron, receiving neuron and weight of every synapse but clocks', as three arrays."""
    numbers = (
        np.arange(np.prod(row.senders, dtype=np.int64)) if order is None else np.asarray(order)
    )
    pre = numbers.reshape(row.senders)
    if row.kind == "matrix":
        post, column = np.nonzero(weights)
        return pre.ravel()[column], post, weights[post, column]
    post = np.arange(np.prod(receivers, dtype=np.int64)).reshape(receivers)
    if row.kind == "kernel":
        outs, ins, *kernel = weights.shape
        rank, ones = len(kernel), (1,) * len(kernel)
        pre = windows(row, pre, tuple(kernel))
        space = pre.shape[1 : 1 + rank]
        pre = pre.reshape(row.groups, 1, ins, *space, *kernel)
        post = post.reshape(row.groups, outs // row.groups, 1, *space, *ones)
        weights = weights.reshape(row.groups, outs // row.groups, ins, *ones, *kernel)
    pre, post, weights = np.broadcast_arrays(pre, post, weights)
    there = (pre >= 0) & (weights != 0)
    return pre[there], post[there], weights[there]


def windows(row: Synapses, senders: Any, kernel: tuple[int, ...]) -> Any:
    """What a kernel sees at every place, ``C x out x kernel``; -1 is padding."""
    rank = len(kernel)
    pads = tuple(zip(row.pads[:rank], row.pads[rank:], strict=True))
    padded = np.pad(senders, ((0, 0), *pads), constant_values=-1)
    spans = tuple((k - 1) * d + 1 for k, d in zip(kernel, row.dilations, strict=True))
    axes: Any = tuple(range(1, 1 + rank))
    steps = (slice(None, None, step) for step in (1, *row.strides, *row.dilations))
    return sliding_window_view(padded, spans, axis=axes)[tuple(steps)]


def split(weights: Any) -> list[tuple[Any, int]]:
    """Write integers as sums of 8-bit weights: arrays and their binary exponents.

    ``sum(part << exponent)`` is the array again; parts of even numbers are even and within +-254.
    Parts that are 0 everywhere are left out.
    """
    if not np.any(np.abs(weights) > WEIGHT):
        return [(weights, 0)] if weights.any() else []
    low = (weights + 128) % 256 - 128
    parts = [(low, 0)] if low.any() else []
    coarse = (weights - low) // 256
    while coarse.any():
        part = np.clip(coarse, -127, 127)
        parts.append((2 * part, EXPONENT))
        coarse = coarse - part
    return parts


Connect = Callable[[str, int], Any]  # from a population's name and size to a port


class Network:
    """The Lava processes of a netlist, connected; ``links`` are pairs of connected ports.

    ``source`` makes the port that sends an input's spikes, ``sink`` the one that takes a
    population's; it is asked for the populations named in ``record``. ``fixed`` chooses the
    numbers of the chip and of its bit-accurate simulation, else those of the floating-point one.
    """

    def __init__(
        self,
        netlist: Netlist,
        arrays: Mapping[str, Any],
        source: Connect,
        sink: Connect,
        record: Sequence[str],
        fixed: bool = True,
    ) -> None:
        self.netlist, self.arrays, self.fixed = netlist, arrays, fixed
        self.processes: list[Any] = []
        self.ends: dict[str, Any] = {}
        self.steps = 0
        self.links: list[tuple[Any, Any]] = []
        cells = {group.name: self._neurons(group) for group in netlist.populations}
        self.senders = {name: cell.s_out for name, cell in cells.items()}
        if netlist.ticks:
            self.senders[CLOCK] = self._clocks().s_out
        heard = {row.source for row in netlist.synapses}
        for row in netlist.sources:
            if row.name in heard:
                size = int(np.prod(row.shape, dtype=np.int64))
                self.senders[row.name] = source(row.name, size)
        for group in netlist.populations:
            for synapses in netlist.synapses:
                if synapses.target == group.name:
                    self._connect(synapses, group, cells[group.name].a_in)
        for name in record:
            self._link(self.senders[name], sink(name, self.senders[name].shape[0]))

    def _array(self, given: Any) -> Any:
        return self.arrays[given] if isinstance(given, str) else given

    def _link(self, sender: Any, receiver: Any) -> None:
        sender.connect(receiver)
        self.links.append((sender, receiver))

    def _neurons(self, group: Population) -> Any:
        from lava.proc.lif.process import LIFReset

        keep, forget = (-1, 4095) if self.fixed else (0, 1)  # the chip adds 1 to du
        interval = self.netlist.interval
        process = LIFReset(
            shape=(group.size,),
            name=group.label,
            du=keep if group.persistent else forget,
            dv=0,
            vth=group.threshold,
            reset_interval=interval,
            reset_offset=(group.open + 1) % interval,  # Lava counts steps from 1
        )
        self.processes.append(process)
        return process

    def _clocks(self) -> Any:
        """A neuron for each tick; its bias makes it spike once a frame, one step before."""
        from lava.proc.lif.process import LIF

        interval, unit = self.netlist.interval, 64 if self.fixed else 1
        start = unit * (interval - np.array(self.netlist.ticks, np.int64))
        process = LIF(
            shape=start.shape, name="clock", v=start, dv=0, bias_mant=unit, vth=interval - 1
        )
        self.processes.append(process)
        return process

    def _connect(self, row: Synapses, group: Population, receiver: Any) -> None:
        from lava.proc.dense.process import Dense
        from lava.proc.sparse.process import DelaySparse, Sparse

        sender = self.senders[row.source]
        labels = {one.name: one.label for one in self.netlist.populations}
        labels |= {one.name: one.input for one in self.netlist.sources}
        shape = (group.size, sender.shape[0])
        for index, (matrix, exponent) in enumerate(self._matrices(row, group, shape)):
            name = f"{labels.get(row.source, 'clock')} -> {group.label}"
            name += f" ({index})" if index else ""
            full = 2 * matrix.nnz > shape[0] * shape[1] and shape[0] * shape[1] <= 1 << 22
            options = {"name": name, "weight_exp": exponent}
            if row.delay:
                delays = matrix.copy()
                delays.data = np.full(matrix.nnz, row.delay)
                process = DelaySparse(weights=matrix, delays=delays, **options)
            elif full:
                process = Dense(weights=matrix.toarray(), **options)
            else:
                process = Sparse(weights=matrix, **options)
            self.processes.append(process)
            self._link(sender, process.s_in)
            self._link(process.a_out, receiver)

    def _matrices(
        self, row: Synapses, group: Population, shape: tuple[int, int]
    ) -> Iterator[tuple[Any, int]]:
        """Matrices ``receivers x senders``, each with the binary exponent of its weights."""
        from scipy.sparse import csr_matrix  # type: ignore[import, unused-ignore]

        weights = self._array(row.weights).astype(np.int32)
        if row.kind == "clock":
            dense = np.zeros(shape, np.int32)
            for tick, line in zip(row.ticks, weights, strict=True):
                column = self.netlist.ticks.index(tick)
                dense[:, column] = np.broadcast_to(line, group.shape).ravel()
            whole = csr_matrix(dense)
        else:
            pre, post, each = pairs(row, weights, self._array(row.order), group.shape)
            whole = csr_matrix((each, (post, pre)), shape)
        parts = split(whole.data) if self.fixed else [(whole.data.astype(float), 0)]
        for part, exponent in parts:
            matrix = csr_matrix((part, whole.indices, whole.indptr), shape, copy=True)
            matrix.eliminate_zeros()
            yield matrix, exponent


def read_arrays(folder: Path) -> dict[str, Any]:
    """The arrays of the .npz files in a folder, by name."""
    found: dict[str, Any] = {}
    for name in ARRAYS:
        with np.load(folder / name, allow_pickle=False) as arrays:
            found.update(arrays)
    return found


def build(
    inputs: Mapping[str, Any],
    run_config: Any = None,
    source: Callable[[str, Any], Any] | None = None,
    sink: Callable[[str, int, int], Any] | None = None,
) -> Network:
    """Make the processes for frames of raw input, ``frames x shape``, by ONNX input.

    ``network.processes[0].run(RunSteps(network.steps), run_config)`` runs them. ``source(name,
    spikes)`` returns the port that sends ``neurons x steps`` of spikes, ``sink(name, neurons,
    steps)`` the one that takes a population's; by default they are RingBuffers of Lava's, kept in
    ``network.ends``. On the chip they are where the extension's spike adapters go; a frame must
    enter at every interval until the run ends, as clocks count on it.
    """
    from lava.proc.io.sink import RingBuffer as Sink
    from lava.proc.io.source import RingBuffer as Sender

    feeds, steps = _feeds(inputs)
    ends: dict[str, Any] = {}

    def send(name: str, size: int) -> Any:
        spikes = feeds[name].train(0, steps)
        if source is not None:
            return source(name, spikes)
        ends[name] = Sender(data=spikes)
        return ends[name].s_out

    def take(name: str, size: int) -> Any:
        if sink is not None:
            return sink(name, size, steps)
        ends[name] = Sink(shape=(size,), buffer=steps)
        return ends[name].a_in

    network = _network(run_config, send, take)
    network.ends, network.steps = ends, steps
    return network


def _network(run_config: Any, source: Connect, sink: Connect) -> Network:
    fixed = getattr(run_config, "select_tag", None) != "floating_pt"
    names = [group.name for group in NETWORK.populations]
    return Network(NETWORK, read_arrays(Path(__file__).parent), source, sink, names, fixed)


def _feeds(inputs: Mapping[str, Any]) -> tuple[dict[str, Feed], int]:
    """What the sources send, and the number of steps until the last frame has left."""
    if missing := {row.input for row in NETWORK.sources} - inputs.keys():
        raise NetworkError(f"no data for the input {', '.join(sorted(missing))}")
    feeds = {row.name: Feed(row, inputs[row.input], NETWORK.interval) for row in NETWORK.sources}
    frames = {len(feed.steps) for feed in feeds.values()}
    if len(frames) != 1 or 0 in frames:
        raise NetworkError("every input needs the same number of frames, and at least one")
    return feeds, (frames.pop() - 1) * NETWORK.interval + NETWORK.latency


class Runner:
    """Runs a network in Lava's own runtime, spikes coming and going step by step.

    ``make`` builds the network from the ends' ports: see `Network`.
    """

    def __init__(self, make: Callable[[Connect, Connect], Network], run_config: Any) -> None:
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
        self, feeds: Mapping[str, Callable[[int], Any]], steps: int
    ) -> Iterator[dict[str, Any]]:
        """Run a number of steps; yields the spikes of each by recorded population."""
        with self.running(steps):
            for ahead in range(steps + _AHEAD):
                if ahead < steps:
                    for name, injector in self.inputs.items():
                        injector.send(feeds[name](ahead))
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


def run(inputs: Mapping[str, Any], run_config: Any) -> dict[str, Any]:
    """Run frames of raw input; the steps of all spikes by population, ``frames x shape``.

    Steps count from the frame's first; -1 stands for no spike.
    """
    feeds, steps = _feeds(inputs)
    frames = len(next(iter(inputs.values())))
    taps = {group.name: Tap(group, frames, NETWORK.interval) for group in NETWORK.populations}
    runner = Runner(lambda source, sink: _network(run_config, source, sink), run_config)
    sending = {name: feed.at for name, feed in feeds.items()}
    for now, spikes in enumerate(runner.stream(sending, steps)):
        for name, tap in taps.items():
            tap.take(spikes[name], now)
    return {name: tap.steps for name, tap in taps.items()}


def chosen_config(floating: bool = False) -> tuple[Any, str]:
    """A run configuration for what is here, and a sentence that says what that is."""
    from lava.magma.core.run_configs import Loihi2HwCfg, Loihi2SimCfg
    from lava.utils import loihi

    tag = "floating_pt" if floating else "fixed_pt"
    if not loihi.is_installed():
        where = "Lava's extension for Loihi is not installed"
    elif loihi.host is None:
        where = (
            "Lava's extension for Loihi is installed but knows no chip: call use_slurm_host or "
            "use_ethernet_host of lava.utils.loihi first"
        )
    elif not floating:
        return Loihi2HwCfg(), f"running on Loihi 2 ({loihi.host})"
    else:
        where = "the chip computes in fixed point"
    return Loihi2SimCfg(select_tag=tag), f"{where}; simulating on the CPU, {tag}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the network on a file; the exit status."""
    parser = argparse.ArgumentParser(description="Run the compiled network on Lava.")
    parser.add_argument(
        "inputs", type=Path, help=".npy with frames, or .npz with one array an input"
    )
    parser.add_argument("-o", "--output", type=Path, help=".npz for the steps of all spikes")
    parser.add_argument("--floating", action="store_true", help="Lava's floating-point models")
    parser.add_argument("--limit", type=int, help="run the first frames only")
    given = parser.parse_args(arguments)
    if given.limit is not None and given.limit < 1:
        parser.error("--limit must be at least 1")
    try:
        if given.output and given.output.exists() and given.output.samefile(given.inputs):
            raise NetworkError(f"{given.output} holds the inputs: choose another -o")
        inputs = {name: x[: given.limit] for name, x in _read(given.inputs).items()}
        config, where = chosen_config(given.floating)
        print(where, file=sys.stderr)
        found = run(inputs, config)
        if given.output:
            save_arrays(given.output, found)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 1
    except ImportError as error:
        print(f"error: {error}; this needs Python 3.10, numpy and lava-nc 0.10.0", file=sys.stderr)
        return 1
    except (NetworkError, OSError, ValueError, EOFError, LookupError, BadZipFile) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for output in NETWORK.outputs:
        _tell(output, found[output.population])
    return 0


def save_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write an .npz file; unlike `numpy.savez`, whatever the arrays are called."""
    with ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                write: Any = np.lib.format.write_array
                write(file, np.asarray(array), allow_pickle=False)


def _read(path: Path) -> dict[str, Any]:
    """Frames by input from a file; one input may be called images, x, inputs or come first."""
    names = list(dict.fromkeys(row.input for row in NETWORK.sources))
    found = np.load(path, allow_pickle=False)
    if isinstance(found, np.ndarray):
        if not found.ndim:
            raise NetworkError(f"{path} holds a single number")
        return {names[0]: found}
    with found:
        if set(names) <= set(found.files):
            return {name: found[name] for name in names}
        usual = [name for name in ("images", "x", "inputs", *found.files) if name in found.files]
        if len(names) > 1 or not usual:
            raise NetworkError(f"{path} holds no arrays called {', '.join(names)}")
        return {names[0]: found[usual[0]]}


def _tell(output: Output, steps: Any) -> None:
    group = next(row for row in NETWORK.populations if row.name == output.population)
    values = output.scale * (group.close - steps - output.zero)
    for frame, (value, step) in enumerate(zip(values, steps, strict=True)):
        best = int(np.argmax(value))
        print(f"frame {frame}: {output.population}[{best}] = {value.flat[best]:.6g}", end=" ")
        print(f"is largest, its spike left at step {step.flat[best]}")


if __name__ == "__main__":
    sys.exit(main())
