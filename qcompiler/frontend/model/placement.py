"""Where the batch axis of a value stands among the axes that the value has in the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from .onnx_tensor import Array


@dataclass(frozen=True)
class Placement:
    """The place of the batch axis; a value itself is one sample, without it.

    ``at`` is None for a value that has none: then the batch is fixed at 1. ``outer`` and ``inner``
    say how many axes of the sample, 0 or 1, are joined with the batch axis in the model, in front
    of it and behind it: ``[N * T, C, H, W]`` is a sample ``[T, C, H, W]`` with one inner axis.
    """

    at: int | None = 0
    outer: int = 0
    inner: int = 0

    @property
    def joined_axes(self) -> int:
        """How many axes of the sample are joined with the batch axis."""
        return self.outer + self.inner

    def rank(self, shape: Sequence[int]) -> int:
        """Number of axes in the model."""
        return len(shape) + (0 if self.at is None else 1 - self.joined_axes)

    def lengths(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Lengths of the axes of a sample that are joined with the batch axis."""
        return () if self.at is None else tuple(shape[self.at : self.at + self.joined_axes])

    def full(self, shape: tuple[int, ...], batch: int) -> tuple[int, ...]:
        """The shape in the model, for a batch of this size."""
        if self.at is None:
            return shape
        behind = shape[self.at + self.joined_axes :]
        return (*shape[: self.at], batch * prod(self.lengths(shape)), *behind)

    def behind(self, axes: int) -> Placement:
        """The same place with this many axes more in front."""
        return self if self.at is None else replace(self, at=self.at + axes)

    def to_model(self, array: Array) -> Array:
        """A batch of samples, ``batch x sample``, as the model has it."""
        if self.at is None:
            found: Array = array[0]
            return found
        shape = self.full(array.shape[1:], len(array))
        return np.moveaxis(array, 0, self.at + self.outer).reshape(shape)

    def from_model(self, array: Array, lengths: Sequence[int], batch: int) -> Array:
        """What `to_model` gives, back as ``batch x sample``; ``lengths`` are those that are joined.

        An axis of length 1 in place of the batch's stands for each of the axes that are joined
        there. ValueError if an array is not of this form.
        """
        if self.at is None:
            return array[None]
        parts = (*lengths[: self.outer], batch, *lengths[self.outer :])
        if not self.joined_axes or array.shape[self.at] == 1:
            parts = (*(1,) * self.outer, array.shape[self.at], *(1,) * self.inner)
        grown = array.reshape(*array.shape[: self.at], *parts, *array.shape[self.at + 1 :])
        return np.moveaxis(grown, self.at + self.outer, 0)


FIRST = Placement()
WHOLE = Placement(None)  # of a value that has no batch axis
