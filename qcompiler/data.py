"""Images and labels from files, arranged as a network takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, TypeAlias
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from qcompiler.passes.calibration.data import sample

from .ir import DataError
from .ir.files import open_regular
from .size_limits import machine_memory

Array: TypeAlias = NDArray[Any]
Inputs: TypeAlias = Sequence[tuple[str, tuple[int, ...]]]

_IMAGES = ("images", "x", "inputs")
_LABELS = ("labels", "y")


@dataclass(frozen=True)
class Data:
    """One array per input, ``frames x shape``, and labels if there are any.

    ``names`` are those of the inputs, if known: a model may have others, which nothing reads.
    """

    arrays: tuple[Array, ...]
    labels: Array | None = None
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.arrays[0])

    def head(self, count: int | None) -> Data:
        """The first frames only."""
        labels = None if self.labels is None else self.labels[:count]
        return Data(tuple(array[:count] for array in self.arrays), labels, self.names)

    def spread(self, count: int) -> Data:
        """This many frames, evenly spread: files are often sorted by class."""
        labels = None if self.labels is None else sample((self.labels,), count)[0]
        return Data(sample(self.arrays, count), labels, self.names)


def read(source: Any, inputs: Inputs, layout: str | None = None) -> Data:
    """Read data from a path, an array, arrays by name or a sequence of arrays, one per input.

    Arrays are rearranged to ``frames x shape`` where only one way to do so makes sense, or
    ``layout`` (what the network takes) decides. Raises DataError for anything else.
    """
    arrays, labels = named_arrays(source, inputs)
    return _fit(Data(arrays, labels), inputs, layout)


def named_arrays(source: Any, inputs: Inputs) -> tuple[tuple[Array, ...], Array | None]:
    """One array for each input, as it is given, and labels if there are any; see `read`."""
    if isinstance(source, str | Path):
        named = _from_file(Path(source))
        chosen = _choose(named, inputs, str(source))
        return chosen, _labels_among(named, [name for name, _ in inputs])
    if isinstance(source, Mapping):
        if missing := [name for name, _ in inputs if name not in source]:
            raise DataError(f"the data hold no array for the input {', '.join(missing)}")
        return tuple(np.asarray(source[name]) for name, _ in inputs), None
    if isinstance(source, Sequence):
        return tuple(map(np.asarray, source)), None
    return (np.asarray(source),), None


def labels_of(source: Any, count: int, inputs: Inputs = ()) -> Array:
    """Labels from a path or array, one integer for each of this many frames; else DataError.

    In a file, arrays named as ``inputs`` are no labels.
    """
    if isinstance(source, str | Path):
        named = _from_file(Path(source))
        for name in {name for name, _ in inputs} & {*named} if len(named) > 1 else ():
            del named[name]
        source = next((named[key] for key in (*_LABELS, *named) if key in named), None)
    labels = np.asarray(source)
    if not _are_labels(labels):
        raise DataError("labels must be one integer per frame")
    if len(labels) != count:
        raise DataError(f"there are {len(labels)} labels for {count} calibration inputs")
    return labels


def _are_labels(array: Array) -> bool:
    return array.ndim == 1 and array.dtype.kind in "iu"


def _labels_among(named: Mapping[str, Array], inputs: Sequence[str]) -> Array | None:
    """The labels in a file: no input of the model, and none of the targets of a regression."""
    for key in _LABELS:
        if key in named and key not in inputs and (key == "labels" or _are_labels(named[key])):
            return named[key]
    return None


def _from_file(path: Path) -> dict[str, Array]:
    try:
        file = open_regular(path)
    except FileNotFoundError as error:
        raise DataError(f"there is no file {path}") from error
    except IsADirectoryError as error:
        raise DataError(f"{path} is a directory, not an .npz or .npy file") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DataError(f"{path} cannot be read: {reason}") from error
    try:
        with file:
            if path.suffix == ".npy":
                return {"images": np.load(path, mmap_mode="r", allow_pickle=False)}
            with np.load(file, allow_pickle=False) as archive:
                _check_memory(archive.zip, path)
                return {name: archive[name] for name in archive.files}
    except DataError:
        raise
    except Exception as error:  # a damaged archive can make zipfile and numpy raise almost anything
        raise DataError(
            f"{path} is not an .npz or .npy file of numbers (object arrays are not read)"
        ) from error


def _check_memory(archive: ZipFile, path: Path) -> None:
    """DataError if a small file holds more than fits into memory."""
    held = sum(entry.file_size for entry in archive.infolist())
    if held > machine_memory():
        raise DataError(f"{path} holds {held:,} bytes of arrays, more than this machine's memory")


def _choose(named: dict[str, Array], inputs: Inputs, where: str) -> tuple[Array, ...]:
    if all(name in named for name, _ in inputs):
        return tuple(named[name] for name, _ in inputs)
    if len(inputs) > 1:
        names = ", ".join(name for name, _ in inputs)
        raise DataError(f"{where} needs one array per input: {names}")
    for key in (*_IMAGES, *(key for key in named if key not in _LABELS)):
        if key in named:
            return (named[key],)
    raise DataError(f"{where} holds no images: name an array images, x or inputs")


def _fit(data: Data, inputs: Inputs, layout: str | None) -> Data:
    if len(data.arrays) != len(inputs):
        raise DataError(f"{len(data.arrays)} arrays for {len(inputs)} inputs")
    pairs = zip(data.arrays, inputs, strict=True)
    arrays = tuple(fit(array, shape, layout, name) for array, (name, shape) in pairs)
    lengths = {len(array) for array in arrays}
    if len(lengths) > 1:
        raise DataError(f"the inputs differ in their number of samples: {sorted(lengths)}")
    if data.labels is not None:
        if not _are_labels(np.asarray(data.labels)):
            raise DataError("labels must be one integer per frame")
        if len(data.labels) not in lengths:
            raise DataError(f"there are {len(data.labels)} labels for {len(arrays[0])} inputs")
    if not lengths or not min(lengths):
        raise DataError("the data are empty")
    return Data(arrays, data.labels, tuple(name for name, _ in inputs))


def check_labels(labels: Array, classes: int) -> None:
    """DataError unless all labels are classes of an output with this many elements."""
    if not 0 <= labels.min() <= labels.max() < classes:
        raise DataError(f"labels must lie between 0 and {classes - 1}, the classes of the output")


def fit(array: Array, shape: tuple[int, ...], layout: str | None, name: str = "input") -> Array:
    """Arrange ``frames x ..`` as ``frames x shape``; DataError if that is unclear or impossible."""
    if np.ndim(array) == 0 or array.dtype.kind not in "uifb":
        raise DataError(f"the array for {name} must hold numbers, one sample per row")
    arranged = _arranged(array, shape, layout)
    if arranged is None and array.shape == shape:
        raise DataError(
            f"the array for {name} is a single sample of shape {shape}: add a batch axis, "
            f"{(1, *shape)}"
        )
    if arranged is None:
        raise DataError(_mismatch(array.shape[1:], shape, name))
    return arranged.reshape(len(array), *shape)


def _mismatch(sample: tuple[int, ...], shape: tuple[int, ...], name: str) -> str:
    """Why samples of a shape cannot be arranged as an input, and what to do."""
    if sample == shape:
        return (
            f'each sample for input "{name}" has shape {sample}, which leaves open which axis '
            "holds the channels: compile with --layout nhwc or nchw"
        )
    text = f'each sample has shape {sample}, but input "{name}" expects {shape}'
    wanted = f"({', '.join(('N', *map(str, shape)))})"
    if prod(sample) != prod(shape):
        return f"{text}: give data of shape {wanted}"
    hint = ", or compile with --layout nhwc or nchw" if len(sample) == 3 else ""
    return f"{text}: reshape the data to {wanted}{hint}"


def _arranged(array: Array, shape: tuple[int, ...], layout: str | None) -> Array | None:
    """The array with its axes in the right order, or None."""
    frame = array.shape[1:]
    if frame == shape:
        # an image of equal sides, such as 3x3x3, may have its channels first or last
        unclear = len(shape) == 3 and len(set(shape)) == 1 < shape[0] and layout is None
        return None if unclear and array.dtype == np.uint8 else array
    if prod(frame) != prod(shape):
        return None
    if _squeezed(frame) == _squeezed(shape) or len(_squeezed(frame)) <= 1:
        return array
    if len(frame) == 3 and (frame[-1], *frame[:-1]) == shape and layout != "nhwc":
        return array.transpose(0, 3, 1, 2)
    if len(frame) == 3 and (*frame[1:], frame[0]) == shape and layout != "nchw":
        return array.transpose(0, 2, 3, 1)
    if len(shape) == 1 and (len(frame) == 2 or 1 in frame):
        return array
    if len(shape) == 1 and len(frame) == 3 and layout:
        return array.transpose(0, 3, 1, 2) if layout == "nchw" else array
    return None


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for n in shape if n != 1)
