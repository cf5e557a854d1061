"""Clients of Dask clusters: connecting to one, and waiting for what its workers find."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from qcompiler.arguments import integer
from qcompiler.ir import PipelineError, ProgramError

if TYPE_CHECKING:
    from distributed import Client, Future

_PATIENCE = 60.0  # seconds without any worker
_CONNECTING = 10  # seconds to wait for a scheduler
_MISSING = "running on a cluster needs Dask: pip install 'qcompiler-snn[dask]'"


@contextmanager
def connected(workers: int | None, address: str | None) -> Iterator[Client]:
    """A client of the scheduler at an address, or of so many processes on this machine.

    Whoever answers at the address can run code here, and clients can run code there: Dask sends
    pickles. Raises ProgramError if Dask is missing, nobody answers, or there are no workers, and
    PipelineError for another number of these.
    """
    if workers is not None and integer(workers, "workers") < 1:
        raise PipelineError(f"workers must be at least 1, not {workers}")
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ProgramError(_MISSING) from error
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    quiet = {
        "distributed.worker.daemon": False,  # engines may start processes
        "distributed.admin.large-graph-warning-threshold": "1TB",
        "distributed.nanny.pre-spawn-environ": _environment(),
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


def _environment() -> dict[str, Any]:
    """Variables of workers: one thread each, and memory that stays for the next arrays.

    Dask's own setting gives memory back at once: each array of a simulation is then mapped anew, a
    page at a time, which takes 1.7 times the time in all.
    """
    import dask

    given = dask.config.get("distributed.nanny.pre-spawn-environ")
    return {**given, "MALLOC_TRIM_THRESHOLD_": 1 << 28, "MALLOC_MMAP_THRESHOLD_": 1 << 25}


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
