"""Running a data set on the workers of a Dask cluster, on this machine or on others.

A partition is what the single process runs as a batch, so that outputs are the same to the bit, and
counters are whole numbers. Dask runs the partitions of a worker that dies on the others.
"""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from qcompiler import registry
from qcompiler.arguments import dask_client
from qcompiler.backends.host import Counters, Measured, frames_per_batch
from qcompiler.backends.program.input_batches import input_batches
from qcompiler.backends.program.program import Program
from qcompiler.backends.reference.fast.fast_engine import FastEngine
from qcompiler.data import Data, Stream
from qcompiler.data.streamed_run import StreamedRun, check_program
from qcompiler.ir import DataError, ProgramError
from qcompiler.ir.kernels import Array
from qcompiler.manifest.rebuild import versions

from .client import connected, finished, result

__all__ = ["connected", "measure", "outcomes", "partitions", "run_stream"]

if TYPE_CHECKING:
    from distributed import Client, Future

_AHEAD = 3  # parts for each thread of a worker, waiting ones included: the others are not yet read


def partitions(
    inputs: Sequence[Any] | Mapping[str, Any], program: Program
) -> Iterator[tuple[Array, ...]]:
    """The inputs, one array each or by name, in the batches that a single process would run.

    DataError for data that do not fit.
    """
    check_program(program, "a cluster")
    given = (inputs,) if isinstance(inputs, Mapping) else tuple(inputs)
    step = frames_per_batch(program.graph)
    unread = program.unread_inputs
    for batch in input_batches(given, program.inputs, lambda _: step, unread=unread):
        yield batch.arrays


def measure(
    program: Program,
    parts: Iterable[tuple[Array, ...]],
    client: Client,
    engine: str = "fast",
    progress: Callable[[int], None] | None = None,
) -> Measured:
    """`Program.measure` of `partitions` on the workers of a client; see `outcomes`.

    ``progress`` receives the number of finished frames. DataError without frames.
    """
    counters, outputs = Counters(), []
    for found in outcomes(program, parts, client, engine):
        outputs.append(found.outputs)
        counters.add(found.counters)
        if progress:
            progress(counters.frames)
    if not outputs:
        raise DataError("the data are empty")
    joined = {name: np.concatenate([one[name] for one in outputs]) for name in outputs[0]}
    return Measured(joined, counters)


def run_stream(
    program: Program,
    stream: Stream,
    client: Client,
    engine: str = "fast",
    reference: Callable[[Data], Mapping[str, Array]] | None = None,
    progress: Callable[[int], None] | None = None,
) -> StreamedRun:
    """The same as `run_stream` on the workers of a client.

    This process reads the frames, a few batches ahead of the workers, and runs the model.
    """
    done, read = StreamedRun(), deque[Data]()

    def parts() -> Iterator[tuple[Array, ...]]:
        for batch in stream.batches(frames_per_batch(program.graph)):
            read.append(batch)
            yield batch.arrays

    try:
        for found in outcomes(program, parts(), client, engine):
            batch = read.popleft()
            done.add(found, batch, None if reference is None else reference(batch))
            if progress:
                progress(done.counters.frames)
    except KeyboardInterrupt:
        if not done.counters.frames:
            raise
        done.interrupted = True
    if not done.counters.frames:
        raise DataError(f"none of the {len(stream)} frames can be read")
    done.finish(stream)
    return done


def outcomes(
    program: Program, parts: Iterable[tuple[Array, ...]], client: Client, engine: str = "fast"
) -> Iterator[Measured]:
    """What each part gives, in their order; parts are read no sooner than workers need them.

    Workers need this version of qcompiler, and the target's plugin if it has one. Raises what
    `Program.measure` raises, and ProgramError if workers differ, are lost for good, or die of the
    same part.
    """
    check_program(program, "a cluster")
    dask_client(client)
    content = pickle.dumps(
        (program.graph, program.backend.name, program.manifest, program.prologue)
    )
    held = client.submit(bytes, content, pure=False)  # the scheduler can make it again
    waiting, next_one = enumerate(parts), 0
    running, found = dict[Any, int](), dict[int, Measured]()
    while True:
        room = max(1, _AHEAD * sum(client.nthreads().values())) - len(running) - len(found)
        for index, part in islice(waiting, max(0, room)):
            running[_submitted(client, held, part, engine)] = index
        if next_one in found:
            yield found.pop(next_one)
            next_one += 1
        elif running:
            for future in finished(client, running):
                found[running.pop(future)] = result(future)
        else:
            return


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
    graph, target, manifest, prologue = pickle.loads(content)
    backend = registry.backend_of_worker(target)
    # Dask runs as many partitions at once as a worker has threads, so each takes one.
    return Program(graph, backend, manifest, prologue, {"fast": FastEngine(graph, threads=1)})
