"""Types of values: what flows along the edges of a graph.

The batch axis is not part of a type: shapes are those of one sample.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from numbers import Integral, Real
from typing import Literal, TypeAlias

Range: TypeAlias = tuple[float, float]
Coding: TypeAlias = Literal["one-spike", "silent", "burst"]  # see `ir.spiking.codes`

LARGEST_REAL = 1e39  # magnitude of real numbers
_MOST_LEVELS = 1 << 16
_MOST_DIGITS = 16
_FARTHEST = 1 << 40  # levels from the lowest to zero
_FINEST, _COARSEST = 1e-30, 1e30  # scales whose inverse single precision can hold


def _check_levels(t_max: int) -> None:
    if type(t_max) is not int:
        raise ValueError(f"t_max must be an int, not {t_max!r:.60}")
    if not 2 <= t_max <= _MOST_LEVELS:
        raise ValueError(f"t_max must be between 2 and {_MOST_LEVELS}, not {t_max}")


def _checked_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape of ints, which may be those of numpy."""
    if isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape):
        return shape
    if isinstance(shape, tuple) and all(isinstance(n, Integral) and n >= 0 for n in shape):
        return tuple(map(int, shape))
    raise ValueError(f"a shape is a tuple of ints of 0 or more, not {shape!r:.60}")


def _check_range(bounds: Range) -> None:
    fits = isinstance(bounds, tuple) and len(bounds) == 2
    if not fits or not all(isinstance(bound, Real) for bound in bounds):
        raise ValueError(f"a range is a tuple of two numbers, not {bounds!r:.60}")
    if not -LARGEST_REAL <= bounds[0] <= bounds[1] <= LARGEST_REAL:
        raise ValueError(f"invalid range from {bounds[0]} to {bounds[1]}")


def check_digits(digits: int) -> None:
    """Raise ValueError unless the number of digits is supported."""
    if type(digits) is not int:
        raise ValueError(f"digits must be an int, not {digits!r:.60}")
    if not 1 <= digits <= _MOST_DIGITS:
        raise ValueError(f"digits must be between 1 and {_MOST_DIGITS}, not {digits}")


def show_shape(shape: tuple[int, ...]) -> str:
    """Write a shape as ``6x24x24``; the empty string is a scalar."""
    return "x".join(map(str, shape))


@dataclass(frozen=True)
class Tensor:
    """Real numbers (``f32``) or indices (``i64``), with their quantization range if known.

    ``t_max`` is the number of levels if it differs from that of the network. With several
    ``digits``, each digit is one spike with ``t_max`` levels.
    """

    shape: tuple[int, ...]
    dtype: str = "f32"
    range: Range | None = None
    t_max: int | None = None
    digits: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", _checked_shape(self.shape))
        check_digits(self.digits)
        if self.range is not None:
            _check_range(self.range)
        if self.t_max is not None:
            _check_levels(self.t_max)
            _check_levels(self.t_max**self.digits)

    def __str__(self) -> str:
        bounds = f" in {float(self.range[0])!r}:{float(self.range[1])!r}" if self.range else ""
        levels = f" t={self.t_max}" if self.t_max else ""
        digits = f" digits={self.digits}" if self.digits > 1 else ""
        return f"{self.dtype}[{show_shape(self.shape)}{bounds}{levels}{digits}]"

    @property
    def layout(self) -> Tensor:
        """The type without its range and levels: what an operation can infer."""
        return replace(self, range=None, t_max=None, digits=1)


@dataclass(frozen=True)
class Spikes:
    """Spikes whose times encode a level q in ``0 .. t_max - 1``, one level per neuron and frame.

    The first spike of level q leaves ``t_max - 1 - q`` steps after the start of the window: large
    values spike early. It represents the real number ``scale * (q - zero)``. What follows it, and
    what level 0 sends, is up to the ``coding``: see `ir.spiking.codes`.
    """

    shape: tuple[int, ...]
    t_max: int
    scale: float
    zero: int = 0
    coding: Coding = "one-spike"

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", _checked_shape(self.shape))
        _check_levels(self.t_max)
        if not _FINEST <= self.scale <= _COARSEST:
            raise ValueError(f"scale must be positive and finite, not {self.scale}")
        if abs(self.zero) > _FARTHEST:
            raise ValueError(f"zero must be within +-{_FARTHEST}, not {self.zero}")

    def __str__(self) -> str:
        zero = f" zero={self.zero}" if self.zero else ""
        coding = "" if self.coding == "one-spike" else f" coding={self.coding}"
        code = f"t={self.t_max} scale={float(self.scale)!r}"
        return f"spikes[{show_shape(self.shape)} {code}{zero}{coding}]"

    @property
    def top(self) -> int:
        """The highest level, ``T = t_max - 1``."""
        return self.t_max - 1

    @property
    def layout(self) -> Spikes:
        """Spikes carry their code with them: the layout is the type itself."""
        return self


@dataclass(frozen=True)
class Current:
    """Synaptic input to a population, in the integer units of the weights."""

    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", _checked_shape(self.shape))

    def __str__(self) -> str:
        return f"current[{show_shape(self.shape)}]"

    @property
    def layout(self) -> Current:
        """A current has nothing but its layout."""
        return self


@dataclass(frozen=True)
class Tick:
    """The spike of a clock: one neuron, one fixed step."""

    shape: tuple[int, ...] = ()

    def __str__(self) -> str:
        return "tick[]"

    @property
    def layout(self) -> Tick:
        """A tick has nothing but its layout."""
        return self


Type: TypeAlias = Tensor | Spikes | Current | Tick


def size(type_: Type) -> int:
    """Number of elements, or of neurons, of one sample."""
    return prod(type_.shape)
