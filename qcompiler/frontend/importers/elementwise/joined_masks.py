"""Masks in front of masks: what is chosen, bounded or the lower one of two is hidden once.

A sum hides twice: of a row that masks hide wholly it leaves those elements that they hide least.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.frontend.model.sample_constants import per_sample
from qcompiler.frontend.model.scope import Masked
from qcompiler.ir import Value
from qcompiler.ir.ann import Add, Affine, Clip, Function

from .activations import scaled_by, spread
from .arithmetic import affine
from .masks import LOWEST, SWALLOWS, compact, hidden_by, highest, note_mask, without_mask
from .padding import flag, padding

_FAR = 10.0  # times as low: what hides by less shows through


class Shown(NamedTuple):
    """How much masks show each element, and how much one that none of them hides.

    Masks weigh alike, but one that hides by far more weighs more than all others. Nothing is left
    of the numbers of what is shown less than ``swallowed``.
    """

    much: Value
    full: int
    swallowed: int

    def __call__(self, node: NodeContext, at_least: int) -> Value:
        """1 where an element is shown as much."""
        if (at_least, self.full) == (1, 1):
            return self.much
        return flag(node, self.much, f"x {at_least - 0.5} >")


def shown(node: NodeContext, masked: Masked) -> Shown:
    """How much masks show each element."""
    weights, hidden = _weights(masked.numbers), compact(masked.hidden)
    shape = np.broadcast_shapes(*(one.type.shape for one in masked.present), hidden.shape)
    terms = [
        scaled_by(node, spread(node, one, shape), np.array(weights[number], np.float32), "weighed")
        for one, number in zip(masked.present, masked.below, strict=True)
    ]
    much = terms[0] if len(terms) == 1 else node.part("masks", Add(), *terms)
    if hidden.any():
        shift = np.where(hidden, 0, weights[masked.number]).astype(np.float32)
        much = affine(node, much, 1.0, shift, "shown")
    full = sum(weights[number] for number in masked.numbers)
    swallowing = [weight for number, weight in weights.items() if number <= SWALLOWS]
    return Shown(much, full, full - min(swallowing) + 1 if swallowing else 0)


def _weights(numbers: Sequence[float]) -> dict[float, int]:
    weights: dict[float, int] = {}
    total, first, weight = 0, 0.0, 0
    for number in sorted(numbers, reverse=True):
        if number <= first * _FAR:
            first, weight = number, total + 1
        weights[number] = weight
        total += weight
    return weights


def joined(node: NodeContext, masked: Masked) -> Value:
    """1 where no mask hides."""
    found = shown(node, masked)
    return found(node, found.full)


def mask_alone(node: NodeContext, value: Value) -> Masked | None:
    """What a value hides, if it is but a mask that is 0 elsewhere."""
    nothing = Masked(value, np.zeros(value.type.shape, np.bool_))
    masked = without_mask(node, value) or nothing
    below = padding(node, masked.bare, 1.0)
    if below is None or below.shift:
        return None
    return masked.behind(nothing.of_data(below.present, below.number))


def hides_once(node: NodeContext, masked: Masked, number: float) -> Value:
    """A number where masks hide, 0 elsewhere."""
    formula = f"x 0.5 > 0 {max(number, LOWEST)!r} where"
    return node.part("once", Function(formula), joined(node, masked))


def hides_also(node: NodeContext, x: Value, present: Value, number: float) -> Value | None:
    """A mask that hides more; None if a value is none, or hides otherwise."""
    mask = mask_alone(node, x)
    if mask is None or not _near([*mask.numbers, number]):
        return None
    return hides_once(node, mask.of_data(present, number), number)


def above(node: NodeContext, x: Value, bound: float) -> Value | None:
    """The larger one of a value behind masks and a bound that only hides; None without masks."""
    alone, masked = mask_alone(node, x), without_mask(node, x)
    mask, bound = alone or masked, max(bound, LOWEST)
    if mask is None:
        return None
    reached = mask.present and len(mask.numbers) > 1 and sum(mask.numbers) < bound
    if not reached or not _near([*mask.numbers, bound]):
        return x
    if alone is not None:
        return hides_once(node, alone, bound)
    found = node.part("above", Clip(bound), x)
    note_mask(node, found, _once(node, mask))
    return found


def lower(node: NodeContext, values: Sequence[Value], arrays: Sequence[Array]) -> Value | None:
    """The lower one of masks, of data or constant ones; None if any is something else."""
    shape = np.broadcast_shapes(*(v.type.shape for v in values), *(a.shape for a in arrays))
    found = Masked(values[0], np.zeros(shape, np.bool_))
    for value in values:
        if (mask := mask_alone(node, value)) is None:
            return None
        found = found.behind(mask)
    for array in arrays:
        hidden = hidden_by(array)
        if hidden is None or array[~hidden].any():
            return None
        found = found.behind(Masked(values[0], hidden, number=max(float(array.min()), LOWEST)))
    return hides_once(node, found, min(found.numbers)) if _near(found.numbers) else None


def _near(numbers: Sequence[float]) -> bool:
    """Whether nothing that is hidden shows through."""
    return min(numbers) > max(numbers) * _FAR


def hiding(node: NodeContext, condition: KnownArray) -> Value:
    """A value behind the mask that a Where by a constant condition is."""
    value_first = isinstance(node.item(1), Value)
    x, known = node.activation(1 if value_first else 2), node.item(2 if value_first else 1)
    assert isinstance(known, KnownArray)
    chosen, lowest = (per_sample(node, one, len(x.type.shape)) for one in (condition, known))
    shape = x.type.shape
    hidden, lowest = np.broadcast_arrays(chosen != value_first, lowest)
    x = spread(node, x, np.broadcast_shapes(shape, hidden.shape))
    shift = np.where(hidden, lowest, 0).reshape((1,) * (len(shape) - hidden.ndim) + hidden.shape)
    if (both := lower(node, [x], [shift])) is not None:
        return both
    scale = node.constant("present", (shift == 0).astype(np.float32))
    found = node.add(Affine(), x, scale, node.constant("mask", shift.astype(np.float32)))
    note_choice(node, found, Masked(x, shift < 0, number=highest(known)))
    return found


def note_choice(node: NodeContext, value: Value, masked: Masked) -> None:
    """Remember that a choice puts a value behind a mask, which may be behind masks itself."""
    if (inner := without_mask(node, masked.bare)) is not None:
        masked = replace(masked.behind(inner), bare=inner.bare)
        if masked.present and _near(masked.numbers):
            masked = _once(node, masked)
    note_mask(node, value, masked)


def _once(node: NodeContext, masked: Masked) -> Masked:
    nothing = Masked(masked.bare, np.zeros_like(masked.hidden))
    return nothing.of_data(joined(node.within("once"), masked), max(masked.numbers))
