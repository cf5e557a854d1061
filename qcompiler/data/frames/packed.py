"""An array in a file that is read from its beginning on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from math import prod
from typing import Any, BinaryIO

import numpy as np

from .held import Array


@dataclass(frozen=True)
class Packed:
    """An array in a file; ``open`` gives the file at the first number, in the order of numpy's C.

    An array in another order (``in_order`` is false) is read as a whole, by ``whole``.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    open: Callable[[ExitStack], BinaryIO]
    whole: Callable[[], Array]
    in_order: bool = True

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all numbers."""
        return prod(self.shape) * self.dtype.itemsize

    @property
    def frame(self) -> int:
        """Bytes of a frame."""
        return prod(self.shape[1:]) * self.dtype.itemsize
