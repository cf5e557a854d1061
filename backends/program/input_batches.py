"""What a program is given to run on: checked, shaped as its inputs are, cut into batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from qcompiler.ir import DataError, Value
from qcompiler.ir.kernels import Array, is_finite_float32

from .given_arrays import are_batches, as_array, batches_of


class InputBatch(NamedTuple):
    """One array for each input; ``first`` is the number of the first frame."""

    arrays: tuple[Array, ...]
    first: int


def input_batches(
    given: tuple[Any, ...],
    inputs: tuple[Value, ...],
    batch_size: Callable[[int], int],
    first: int = 0,
) -> Iterator[InputBatch]:
    """Batches of arrays, of a mapping to arrays by input, or of what gives batches one by one.

    A DataLoader is of the last kind. ``batch_size`` tells how many of so many frames a batch may
    have. DataError if they do not fit the inputs.
    """
    if len(given) == 1 and are_batches(given[0]):
        yield from _of_batches(given[0], inputs, batch_size, first)
        return
    if len(given) == 1 and isinstance(given[0], Mapping):
        given = _by_name(given[0], inputs)
    try:
        arrays = tuple(map(as_array, given))
    except ValueError as error:
        raise DataError("pass inputs one by one, run(a, b), not in a list") from error
    if len(arrays) > len(inputs):
        raise DataError(f"the network takes {len(inputs)} arrays, one an input, not {len(arrays)}")
    arrays = tuple(map(_as_declared, arrays, inputs))
    _check(arrays, inputs)
    frames = len(arrays[0])
    step = batch_size(frames)
    for begin in range(0, frames, step):
        part = tuple(array[begin : begin + step] for array in arrays)
        yield InputBatch(part, first + begin)


def _by_name(given: Mapping[Any, Any], inputs: tuple[Value, ...]) -> tuple[Any, ...]:
    """The arrays in the order of the inputs; DataError for names that are unknown or missing."""
    names = [value.name for value in inputs]
    if unknown := [str(name) for name in given if name not in names]:
        known = ", ".join(names)
        raise DataError(f"no input is named {', '.join(unknown)}: the inputs are {known}")
    if missing := [name for name in names if name not in given]:
        raise DataError(f"the data hold no array for the input {', '.join(missing)}")
    return tuple(given[name] for name in names)


def _of_batches(
    given: Iterable[Any],
    inputs: tuple[Value, ...],
    batch_size: Callable[[int], int],
    first: int,
) -> Iterator[InputBatch]:
    before = first
    for arrays, _ in batches_of(given, [value.name for value in inputs]):
        yield from input_batches(arrays, inputs, batch_size, before)
        before += len(arrays[0])
    if before == first:
        raise DataError("the data are empty")


def _as_declared(array: Array, value: Value) -> Array:
    """The array without axes of length 1 that a sample of the input has not, or with them."""
    given, shape = array.shape[1:], value.type.shape
    same = [n for n in given if n != 1] == [n for n in shape if n != 1]
    return array.reshape(len(array), *shape) if same and given != shape else array


def _check(arrays: tuple[Array, ...], inputs: tuple[Value, ...]) -> None:
    expected = [value.type.shape for value in inputs]
    given = [array.shape[1:] for array in arrays]
    if given != expected:
        raise DataError(f"the network takes frames of shape {expected}, not {given}")
    if not all(array.ndim for array in arrays):
        raise DataError("an input is no array: give each an array of frames, or all in one mapping")
    if len(frames := {len(array) for array in arrays}) != 1:
        raise DataError(f"the inputs differ in their number of frames: {sorted(frames)}")
    if not len(arrays[0]):
        raise DataError("the data are empty")
    for array in arrays:
        if not is_finite_float32(array):
            raise DataError("the data contain NaN, infinite or non-real values")
