"""Tensors of ONNX files as arrays, those in external files included; no location is trusted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from qcompiler.ir import InvalidModel

Array: TypeAlias = NDArray[Any]

_DTYPES: dict[int, str] = {
    TensorProto.FLOAT: "<f4",
    TensorProto.DOUBLE: "<f8",
    TensorProto.FLOAT16: "<f2",
    TensorProto.INT8: "<i1",
    TensorProto.INT16: "<i2",
    TensorProto.INT32: "<i4",
    TensorProto.INT64: "<i8",
    TensorProto.UINT8: "<u1",
    TensorProto.UINT16: "<u2",
    TensorProto.UINT32: "<u4",
    TensorProto.UINT64: "<u8",
    TensorProto.BOOL: "|b1",
}
FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)

_WIDE = 1 << 31
# Integer types, and the numbers that they hold; those of 32 and 64 bits are held to be alike.
INTEGERS: dict[int, tuple[int, int]] = {
    TensorProto.BOOL: (0, 1),
    TensorProto.INT8: (-128, 127),
    TensorProto.UINT8: (0, 255),
    TensorProto.INT16: (-32768, 32767),
    TensorProto.UINT16: (0, 65535),
    TensorProto.INT32: (-_WIDE, _WIDE),
    TensorProto.UINT32: (0, _WIDE),
    TensorProto.INT64: (-_WIDE, _WIDE),
    TensorProto.UINT64: (0, _WIDE),
}


_DAMAGE = (ValueError, TypeError, KeyError, AttributeError, OverflowError)
_LARGEST = (1 << 31) - 1  # bytes of a protobuf message


class TensorReader:
    """Reads the tensors of one model.

    ``file`` is what messages call the model. External data may lie in the folder of ``path``, and
    in that of the file which ``path`` links to, as in the cache of Hugging Face; nowhere without a
    path. ``owned`` says that the model is ours: raw data are then taken out of it, so that weights
    are not held twice.
    """

    def __init__(self, file: str, path: Path | None, owned: bool) -> None:
        self.file = file
        self.path = path
        self.owned = owned

    def read(self, tensor: onnx.TensorProto) -> Array:
        """The array of a tensor; InvalidModel if it is not intact."""
        with self._explained(tensor):
            if tensor.data_location == TensorProto.EXTERNAL:
                return self._external(tensor)
            if tensor.HasField("raw_data") and tensor.data_type in _DTYPES:
                data = np.frombuffer(tensor.raw_data, _DTYPES[tensor.data_type])
                array = data.reshape(_shape(tensor))
            else:
                array = _packed(tensor)
        if self.owned:
            tensor.ClearField("raw_data")
        return array

    def take_in(self, tensor: onnx.TensorProto) -> None:
        """Replace external data by the bytes themselves; InvalidModel if they are not intact."""
        if tensor.data_location != TensorProto.EXTERNAL:
            return
        with self._explained(tensor):
            data = self._external_bytes(tensor)
            if data.size > _LARGEST:
                raise self._fail(tensor, "has more than 2 GB, the limit of an attribute")
            tensor.raw_data = data.tobytes()
        tensor.ClearField("data_location")
        tensor.ClearField("external_data")

    def _external(self, tensor: onnx.TensorProto) -> Array:
        data, shape = self._external_bytes(tensor), _shape(tensor)
        dtype = _DTYPES.get(tensor.data_type)
        if dtype is not None:
            return data.view(dtype).reshape(shape)
        raw = data.tobytes()
        return _packed(TensorProto(data_type=tensor.data_type, dims=shape, raw_data=raw))

    def _external_bytes(self, tensor: onnx.TensorProto) -> Array:
        """The bytes in the file, not yet read into memory."""
        entries = {entry.key: entry.value for entry in tensor.external_data}
        path = self._locate(tensor, entries.get("location", ""))
        offset, length = int(entries.get("offset") or 0), int(entries.get("length") or -1)
        dtype = _DTYPES.get(tensor.data_type)
        if dtype is not None:
            needed = prod(_shape(tensor)) * np.dtype(dtype).itemsize
            if length not in (-1, needed):
                raise self._fail(tensor, f"has {length} bytes of external data, not {needed}")
            length = needed
        held = path.stat().st_size
        if offset < 0 or length < 0 or offset + length > held:
            raise self._fail(
                tensor,
                f"lies at bytes {offset} to {offset + length} of {path.name}, which has {held}",
            )
        if not length:
            return np.empty(0, np.uint8)
        return np.asarray(np.memmap(path, np.uint8, "r", offset, (length,)))

    def _locate(self, tensor: onnx.TensorProto, location: str) -> Path:
        if self.path is None:
            raise self._fail(tensor, "has external data, which needs a model given as a path")
        try:
            folders = [self.path.parent.resolve(), self.path.resolve().parent]
            paths = [folder.joinpath(location).resolve() for folder in folders]
            inside = [path for path in paths if any(path.is_relative_to(f) for f in folders)]
            inside = [] if Path(location).is_absolute() else inside
            found = [path for path in inside if path.is_file()]
        except (OSError, ValueError, RuntimeError) as error:  # a loop of links, a null byte
            raise self._fail(
                tensor, f"has an external data file that cannot be opened: {location!r}"
            ) from error
        if found:
            return found[0]
        where = "in a missing file" if inside == paths else "outside the model's folder"
        raise self._fail(tensor, f"has external data {where}: {location!r}")

    def _fail(self, tensor: onnx.TensorProto, what: str) -> InvalidModel:
        named = f'tensor "{tensor.name}"' if tensor.name else "a tensor without a name"
        return InvalidModel(f"{self.file}: {named} {what}")

    @contextmanager
    def _explained(self, tensor: onnx.TensorProto) -> Iterator[None]:
        try:
            yield
        except (OSError, *_DAMAGE) as error:
            raise self._fail(tensor, f"cannot be read ({_line(error)})") from error


def _shape(tensor: onnx.TensorProto) -> tuple[int, ...]:
    shape = tuple(tensor.dims)
    if min(shape, default=0) < 0:
        raise ValueError(f"negative dimensions {shape}")
    return shape


def _packed(tensor: onnx.TensorProto) -> Array:
    shape = _shape(tensor)
    array = numpy_helper.to_array(tensor)
    if array.shape != shape:
        raise ValueError(f"{array.shape} instead of {shape}")
    return array


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
