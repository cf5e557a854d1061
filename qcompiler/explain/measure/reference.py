"""A model in onnxruntime, which runs data as its program takes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from qcompiler.data import Array, Data
from qcompiler.frontend.import_model import Preprocessing
from qcompiler.frontend.input_values import stated_values
from qcompiler.ir import CompileError, DataError, Diagnostic, InvalidModel

from .onnx_process import Declared, ModelFailed, OnnxProcess

_BATCH = 256
_KINDS: Mapping[str, Any] = {
    "tensor(bool)": np.bool_,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    **{f"tensor({kind})": np.dtype(kind) for kind in ("int8", "int16", "int32", "int64")},
    **{f"tensor({kind})": np.dtype(kind) for kind in ("uint8", "uint16", "uint32", "uint64")},
}
_LARGEST = 1e30  # magnitude of data: squares of errors stay finite in double precision
_MARKS = re.compile(r"\[ONNXRuntimeError\] : \d+ : \w+ : ")


class Reference:
    """A model in onnxruntime, which runs data as its program takes them; see `run_outputs`.

    ``before`` is the preprocessing of what runs next.
    """

    def __init__(self, model: Path, manifest: Mapping[str, Any]) -> None:
        self._model, self._axes = Path(model), manifest.get("batch_axes", {})
        self._shapes = manifest.get("input_shapes", {})
        self._values = stated_values(manifest.get("input_values"))
        self.before = Preprocessing(**manifest.get("preprocessing", {}))
        if self._model.is_dir():
            raise InvalidModel(f"{model} is a directory, not an ONNX file")
        if not self._model.is_file():
            raise InvalidModel(f"there is no file {model}")
        with self._refused():
            self._process = OnnxProcess(self._model)

    def __enter__(self) -> Reference:
        return self

    def __exit__(self, *error: Any) -> None:
        self._process.__exit__(*error)

    def run(self, data: Data, progress: Callable[[float], None] | None = None) -> dict[str, Array]:
        """Outputs by name for every frame.

        InvalidModel if the model cannot run, DataError for numbers beyond 1e30: errors would
        overflow.
        """
        for array in data.arrays:
            if (
                array.dtype.kind == "f"
                and (reach := float(np.abs(array).max(initial=0))) > _LARGEST
            ):
                raise DataError(
                    f"the data reach {reach:.3g}: compared with a model they may reach 1e30"
                )
        with self._refused():
            parts = list(self._batches(data, progress))
            names = [output.name for output in self._process.get_outputs()]
            return {
                name: np.concatenate(arrays)
                for name, arrays in zip(names, zip(*parts, strict=True), strict=True)
            }

    @contextmanager
    def _refused(self) -> Iterator[None]:
        """Turn what goes wrong into an InvalidModel."""
        try:
            yield
        except CompileError:
            raise
        except Exception as error:
            kind = error.kind if isinstance(error, ModelFailed) else ""
            if kind == "InvalidProtobuf":
                message = f"{self._model} is not an ONNX file, or is truncated"
                raise InvalidModel(message) from error
            lines = str(error).strip().splitlines() or [type(error).__name__]
            reason = _MARKS.sub("", lines[0])
            raise InvalidModel(f"{self._model} does not run in onnxruntime: {reason}") from error

    def feeds(self, data: Data) -> Iterator[tuple[dict[str, Array], int, int]]:
        """What the model's session takes, batch by batch, and how many frames it is and holds.

        A fixed batch is filled up with its last frame.
        """
        session, axes = self._process, self._axes
        given = {one.name: one for one in session.get_inputs()}
        given |= {
            one.name: one
            for one in session.get_overridable_initializers()
            if one.name in self._values
        }
        inputs = {name: one for name, one in given.items() if name not in self._values}
        names = data.names if data.names and inputs.keys() >= {*data.names} else tuple(inputs)
        if len(names) != len(data.arrays):
            raise self._takes_others(names, data)
        at = axes.get(names[0], 0)
        fixed = 1 if at is None else inputs[names[0]].shape[at]
        step = fixed if isinstance(fixed, int) and fixed > 0 else _BATCH
        for begin in range(0, len(data), step):
            parts = [self.before.apply(array[begin : begin + step]) for array in data.arrays]
            count = len(parts[0])
            if step == fixed and count < step:
                parts = [
                    np.concatenate([p, np.repeat(p[-1:], step - count, axis=0)]) for p in parts
                ]
            known, held = dict(zip(names, parts, strict=True)), len(parts[0])
            feed = {
                name: self._constant(one, held)
                if (part := known.get(name)) is None
                else _fed(one, part, axes.get(name, 0))
                for name, one in given.items()
            }
            yield feed, count, held

    def _constant(self, given: Declared, count: int) -> Array:
        """An input that is filled with its value, or with zeros if nothing reads it."""
        axes = (
            self._shapes.get(given.name, given.shape) if given.name in self._values else given.shape
        )
        sizes = [n if isinstance(n, int) else 1 if at else count for at, n in enumerate(axes)]
        return np.full(sizes, self._values.get(given.name, 0), _KINDS.get(given.type, np.float32))

    def _takes_others(self, names: Sequence[str], data: Data) -> InvalidModel:
        theirs = ", ".join(data.names) or f"{len(data.arrays)} arrays"
        text = f"{self._model} takes {', '.join(names)}, but the program takes {theirs}"
        return InvalidModel(Diagnostic(text, help="give the model that was compiled"))

    def _batches(self, data: Data, progress: Callable[[float], None] | None) -> Any:
        axes, done = self._axes, 0
        outputs = [output.name for output in self._process.get_outputs()]
        for feed, count, held in self.feeds(data):
            results = self._process.run(None, feed)
            yield [
                _samples(one, axes.get(n, 0), held)[:count]
                for n, one in zip(outputs, results, strict=True)
            ]
            done += count
            if progress:
                progress(done / len(data))


def _samples(result: Array, place: int | None, count: int) -> Array:
    """An output as a batch of samples; its batch axis stands at a place, if it has one."""
    found = result[None] if place is None else np.moveaxis(result, place, 0)
    if len(found) != count:  # the batch axis is joined with the one behind it
        found = found.reshape(count, -1, *found.shape[1:])
    return found


def _fed(given: Declared, part: Array, place: int | None) -> Array:
    """A batch as an input takes it, whose batch axis stands at a place, if it has one."""
    kind = _KINDS.get(given.type, np.float32)
    return (part[0] if place is None else np.moveaxis(part, 0, place)).astype(kind)
