"""Arrays arranged as a network takes them, and checked."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from math import prod
from typing import Any

import numpy as np

from qcompiler.backends.program.given_arrays import check_are_labels
from qcompiler.backends.program.one_array import check_real
from qcompiler.ir import DataError

from .held import Array, Data, Inputs


def arranged(data: Data, inputs: Inputs, layout: str | None) -> Data:
    """Data with each array as ``frames x shape`` of its input; DataError if they do not fit."""
    if len(data.arrays) != len(inputs):
        raise DataError(f"{len(data.arrays)} arrays for {len(inputs)} inputs")
    pairs = zip(data.arrays, inputs, strict=True)
    arrays = tuple(fit(array, shape, layout, name) for array, (name, shape) in pairs)
    check_lengths(arrays)
    if data.labels is not None:
        check_label_count(data.labels, len(arrays[0]))
    if not arrays or not len(arrays[0]):
        raise DataError("the data are empty")
    return Data(arrays, data.labels, tuple(name for name, _ in inputs), places=data.places)


def check_numbers(array: Any, name: str) -> None:
    """DataError unless an array holds numbers and has a first axis."""
    if array.ndim == 0:
        raise DataError(f"the array for {name} must hold numbers, one sample per row")
    check_real(array, name)


def check_lengths(arrays: Sequence[Sized]) -> None:
    """DataError if the inputs have different numbers of samples."""
    lengths = {len(array) for array in arrays}
    if len(lengths) > 1:
        raise DataError(f"the inputs differ in their number of samples: {sorted(lengths)}")


def check_label_count(labels: Array, count: int) -> None:
    """DataError unless there is one whole number for each of this many frames."""
    check_are_labels(np.asarray(labels))
    if len(labels) != count:
        raise DataError(f"there are {len(labels)} labels for {count} inputs")


def check_labels(labels: Array, classes: int) -> None:
    """DataError unless all labels are classes of an output with this many elements."""
    wrong = labels[(labels < 0) | (labels >= classes)]
    if wrong.size:
        known = f"labels must lie between 0 and {classes - 1}, the classes of the output"
        raise DataError(f"{known}, not {wrong[0]}")


def fit(array: Array, shape: tuple[int, ...], layout: str | None, name: str = "input") -> Array:
    """Arrange ``frames x ..`` as ``frames x shape``; DataError if that is unclear or impossible."""
    check_numbers(array, name)
    found = _arranged(array, shape, layout)
    if found is None and array.shape == shape:
        raise DataError(
            f"the array for {name} is a single sample of shape {shape}: add a batch axis, "
            f"{(1, *shape)}"
        )
    if found is None:
        raise DataError(_mismatch(array.shape[1:], shape, name))
    return found.reshape(len(array), *shape)


def takes(shape: tuple[int, ...], frame: tuple[int, ...], layout: str | None) -> bool:
    """Whether frames of this shape can be arranged as an input of the network."""
    return _arranged(np.broadcast_to(np.float32(0), (1, *frame)), shape, layout) is not None


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
