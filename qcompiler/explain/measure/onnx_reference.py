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
    manifest: Mapping[str, Any],
    progress: Callable[[float], None] | None = None,
) -> Array:
    """First output of the model for every frame, ``frames x shape``.

    ``manifest`` is that of a program: its preprocessing is done first, and it says where inputs and
    outputs have their batch axis. Models with a fixed batch are run that many frames at a time,
    those without a batch axis one by one. InvalidModel if it cannot run.
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
        return np.concatenate(list(_batches(session, data, manifest, progress)))
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
        raise InvalidModel(f"{model} does not run in onnxruntime: {reason}") from error


def _batches(
    session: onnxruntime.InferenceSession,
    data: Data,
    manifest: Mapping[str, Any],
    progress: Callable[[float], None] | None,
) -> Any:
    inputs, axes = session.get_inputs(), manifest.get("batch_axes", {})
    at = axes.get(inputs[0].name, 0)
    fixed = 1 if at is None else inputs[0].shape[at]
    step = fixed if isinstance(fixed, int) and fixed > 0 else _BATCH
    output = axes.get(session.get_outputs()[0].name, 0)
    prepare = Preprocessing(**manifest.get("preprocessing", {}))
    for begin in range(0, len(data), step):
        parts = [prepare.apply(array[begin : begin + step]) for array in data.arrays]
        count = len(parts[0])
        if step == fixed and count < step:
            parts = [np.concatenate([p, np.repeat(p[-1:], step - count, axis=0)]) for p in parts]
        kinds = {"tensor(double)": np.float64, "tensor(float16)": np.float16}
        feed = {}
        for given, part in zip(inputs, parts, strict=True):
            place = axes.get(given.name, 0)
            moved = part[0] if place is None else np.moveaxis(part, 0, place)
            feed[given.name] = moved.astype(kinds.get(given.type, np.float32))
        found = session.run(None, feed)[0]
        found = found[None] if output is None else np.moveaxis(found, output, 0)
        held = len(parts[0])
        if len(found) != held:  # the batch axis is joined with the one behind it
            found = found.reshape(held, -1, *found.shape[1:])
        yield found[:count]
        if progress:
            progress(min(1.0, (begin + step) / len(data)))
