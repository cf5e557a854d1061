"""What a program is given to run on: checked, shaped as its inputs are, cut into batches."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from math import prod
from typing import Any, NamedTuple

from qcompiler.ir import DataError, Value
from qcompiler.ir.kernels import Array, is_finite_float32

from .given_arrays import are_batches, arrays_of, batches_of
from .one_array import NO_ARRAY, check_real


class InputBatch(NamedTuple):
    """One array for each input; ``first`` is the number of the first frame."""

    arrays: tuple[Array, ...]
    first: int


def input_batches(
    given: tuple[Any, ...],
    inputs: tuple[Value, ...],
    batch_size: Callable[[int], int],
    first: int = 0,
    unread: Collection[str] = (),
) -> Iterator[InputBatch]:
    """Batches of arrays, of a mapping to arrays by input, or of what gives batches one by one.

    A DataLoader is of the last kind. ``batch_size`` tells how many of so many frames a batch may
    have, before their values are looked at. Mappings may hold ``unread`` inputs, too. DataError for
    what does not fit the inputs.
    """
    if len(given) == 1 and are_batches(given[0]):
        yield from _of_batches(given[0], inputs, batch_size, first, unread)
        return
    arrays = arrays_of(given, [value.name for value in inputs], unread)
    arrays = tuple(map(_fitted, arrays, inputs))
    check_lengths(arrays, inputs)
    frames = len(arrays[0])
    step = batch_size(frames)
    for array, value in zip(arrays, inputs, strict=True):
        _check_finite(array, value)
    for begin in range(0, frames, step):
        part = tuple(array[begin : begin + step] for array in arrays)
        yield InputBatch(part, first + begin)


def _of_batches(
    given: Iterable[Any],
    inputs: tuple[Value, ...],
    batch_size: Callable[[int], int],
    first: int,
    unread: Collection[str],
) -> Iterator[InputBatch]:
    before = first
    for arrays, _ in batches_of(given, [value.name for value in inputs], unread):
        yield from input_batches(arrays, inputs, batch_size, before)
        before += len(arrays[0])
    if before == first:
        raise DataError("the data are empty")


def _fitted(array: Array, value: Value) -> Array:
    """The array as frames of the input's shape; DataError if it does not hold them."""
    name, shape = value.name, value.type.shape
    if not array.ndim:
        raise DataError(f"what is given for {name} is a single value, {NO_ARRAY}")
    if not holds_frames(array, shape):
        raise DataError(f'input "{name}" takes frames of shape {shape}, not {array.shape[1:]}')
    array = array.reshape(len(array), *shape)
    check_real(array, name)
    return array


def _check_finite(array: Array, value: Value) -> None:
    if not is_finite_float32(array):
        raise DataError(f'the data for input "{value.name}" contain NaN or infinite values')


def holds_frames(array: Array, shape: tuple[int, ...]) -> bool:
    """Whether an array is ``frames x shape``, but for axes of length 1, or frames are flat."""
    given = [n for n in array.shape[1:] if n != 1]
    return array.ndim > 0 and given in ([n for n in shape if n != 1], [prod(shape)])


def check_lengths(arrays: Sequence[Array], inputs: Sequence[Value]) -> None:
    """DataError, which names the inputs, unless all arrays are as long, and not empty."""
    if len({len(array) for array in arrays}) != 1:
        told = (f"{len(x)} for {value.name}" for x, value in zip(arrays, inputs, strict=True))
        raise DataError(f"the inputs differ in their number of frames: {', '.join(told)}")
    if not len(arrays[0]):
        raise DataError("the data are empty")
