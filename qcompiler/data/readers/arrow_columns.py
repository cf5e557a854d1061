"""Columns of Arrow as arrays: numbers, lists of numbers, and encoded images."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from qcompiler.data.frames.held import Array
from qcompiler.data.frames.source import Wanted
from qcompiler.ir import DataError

from .images import Decoder


def plain(column: Any, arrow: Any) -> Any:
    """A column as one array of a built-in type; checked, as damaged files have wild offsets."""
    found = column.combine_chunks() if isinstance(column, arrow.ChunkedArray) else column
    if isinstance(found, arrow.ChunkedArray):
        found = arrow.concat_arrays(found.chunks)
    found.validate(full=True)
    while isinstance(found, arrow.ExtensionArray):
        found = found.storage
    if arrow.types.is_dictionary(found.type):
        found = found.dictionary_decode()
    return found


def without_views(batch: Any, arrow: Any) -> Any:
    """A batch with columns of views, which Arrow cannot index, as others of the same values."""
    kinds = {"string_view": arrow.large_string(), "binary_view": arrow.large_binary()}
    views = {getattr(arrow, name)(): kind for name, kind in kinds.items() if hasattr(arrow, name)}
    columns = [
        column.cast(views[column.type]) if column.type in views else column
        for column in batch.columns
    ]
    return type(batch).from_arrays(columns, names=batch.schema.names)


class ColumnReader:
    """Reads columns of one file; images are decoded as the network takes them."""

    def __init__(self, path: Path, wanted: Wanted, arrow: Any) -> None:
        self._path, self._wanted, self._arrow = path, wanted, arrow
        self._decoder: Decoder | None = None

    def values(self, column: Any, name: str) -> list[Array]:
        """One array per row. DataError for a row that is empty or holds no numbers."""
        types, found = self._arrow.types, plain(column, self._arrow)
        if types.is_struct(found.type) or types.is_binary(found.type):
            return [self._image(value, name) for value in found.to_pylist()]
        if found.null_count:
            raise DataError(f"{self._path} has an empty cell in column {name}")
        shape: list[int] = []
        while types.is_list(found.type) or types.is_large_list(found.type) or _fixed(found, types):
            rows = len(found)
            found = plain(found.flatten(), self._arrow)
            each = len(found) // max(1, rows)
            shape.append(each)
            if each * rows != len(found) or found.null_count:
                raise DataError(f"{self._path} has lists of unlike lengths in column {name}")
        kind = found.type
        if not (types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)):
            raise DataError(f"{self._path} has {kind!s:.60} in column {name}, not numbers")
        numbers = found.to_numpy(zero_copy_only=False)
        return list(numbers.reshape(len(column), *shape))

    def _image(self, value: Any, name: str) -> Array:
        data = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(data, bytes):
            raise DataError(
                f"{self._path} has no image in column {name}: only those that it holds are read"
            )
        if self._decoder is None:
            self._decoder = Decoder(self._wanted, self._path)
        return self._decoder(io.BytesIO(data), f"an image in column {name} of {self._path}")


def _fixed(found: Any, types: Any) -> bool:
    return bool(types.is_fixed_size_list(found.type))
