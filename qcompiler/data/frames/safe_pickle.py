"""Pickles of plain values and arrays of numbers, read without running code from them.

What a pickle names is looked up in a table of stand-ins, and in nothing else. Not even numpy's own
functions run: a made-up state of an array or its kind could break them.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from math import prod
from typing import Any

import numpy as np

from qcompiler.ir import DataError

from .held import Array

_MOST_TUPLES = 20_000  # nested ones would exhaust the stack when they are compared
_KINDS = frozenset("biuf")


class _Kind:
    """Stands for a numpy dtype."""

    def __init__(self, name: Any, *_: Any) -> None:
        text = name.decode("latin1") if isinstance(name, bytes) else str(name)
        self.text, self.order = text, "="

    def __setstate__(self, state: Any) -> None:
        order = state[1]
        self.order = order.decode("latin1") if isinstance(order, bytes) else str(order)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The kind itself. DataError unless it is one of numbers."""
        found = np.dtype(self.text[:3])
        if found.kind not in _KINDS:
            raise DataError("a pickle holds an array of something else than numbers")
        return found.newbyteorder(">") if self.order == ">" else found


class _Array:
    """Stands for a numpy array."""

    def __init__(self, *_: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, columns_first, data = state
        self.state = shape, kind, bool(columns_first), data

    @property
    def array(self) -> Array:
        """The array itself, over the bytes of the pickle. DataError if it has not so many."""
        shape, kind, columns_first, data = self.state
        if not isinstance(kind, _Kind) or not isinstance(data, bytes | bytearray):
            raise DataError("a pickle holds a damaged array")
        if not all(isinstance(n, int) and n >= 0 for n in shape):
            raise DataError("a pickle holds a damaged array")
        if prod(shape) * kind.dtype.itemsize != len(data):
            raise DataError("a pickle holds a damaged array")
        flat = np.frombuffer(data, kind.dtype)
        return flat.reshape(shape, order="F" if columns_first else "C")


def _reconstructed(*_: Any) -> _Array:
    return _Array()


def _from_buffer(data: Any, kind: Any, shape: Any, order: Any = "C") -> _Array:
    found = _Array()
    found.state = shape, kind, order == "F", data
    return found


class _Unpickler(pickle.Unpickler):
    """Knows the names that arrays need, and no others."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="bytes")
        self._left = len(content)

    def find_class(self, module: str, name: str) -> Any:
        place = module.replace("numpy._core", "numpy.core")
        known = {
            ("numpy.core.multiarray", "_reconstruct"): _reconstructed,
            ("numpy.core.numeric", "_frombuffer"): _from_buffer,
            ("numpy", "ndarray"): _Array,
            ("numpy", "dtype"): _Kind,
            ("_codecs", "encode"): self._encoded,
        }
        if (place, name) not in known:
            raise DataError(f"it names {module}.{name}, which would run code")
        return known[place, name]

    def persistent_load(self, key: Any) -> Any:
        raise DataError("it names something outside of itself")

    def _encoded(self, text: str, _: str = "latin1") -> bytes:
        """A text as bytes, as Python 3 writes them for Python 2; not more than the pickle has."""
        self._left -= len(text)
        if self._left < 0:
            raise DataError("it says the same again and again")
        return text.encode("latin1")


def plain_dict(content: bytes) -> dict[str, Any]:
    """A pickled mapping with texts as keys; arrays in it are arrays.

    DataError if it holds anything but plain values and arrays of numbers; what damaged pickles
    raise otherwise.
    """
    tuples = 0
    for code, _, _ in pickletools.genops(content):
        tuples += code.name.startswith("TUPLE")
    if tuples > _MOST_TUPLES:
        raise DataError(f"it holds more than {_MOST_TUPLES:,} tuples")
    found = _Unpickler(content).load()
    if not isinstance(found, dict):
        raise DataError("it is no mapping")
    named = {}
    for key, value in found.items():
        name = key.decode("latin1") if isinstance(key, bytes) else str(key)
        named[name] = value.array if isinstance(value, _Array) else value
    return named
