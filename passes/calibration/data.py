"""Calibration data: check them against the network's inputs, and run the network on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from qcompiler.ir import DataError, Diagnostic, Graph
from qcompiler.ir.execution.evaluate import evaluate
from qcompiler.ir.execution.session import OnnxWriter, run_into
from qcompiler.ir.execution.write_graph import write_tensor_level
from qcompiler.ir.kernels import Array, is_finite_float32
from qcompiler.ir.types import size

Images: TypeAlias = "tuple[Array, ...]"
Progress: TypeAlias = "Callable[[float], None] | None"

_BATCH_BYTES = 1 << 26
_SMALL_BATCH_BYTES = 1 << 23  # where values go into one array

NOT_FINITE = "calibrate with data without such values, or clip the values before this node"


def check_effort(effort: int) -> None:
    """Raise ValueError unless ``effort`` is 0, 1 or 2."""
    if effort not in (0, 1, 2):
        raise ValueError(f"effort must be 0, 1 or 2, not {effort}")


def check(graph: Graph, data: Images) -> None:
    """Raise DataError unless there is one batch of finite numbers for each input."""
    if len(data) != len(graph.inputs):
        raise DataError(
            f"{len(data)} calibration arrays are given for {len(graph.inputs)} model inputs"
        )
    for value, array in zip(graph.inputs, data, strict=True):
        if len(array) == 0:
            raise DataError("the calibration data are empty")
        if array.shape[1:] != value.type.shape:
            raise DataError(
                f"calibration samples have shape {array.shape[1:]}, but input "
                f"{value.name} expects {value.type.shape}"
            )
        if not is_finite_float32(array):
            raise DataError(
                "the calibration data contain NaN, infinities or values that are not real numbers"
            )


def sample(data: Images, count: int) -> Images:
    """``count`` samples of each array, evenly spread, as files are often sorted by class."""
    places = places_of(len(data[0]), count)
    return tuple(array[places] for array in data)


def are(known: Images, data: Images) -> bool:
    """Whether these are the same arrays."""
    return len(known) == len(data) and all(a is b for a, b in zip(known, data, strict=True))


def places_of(samples: int, count: int) -> Array:
    """Places of some samples, evenly spread."""
    return np.linspace(0, samples - 1, min(count, samples)).astype(int)


def run(
    graph: Graph, data: Images, names: list[str], progress: Progress = None
) -> Iterator[dict[str, Array]]:
    """Run a tensor-level graph on onnxruntime, batch by batch; yields the values of these names.

    Raises DataError for a value that becomes NaN or infinite.
    """
    found = RealNetwork(graph, names, len(data[0]))(data)
    step = images_at_once(graph)
    for batch, values in enumerate(found, 1):
        yield values
        if progress:
            progress(min(1.0, batch * step / len(data[0])))


class RealNetwork:
    """A tensor-level graph in a session of onnxruntime, for one data set or several.

    ``images`` is about how many will run through it.
    """

    def __init__(self, graph: Graph, names: Sequence[str], images: int) -> None:
        self._graph, self._names = graph, names
        writer = OnnxWriter()
        written = write_tensor_level(writer, graph)
        self._inputs = [written[value.name] for value in graph.inputs]
        behind = {name: written[name] for name in names if written[name] not in self._inputs}
        kinds_of = {n.result.name: getattr(n.result.type, "dtype", "") for n in graph.nodes}
        whole = {name for name, kind in kinds_of.items() if kind == "i64"}
        kinds = {at: np.int64 if name in whole else np.float32 for name, at in behind.items()}
        self._behind, self._kinds = [*behind], kinds
        elements = images * sum(size(node.result.type) for node in graph.nodes)
        self._session = writer.session(kinds, elements=elements) if behind else None

    def __call__(self, data: Images) -> Iterator[dict[str, Array]]:
        """The values of the names, batch by batch; DataError if one becomes NaN or infinite."""
        session = self._session
        for part in _batches(self._graph, data):
            given = {v.name: array for v, array in zip(self._graph.inputs, part, strict=True)}
            fed = dict(zip(self._inputs, part, strict=True))
            results = session.run(None, fed) if session else []
            found = {name: given[name] for name in self._names if name in given}
            for name, array in zip(self._behind, results, strict=True):
                found[name] = finite(self._graph, part, name, array)
            yield found

    def whole(self, data: Images) -> Array:
        """All values of the only name, in one array; DataError if one becomes NaN or infinite.

        onnxruntime writes each batch where it belongs. A batch is small: what a session takes for
        it is new memory, which the system clears first.
        """
        (name,) = self._names
        given = [value.name for value in self._graph.inputs]
        if self._session is None:
            return data[given.index(name)].astype(np.float32, copy=False)
        ((output, kind),) = self._kinds.items()
        shape = next(n.result.type.shape for n in self._graph.nodes if n.result.name == name)
        found: Array = np.empty((len(data[0]), *shape), kind)
        begin = 0
        for part in _batches(self._graph, data, _SMALL_BATCH_BYTES):
            out = found[begin : begin + len(part[0])]
            run_into(self._session, dict(zip(self._inputs, part, strict=True)), {output: out})
            finite(self._graph, part, name, out)
            begin += len(out)
        return found


def run_precisely(graph: Graph, data: Images) -> Array:
    """The output of a tensor-level graph, computed in double precision and kept in single.

    The result is the same on nearly every machine. The results of `run` are not: the last bits of
    single-precision sums depend on the processor.
    """
    found: list[Array] = []
    for part in _batches(graph, data):
        (array,) = evaluate(graph, *(one.astype(np.float64) for one in part))
        found.append(finite(graph, part, graph.outputs[0].name, array.astype(np.float32)))
    return np.concatenate(found)


def finite(graph: Graph, part: Images, name: str, array: Array) -> Array:
    """The values of this name; DataError, which names the node where they become infinite."""
    whole = np.isfinite(array).reshape(len(array), -1).all(axis=1)
    if whole.all():
        return array
    sample = tuple(given[~whole][:1] for given in part)
    values = tuple(node.result for node in graph.nodes)
    with np.errstate(all="ignore"):
        found = evaluate(replace(graph, outputs=values, output_names=()), *sample)
    for node, result in zip(graph.nodes, found, strict=True):
        if not np.isfinite(result).all():
            name, origin = node.result.name, node.origin
            break
    else:
        origin = ()
    message = f"%{name} is NaN or infinite for some calibration samples"
    raise DataError(Diagnostic(message, origin, NOT_FINITE))


def images_at_once(graph: Graph, memory: int = _BATCH_BYTES) -> int:
    """How many images run through a graph together, whose values take that memory."""
    elements = sum(np.prod(node.result.type.shape) for node in graph.nodes)
    return int(max(1, min(256, memory // (4 * max(1, elements)))))


def _batches(graph: Graph, data: Images, memory: int = _BATCH_BYTES) -> Iterator[Images]:
    step = images_at_once(graph, memory)
    for begin in range(0, len(data[0]), step):
        yield tuple(np.ascontiguousarray(x[begin : begin + step], np.float32) for x in data)
