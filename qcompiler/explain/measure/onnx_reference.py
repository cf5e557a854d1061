"""The ONNX model itself, run by onnxruntime on the same raw data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qcompiler.backends.program.states import State
from qcompiler.data import Array, Data
from qcompiler.ir import InvalidModel

from .reference import Reference


def run_onnx(model: Path, data: Data, manifest: Mapping[str, Any]) -> Array:
    """First output of the model for every frame; see `run_outputs`."""
    return next(iter(run_outputs(model, data, manifest).values()))


def run_outputs(
    model: Path,
    data: Data,
    manifest: Mapping[str, Any],
    progress: Callable[[float], None] | None = None,
) -> dict[str, Array]:
    """Outputs of the model by name for every frame, ``frames x shape``.

    ``manifest`` is that of a program: its preprocessing is done first, and it says where inputs and
    outputs have their batch axis. Models with a fixed batch are run that many frames at a time,
    those without a batch axis one by one. InvalidModel if it cannot run.
    """
    with Reference(model, manifest) as reference:
        return reference.run(data, progress)


def run_sequences(
    model: Path,
    data: Data,
    states: Sequence[State],
    manifest: Mapping[str, Any],
    progress: Callable[[float], None] | None = None,
) -> dict[str, Array]:
    """Outputs of a model whose states go from frame to frame, ``sequences x frames x shape``.

    ``data`` holds an array for each input in the order of the program, also
    ``sequences x frames x shape``; of the states only the first frame is read. Raises as
    `run_outputs` does.
    """
    arrays = list(data.arrays)
    places = [data.names.index(state.input) for state in states]
    (frames,) = {a.shape[1] for at, a in enumerate(arrays) if at not in places}
    now = {place: arrays[place][:, 0] for place in places}
    found: list[dict[str, Array]] = []
    with Reference(model, manifest) as reference:
        for at in range(frames):
            given = (now[p] if p in now else array[:, at] for p, array in enumerate(arrays))
            frame = Data(tuple(given), names=data.names)
            found.append(reference.run(frame))
            for place, state in zip(places, states, strict=True):
                if state.output not in found[-1]:
                    raise InvalidModel(f"{model} has no output {state.output}, a state")
                now[place] = found[-1][state.output].reshape(now[place].shape)
            if progress:
                progress((at + 1) / frames)
    return {name: np.stack([one[name] for one in found], axis=1) for name in found[0]}
