"""The ONNX model itself, run by onnxruntime on the same raw data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from qcompiler.data import Array, Data
from qcompiler.frontend.import_model import Preprocessing
from qcompiler.ir import InvalidModel

_BATCH = 256


def run_onnx(
    model: Path,
    data: Data,
    preprocessing: Mapping[str, Any],
    progress: Callable[[float], None] | None = None,
) -> Array:
    """First output of the model for every frame; see `run_outputs`."""
    return next(iter(run_outputs(model, data, preprocessing, progress).values()))


def run_outputs(
    model: Path,
    data: Data,
    preprocessing: Mapping[str, Any],
    progress: Callable[[float], None] | None = None,
) -> dict[str, Array]:
    """Outputs of the model by name for every frame, after the preprocessing that was compiled in.

    Models with a fixed batch are run that many frames at a time, those without a batch axis one by
    one. InvalidModel if it cannot run.
    """
    if Path(model).is_dir():
        raise InvalidModel(f"{model} is a directory, not an ONNX file")
    if not Path(model).is_file():
        raise InvalidModel(f"there is no file {model}")
    try:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(
            str(model), options, providers=["CPUExecutionProvider"]
        )
        parts = list(_batches(session, data, preprocessing, progress))
        names = [output.name for output in session.get_outputs()]
        return {
            name: np.concatenate(arrays)
            for name, arrays in zip(names, zip(*parts, strict=True), strict=True)
        }
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
        raise InvalidModel(f"{model} does not run in onnxruntime: {reason}") from error


def _batches(
    session: onnxruntime.InferenceSession,
    data: Data,
    preprocessing: Mapping[str, Any],
    progress: Callable[[float], None] | None,
) -> Any:
    inputs = session.get_inputs()
    alone = len(inputs[0].shape) == 1  # samples without a batch axis
    fixed = 1 if alone else inputs[0].shape[0]
    step = fixed if isinstance(fixed, int) and fixed > 0 else _BATCH
    prepare = Preprocessing(**preprocessing)
    for begin in range(0, len(data), step):
        parts = [prepare.apply(array[begin : begin + step]) for array in data.arrays]
        count = len(parts[0])
        if step == fixed and count < step:
            parts = [np.concatenate([p, np.repeat(p[-1:], step - count, axis=0)]) for p in parts]
        kinds = {"tensor(double)": np.float64, "tensor(float16)": np.float16}
        feed = {
            given.name: (part[0] if alone else part).astype(kinds.get(given.type, np.float32))
            for given, part in zip(inputs, parts, strict=True)
        }
        results = session.run(None, feed)
        yield [found[None] if alone else found[:count] for found in results]
        if progress:
            progress(min(1.0, (begin + step) / len(data)))
