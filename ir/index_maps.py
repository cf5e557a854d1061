"""Index maps of views: the source index of each element, and the shortest views for a map."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .view import Pick, Reshape, Take, Transpose, View, arrange

Array: TypeAlias = NDArray[Any]
Shape: TypeAlias = tuple[int, ...]
Simple: TypeAlias = Reshape | Transpose | Take


class Arrangement(NamedTuple):
    """A view and, for a `Pick`, the places it takes."""

    view: View
    places: Array | None = None

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The constants of its node."""
        return () if self.places is None else (self.places,)


def places_of(shape: Shape, chain: Iterable[Arrangement]) -> Array:
    """Flat source index of each element after a chain of views."""
    found: Array = np.arange(prod(shape), dtype=np.int32).reshape(1, *shape)
    for arrangement in chain:
        found = arrange(arrangement.view, found, *arrangement.arrays)
    result: Array = found[0]
    return result


def arrangements(places: Array, shape: Shape) -> tuple[Arrangement, ...]:
    """The fewest views that gather these flat indices from a source of this shape."""
    found = simple_views(places, shape)
    if found is None:
        return (Arrangement(Pick(), places.astype(np.int32)),)
    return tuple(map(Arrangement, found))


def simple_views(places: Array, shape: Shape) -> tuple[Simple, ...] | None:
    """The same without `Pick`; None if there are none."""
    if places.size == prod(shape) and np.array_equal(places.ravel(), np.arange(places.size)):
        return () if places.shape == shape else (Reshape(places.shape),)
    found = [way for way in (_takes(places, shape), _permuted(places, shape)) if way is not None]
    return min(found, key=len, default=None)


@lru_cache(maxsize=1 << 12)
def shorter(chain: tuple[Simple, ...], shape: Shape) -> tuple[Simple, ...] | None:
    """A shorter chain of views with the same effect, or None."""
    found = simple_views(places_of(shape, map(Arrangement, chain)), shape)
    return found if found is not None and len(found) < len(chain) else None


def inverse(arrangement: Arrangement, shape: Shape) -> Arrangement | None:
    """The inverse of a view of a source of this shape; None if it has none."""
    match arrangement.view:
        case Reshape():
            return Arrangement(Reshape(shape))
        case Transpose(perm):
            return Arrangement(Transpose(tuple(np.argsort(perm).tolist())))
        case Take(axis, indices) if sorted(indices) == list(range(shape[axis])):
            return Arrangement(Take(axis, tuple(np.argsort(indices).tolist())))
        case Pick() if arrangement.places is not None:
            flat = arrangement.places.ravel()
            if np.array_equal(np.sort(flat), np.arange(prod(shape))):
                places = np.argsort(flat).astype(np.int32).reshape(shape)
                return Arrangement(Pick(), places)
    return None


def _takes(places: Array, shape: Shape) -> tuple[Take, ...] | None:
    """Chosen slices of every axis."""
    if places.ndim != len(shape) or not shape:
        return None
    found = []
    for axis, index in enumerate(np.unravel_index(places, shape)):
        line = index[tuple(slice(None) if a == axis else slice(0, 1) for a in range(index.ndim))]
        if not np.array_equal(np.broadcast_to(line, index.shape), index):
            return None
        if not np.array_equal(line.ravel(), np.arange(shape[axis])):
            found.append(Take(axis, tuple(line.ravel().tolist())))
    shape_of = dict(enumerate(shape))
    return tuple(sorted(found, key=lambda take: len(take.indices) / shape_of[take.axis]))


def _permuted(places: Array, shape: Shape) -> tuple[Simple, ...] | None:
    """A reshape, a transpose of finer axes, and another reshape."""
    if places.size != prod(shape) or places.ravel()[0] != 0:
        return None
    digits: list[tuple[int, int]] = []  # length and distance in the source of the finer axes
    total = np.zeros((1,) * places.ndim, np.int64)
    for axis in range(places.ndim):
        line = places[tuple(slice(None) if a == axis else 0 for a in range(places.ndim))]
        found = _digits(line)
        if found is None:
            return None
        digits += found
        total = total + line.reshape(-1, *(1,) * (places.ndim - axis - 1))
    if not np.array_equal(total, places):
        return None
    order = sorted(range(len(digits)), key=lambda digit: -digits[digit][1])
    fine = tuple(digits[digit][0] for digit in order)
    if [digits[d][1] for d in order] != [prod(fine[i + 1 :]) for i in range(len(fine))]:
        return None
    perm = tuple(order.index(digit) for digit in range(len(digits)))
    return _chain(shape, fine, perm, places.shape)


def _chain(shape: Shape, fine: Shape, perm: tuple[int, ...], result: Shape) -> tuple[Simple, ...]:
    turned = tuple(fine[axis] for axis in perm)
    chain: list[Simple] = [Transpose(perm)]
    if fine != shape:
        chain.insert(0, Reshape(fine))
    if turned != result:
        chain.append(Reshape(result))
    return tuple(chain)


def _digits(line: Array) -> list[tuple[int, int]] | None:
    """Lengths and distances of the axes that a line of places steps through, outermost first."""
    if len(line) == 1:
        return []
    step, count = int(line[1]), len(line)
    straight = int(np.argmin(np.append(line == step * np.arange(count), False)))
    length = max((n for n in range(2, straight + 1) if count % n == 0), default=0)
    if not length or step <= 0:
        return None
    outer = line[::length]
    if not np.array_equal(outer[:, None] + line[:length], line.reshape(-1, length)):
        return None
    rest = _digits(outer)
    return None if rest is None else [*rest, (length, step)]
