"""The real network on sequences: what its states are, frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from qcompiler.backends.program.states import State
from qcompiler.ir import DataError, Graph
from qcompiler.ir.execution.session import OnnxWriter
from qcompiler.ir.execution.write_graph import write_tensor_level
from qcompiler.ir.kernels import Array, is_finite_float32
from qcompiler.passes.tensor.fold_batchnorm import FoldBatchNorm

from .sequences import Sequences


def rollout(
    graph: Graph,
    states: Sequence[State],
    given: Sequences,
    progress: Callable[[float], None] | None = None,
) -> tuple[Array, ...]:
    """Inputs of all frames, ``(sequences * frames) x shape``, states as the real network has them.

    They are in the order of the graph's inputs. Raises DataError for a state that becomes NaN or
    infinite.
    """
    for array in given.arrays:
        if not is_finite_float32(array):
            raise DataError("the calibration data contain NaN or infinite values")
    step = _Step(FoldBatchNorm()(graph), states)
    shapes = {value.name: value.type.shape for value in graph.inputs}
    now = {
        state.input: np.full((len(given), *shapes[state.input]), state.initial, np.float32)
        for state in states
    }
    seen: dict[str, list[Array]] = {state.input: [] for state in states}
    frames = dict(zip(given.names, given.arrays, strict=True))
    for at in range(given.frames):
        for name, array in now.items():
            seen[name].append(array)
        now = step({name: array[:, at] for name, array in frames.items()} | now)
        for name, array in now.items():
            if not np.isfinite(array).all():
                raise DataError(
                    f"the state {name} is NaN or infinite after {at + 1} frames of the calibration "
                    "data: calibrate with data on which the model stays finite"
                )
        if progress:
            progress((at + 1) / given.frames)
    whole = {name: np.stack(arrays, axis=1) for name, arrays in seen.items()} | frames
    return tuple(whole[name].reshape(-1, *shapes[name]) for name in shapes)


class _Step:
    """One frame of the real network on onnxruntime: from all inputs to the next states."""

    def __init__(self, graph: Graph, states: Sequence[State]) -> None:
        writer = OnnxWriter()
        written = write_tensor_level(writer, graph)
        self.inputs = {value.name: written[value.name] for value in graph.inputs}
        ends = dict(zip(graph.output_names, graph.outputs, strict=True))
        self.shapes = {value.name: value.type.shape for value in graph.inputs}
        self.next = {state.input: written[ends[state.output].name] for state in states}
        computed = [name for name in self.next.values() if name not in self.inputs.values()]
        self.computed = list(dict.fromkeys(computed))
        outputs = dict.fromkeys(self.computed, np.float32)
        self.session = writer.session(outputs, spin=True) if outputs else None

    def __call__(self, given: dict[str, Array]) -> dict[str, Array]:
        fed = {self.inputs[name]: array.astype(np.float32) for name, array in given.items()}
        found = self.session.run(None, fed) if self.session else []
        known = fed | dict(zip(self.computed, found, strict=True))
        return {
            name: known[end].reshape(len(known[end]), *self.shapes[name])
            for name, end in self.next.items()
        }
