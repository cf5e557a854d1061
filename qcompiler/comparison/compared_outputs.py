"""The outputs of a model beside those of its program, in front of what the host computes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from qcompiler.backends.host import Counters, Measured
from qcompiler.backends.program.program import Program
from qcompiler.backends.program.stream import run_stream
from qcompiler.ir import Graph, Value
from qcompiler.ir.execution.session import OnnxWriter
from qcompiler.ir.execution.write_graph import write_tensor_level
from qcompiler.ir.kernels import Array
from qcompiler.ir.memory import give_back
from qcompiler.ir.types import size
from qcompiler.passes.calibration.data import run
from qcompiler.passes.calibration.trace import size_of
from qcompiler.passes.tensor.fold_batchnorm import FoldBatchNorm

from .in_front_of_host import comparable, is_computed, is_softmax

_FEWEST, _MOST = 64, 256  # frames
_PRODUCTS = 1e9  # of all frames together, unless these are the fewest
_VALUES = 1 << 25  # of an output, in all frames together


@dataclass(frozen=True)
class Compared:
    """One output, ``frames x shape``, and the value of the model's graph that it is.

    ``scores`` says that a softmax or argmax reads it; ``probabilities`` are those that the output
    is then, if it is nothing else.
    """

    name: str
    value: str
    ours: Array
    theirs: Array
    scores: bool
    probabilities: Compared | None = None

    @property
    def vector(self) -> bool:
        """Whether it is one vector of several elements a frame."""
        return self.theirs.ndim > 1 and self.theirs[0].size == self.theirs.shape[1] > 1

    def agreement(self) -> float:
        """Share of frames whose largest elements are at one place."""
        one, other = (x.reshape(len(x), -1).argmax(axis=1) for x in (self.ours, self.theirs))
        return float(np.mean(one == other))

    def centred(self) -> tuple[Array, Array]:
        """Both arrays; of a vector of scores without the mean, which changes no probability."""
        if not (self.scores and self.vector):
            return self.ours, self.theirs
        ours, theirs = (x - x.mean(axis=1, keepdims=True) for x in (self.ours, self.theirs))
        return ours, theirs


def compared_outputs(
    graph: Graph, program: Program, data: tuple[Array, ...], sequences: int = 0
) -> tuple[tuple[Compared, ...], Counters]:
    """Run a model's graph at the tensor level and its program, one after the other.

    The values in front of a softmax or argmax are compared, and probabilities as well. Also returns
    what the program's run counts. With ``sequences`` the frames are those of as many, one after the
    other, and the program goes through them with states of its own, from those of their first.
    """
    if sorted(graph.output_names) != sorted(program.graph.output_names):  # by a custom pass
        return (), program.measure(*data).counters
    graph = FoldBatchNorm()(graph)
    by_name = dict(zip(graph.output_names, graph.outputs, strict=True))
    whole = [by_name[name] for name in program.graph.output_names]
    ends = zip(whole, program.graph.outputs, strict=True)
    theirs, ours = zip(*(comparable(graph, program.graph, *pair) for pair in ends), strict=True)
    made = write_tensor_level(OnnxWriter(), graph).keys()
    names = program.graph.output_names
    alike = {
        one.name: at  # a label and its probabilities are made of one value
        for at, (one, other) in enumerate(zip(ours, theirs, strict=True))
        if one.type.shape == other.type.shape and other.name in made and is_computed(graph, other)
    }
    same = sorted(alike.values())
    read = {one.name: one for one in (*program.graph.outputs, *(ours[at] for at in same))}
    wider = replace(program.graph, outputs=tuple(read.values()), output_names=())
    likely = {
        one.name: at
        for at, one in enumerate(ours)
        if one.name in alike and is_softmax(graph, whole[at], theirs[at])
    }
    wanted = [*(theirs[at] for at in same), *(whole[at] for at in likely.values())]
    real = values(graph, data, list(dict.fromkeys(value.name for value in wanted)))
    del graph  # before the program takes memory
    give_back()
    measured = _run(program, wider, data, sequences)
    give_back()

    def pair(at: int, one: Value, other: Value, end: Compared | None = None) -> Compared:
        scores = other.name != whole[at].name
        found = measured.outputs[one.name], real[other.name]
        return Compared(names[at], other.name, *found, scores, end)

    given = program.graph.outputs
    behind = {name: pair(at, given[at], whole[at]) for name, at in likely.items()}
    compared = tuple(pair(at, ours[at], theirs[at], behind.get(ours[at].name)) for at in same)
    return compared, measured.counters


def values(graph: Graph, data: tuple[Array, ...], names: list[str]) -> dict[str, Array]:
    """Values of a graph at the tensor level for all frames."""
    pieces = list(run(graph, data, names))
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in names}


def _run(program: Program, wider: Graph, data: tuple[Array, ...], sequences: int) -> Measured:
    """Run a program whose graph has other outputs, by the names of values."""
    if not sequences:
        return Program(wider, program.backend, {}).measure(*data)
    ends = zip(program.graph.output_names, program.graph.outputs, strict=True)
    names = {name: value.name for name, value in ends}
    states = [replace(state, output=names[state.output]) for state in program.states]
    whole = {
        value.name: array.reshape(sequences, -1, *array.shape[1:])
        for value, array in zip(wider.inputs, data, strict=True)
    }
    begin = {state.input: whole.pop(state.input)[:, 0] for state in states}
    found = Program(wider, program.backend, {"states": [state.to_dict() for state in states]})
    given = tuple(whole.values())
    return run_stream(found, given, count=False, tell=lambda outgrown: None, begin=begin)


def spread_frames(graph: Graph, given: int, most: int = _MOST) -> Array:
    """Which frames to compare, spread without the period that classes may have.

    Some dozens; of small networks a few hundred, or ``most``.
    """
    frames = int(np.clip(_PRODUCTS / size_of(graph)[0], _FEWEST, most))
    largest = max((size(value.type) for value in graph.outputs), default=1)
    count = max(1, min(frames, given, _VALUES // max(1, largest)))
    if count > given // 2:
        return np.arange(given)
    golden = (np.sqrt(5) - 1) / 2
    places: Array = np.unique((np.arange(count) * golden % 1 * given).astype(int))
    return places
