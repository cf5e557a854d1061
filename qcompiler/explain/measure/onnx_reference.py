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
_KINDS: Mapping[str, Any] = {
    "tensor(bool)": np.bool_,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    **{f"tensor({kind})": np.dtype(kind) for kind in ("int8", "int16", "int32", "int64")},
    **{f"tensor({kind})": np.dtype(kind) for kind in ("uint8", "uint16", "uint32", "uint64")},
}


def run_onnx(
    model: Path,
    data: Data,
    preprocessing: Mapping[str, Any],
    progress: Callable[[float], None] | None = None,
) -> Array:
    """First output of the model for every frame, after the preprocessing that was compiled in.

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
        return np.concatenate(list(_batches(session, data, preprocessing, progress)))
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
        raise InvalidModel(f"{model} does not run in onnxruntime: {reason}") from error


def _batches(
    session: onnxruntime.InferenceSession,
    data: Data,
    preprocessing: Mapping[str, Any],
    progress: Callable[[float], None] | None,
) -> Any:
    inputs = {given.name: given for given in session.get_inputs()}
    names = data.names if data.names and inputs.keys() >= {*data.names} else tuple(inputs)
    shape = inputs[names[0]].shape
    alone = len(shape) == 1  # samples without a batch axis
    fixed = 1 if alone else shape[0]
    step = fixed if isinstance(fixed, int) and fixed > 0 else _BATCH
    prepare = Preprocessing(**preprocessing)
    for begin in range(0, len(data), step):
        parts = [prepare.apply(array[begin : begin + step]) for array in data.arrays]
        count = len(parts[0])
        if step == fixed and count < step:
            parts = [np.concatenate([p, np.repeat(p[-1:], step - count, axis=0)]) for p in parts]
        known = dict(zip(names, parts, strict=True))
        feed = {
            name: _fed(given, known.get(name), len(parts[0]), alone)
            for name, given in inputs.items()
        }
        found = session.run(None, feed)[0]
        yield found[None] if alone else found[:count]
        if progress:
            progress(min(1.0, (begin + step) / len(data)))


def _fed(given: onnxruntime.NodeArg, part: Array | None, count: int, alone: bool) -> Array:
    """A batch as an input takes it; zeros for an input that nothing reads."""
    kind = _KINDS.get(given.type, np.float32)
    if part is not None:
        return (part[0] if alone else part).astype(kind)
    sizes = [n if isinstance(n, int) else 1 if at else count for at, n in enumerate(given.shape)]
    return np.zeros(sizes, kind)
