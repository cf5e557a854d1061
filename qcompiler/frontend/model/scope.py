"""The graph that is being built, and what is known of its values beside their types."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from qcompiler.ir import Builder, Constant, Diagnostic, Value

from .constant_folding import KnownArray
from .integer_code import IntegerCode
from .onnx_tensor import Array
from .placement import FIRST, Placement


@dataclass(frozen=True)
class Unknown:
    """What a refused node would have given; ``data`` says whether it depends on the data.

    Where known, ``kind`` is the ONNX type of its elements, and ``shapes`` its shape with the batch
    axis under each probe. ``root`` is the value that it is some function of, element by element.
    """

    data: bool
    kind: int | None = None
    shapes: tuple[tuple[int, ...], ...] = ()
    root: Value | None = None


@dataclass(frozen=True)
class Masked:
    """A value without the masks in front of it, where constants hide it, and where data do.

    ``hidden`` has the value's shape. Each of ``present`` spreads over the value: 1, or 0 where it
    hides. ``number`` is what constants add to the least hidden, ``below`` what each of the data do.
    """

    bare: Value
    hidden: Array
    present: tuple[Value, ...] = ()
    below: tuple[float, ...] = ()
    number: float = -np.inf

    @property
    def numbers(self) -> tuple[float, ...]:
        """What each mask adds: those of data, and that of constants if they hide anything."""
        return (*self.below, *((self.number,) if self.hidden.any() else ()))

    def of_data(self, present: Value, number: float) -> Masked:
        """The value behind one more mask that depends on data."""
        return replace(self, present=(*self.present, present), below=(*self.below, number))

    def behind(self, other: Masked) -> Masked:
        """The value behind the masks of another one, too."""
        return Masked(
            self.bare,
            self.hidden | other.hidden,
            (*self.present, *other.present),
            (*self.below, *other.below),
            max(self.number, other.number),
        )


AbstractValue: TypeAlias = (
    Value | KnownArray | Unknown | None
)  # None: an optional input that is not given
Shape: TypeAlias = tuple[int, ...]


def depends_on_data(item: AbstractValue) -> bool:
    """Whether a value depends on the data."""
    return isinstance(item, Value) or (isinstance(item, Unknown) and item.data)


@dataclass
class Scope:
    """The graph being built, its constants by name, and the batch sizes to probe.

    ``allow_products`` says whether two values that depend on the data may be multiplied,
    ``batch_axis`` where the batch axis of a value stands that has it not first, ``formulas`` which
    function of which other value a value is, ``differences`` of which two values a value is the
    difference for a comparison. ``kinds`` holds the ONNX type of values that are integers or
    booleans in the model, ``truncated`` names those that were cast from real numbers, ``reals``
    holds the bits of the real numbers that integers were cast to, ``integers`` which real value, in
    which code, integers stand for, ``sums`` names sums of integers that are real numbers here.
    ``masks`` holds values behind the mask of a softmax, ``flags`` names values that are 1 or 0 if
    what they are made of is. The host knows the values in ``given`` in front of the network, of
    which it has ``computed`` some; ``fed`` are these as the network reads them, ``twins`` what it
    could compute of those in the network. ``assumed`` tells what is right only for some models,
    ``folded_products`` counts products of weights and first states of recurrent layers, which are
    constants, ``unrolled_nodes`` the nodes that recurrent layers have become.
    """

    builder: Builder
    probes: tuple[int, ...]
    allow_products: bool = False
    batch_axis: dict[str, Placement] = field(default_factory=dict)
    constants: dict[str, Constant] = field(default_factory=dict)
    formulas: dict[str, tuple[Value, str]] = field(default_factory=dict)
    integers: dict[str, tuple[Value, IntegerCode]] = field(default_factory=dict)
    sums: set[str] = field(default_factory=set)
    differences: dict[str, tuple[Value, Value]] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    truncated: set[str] = field(default_factory=set)
    reals: dict[str, int] = field(default_factory=dict)
    masks: dict[str, Masked] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    given: dict[str, bool] = field(default_factory=dict)
    computed: dict[str, bool] = field(default_factory=dict)
    fed: dict[str, Value] = field(default_factory=dict)
    twins: dict[str, Value] = field(default_factory=dict)
    assumed: list[Diagnostic] = field(default_factory=list)
    folded_products: int = 0
    unrolled_nodes: int = 0

    @property
    def single(self) -> bool:
        """Whether there is one sample only, so that any axis of length 1 may be the batch's."""
        return self.probes == (1,)

    def placement(self, value: Value) -> Placement:
        """Where the batch axis of a value stands."""
        return self.batch_axis.get(value.name, FIRST)

    def full_shapes(self, value: Value) -> tuple[Shape, ...]:
        """Shape of a value with its batch axis, under each probe."""
        place = self.placement(value)
        return tuple(place.full(value.type.shape, probe) for probe in self.probes)

    def known(self, array: Array, name: str) -> KnownArray:
        """A value that is the same under each probe."""
        return KnownArray((array,) * len(self.probes), name)

    def constant(self, name: str, data: Array) -> Constant:
        """A constant; one name has one content, so the name may get a number."""
        found, count = name, 1
        while (held := self.constants.get(found)) is not None:
            if held.data.shape == data.shape and np.array_equal(held.data, data):
                return held
            count += 1
            found = f"{name}.{count}"
        return self.constants.setdefault(found, Constant(found, data))
