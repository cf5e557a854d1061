"""Running a data set on the workers of a Dask cluster, on this machine or on others.

A partition is what the single process runs as a batch, so that outputs are the same to the bit, and
counters are whole numbers. Dask runs the partitions of a worker that dies on the others.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from qcompiler.backends.host import Counters, frames_per_batch
from qcompiler.backends.program import Measured, Program
from qcompiler.backends.reference.fast_engine import FastEngine

from . import registry
from .ir import DataError, ProgramError
from .ir.kernels import Array
from .rebuild import versions

if TYPE_CHECKING:
    from distributed import Client, Future

_AHEAD = 3  # partitions that wait for each thread of a worker: the others are not yet read
_PATIENCE = 60.0  # seconds without any worker
_CONNECTING = 10  # seconds to wait for a scheduler
_MISSING = "running on a cluster needs Dask: pip install 'qcompiler-snn[dask]'"


def partitions(inputs: Sequence[Array], program: Program) -> Iterator[tuple[Array, ...]]:
    """The inputs, one array each, in the batches that a single process would run."""
    step = frames_per_batch(program.graph)
    for begin in range(0, len(inputs[0]), step):
        yield tuple(array[begin : begin + step] for array in inputs)


def measure(
    program: Program,
    parts: Iterable[tuple[Array, ...]],
    client: Client,
    engine: str = "fast",
    progress: Callable[[int], None] | None = None,
) -> Measured:
    """`Program.measure` of `partitions` on the workers of a client, in a bounded part of memory.

    Workers need this version of qcompiler, and the target's plugin if it has one. ``progress``
    receives the number of finished frames. Raises what `Program.measure` raises, DataError without
    frames, and ProgramError if workers differ, are lost for good, or die of the same partition.
    """
    content = pickle.dumps((program.graph, program.backend.name, program.manifest))
    held = client.submit(bytes, content, pure=False)  # the scheduler can make it again
    waiting, place = enumerate(parts), dict[Any, int]()
    found = dict[int, Measured]()
    done = 0
    while True:
        room = max(1, _AHEAD * sum(client.nthreads().values())) - len(place)
        for index, part in islice(waiting, max(0, room)):
            place[_submitted(client, held, part, engine)] = index
        if not place:
            return _joined([found[index] for index in sorted(found)])
        for future in finished(client, place):
            measured: Measured = result(future)
            found[place.pop(future)] = measured
            done += measured.counters.frames
            if progress:
                progress(done)


def finished(client: Client, waiting: Iterable[Future]) -> list[Future]:
    """Wait until any of these are done; ProgramError if there are no workers for long."""
    from distributed import wait

    tasks, alone = list(waiting), time.monotonic()
    while True:
        if client.nthreads():
            alone = time.monotonic()
        if time.monotonic() - alone > _PATIENCE:
            raise ProgramError(f"the cluster has had no worker for {_PATIENCE:.0f} seconds")
        try:
            with client.as_current():
                return list(wait(tasks, timeout=1, return_when="FIRST_COMPLETED").done)
        except asyncio.TimeoutError:  # TimeoutError itself from Python 3.11 on
            continue


def result(future: Future) -> Any:
    """What a worker has found, or the error that it has met; ProgramError if workers die of it."""
    from distributed.scheduler import KilledWorker

    try:
        return future.result()
    except KilledWorker as error:
        message = "several workers died while they ran the same samples: they may need more memory"
        raise ProgramError(message) from error


@cache
def own_version() -> str:
    """The version of qcompiler in this process."""
    return versions()["qcompiler-snn"]


def check_version(version: str) -> None:
    """ProgramError on a worker of another version than this."""
    if version != own_version():
        raise ProgramError(f"a worker has qcompiler {own_version()}, not {version}")


def _submitted(client: Client, held: Future, part: tuple[Array, ...], engine: str) -> Future:
    return client.submit(_run, held, own_version(), engine, *map(np.asarray, part), pure=False)


def _run(content: bytes, version: str, engine: str, *part: Array) -> Measured:
    """What a worker does with a partition."""
    check_version(version)
    return _program(content).measure(*part, engine=engine)


@lru_cache(1)
def _program(content: bytes) -> Program:
    graph, target, manifest = pickle.loads(content)
    backend = registry.backend_of_worker(target)
    # Dask runs as many partitions at once as a worker has threads, so each takes one.
    return Program(graph, backend, manifest, {"fast": FastEngine(graph, threads=1)})


def _joined(parts: Sequence[Measured]) -> Measured:
    if not parts:
        raise DataError("the data are empty")
    counters = Counters()
    for part in parts:
        counters.add(part.counters)
    names = parts[0].outputs
    outputs = {name: np.concatenate([part.outputs[name] for part in parts]) for name in names}
    return Measured(outputs, counters)


@contextmanager
def connected(workers: int | None, address: str | None) -> Iterator[Client]:
    """A client of the scheduler at an address, or of so many processes on this machine.

    Whoever answers at the address can run code here, and clients can run code there: Dask sends
    pickles. Raises ProgramError if Dask is missing, nobody answers, or there are no workers.
    """
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ProgramError(_MISSING) from error
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    quiet = {
        "distributed.worker.daemon": False,  # engines may start processes
        "distributed.admin.large-graph-warning-threshold": "1TB",
    }
    with dask.config.set(quiet):
        if address is None:
            with _without_interrupts():
                cluster = LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    dashboard_address=None,
                    silence_logs=logging.CRITICAL,
                )
            with cluster, Client(cluster, set_as_default=False) as client:
                yield client
            return
        asyncio.run(_reach(address))  # a client that reaches nobody hangs when it is closed
        with Client(address, timeout=_CONNECTING, set_as_default=False) as client:
            if not client.nthreads():
                raise ProgramError(f"the Dask scheduler at {address} has no workers")
            yield client


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Processes that start meanwhile ignore interrupts for good: this one tells them to end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


async def _reach(address: str) -> None:
    from distributed import Security
    from distributed.comm import connect

    try:
        secured = Security().get_connection_args("client")
        await (await connect(address, timeout=_CONNECTING, **secured)).close()
    except (OSError, ValueError, TypeError, RuntimeError, asyncio.TimeoutError) as error:
        raise ProgramError(f"no Dask scheduler answers at {address}") from error
