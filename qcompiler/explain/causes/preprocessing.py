"""What users get wrong about data: preprocessing, the order of channels, the layout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from qcompiler.frontend.import_model import Preprocessing
from qcompiler.ir.kernels import Array

_USUAL = (((0.0,), (1.0,)), ((0.0,), (255.0,)), ((127.5,), (127.5,)), ((0.5,), (0.5,)))
_COLOURED = (
    ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),  # ImageNet, of pixels up to 1
    ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),  # the same up to 255
    ((104.0, 117.0, 123.0), (1.0,)),  # Caffe
)


class Change(NamedTuple):
    """Something that users get wrong: what would be right, on raw data or after them, and how."""

    what: str
    apply: Callable[[Array], Array]
    before: Preprocessing
    remedy: str


def changes(shape: tuple[int, ...], given: Preprocessing) -> Iterator[Change]:
    """What may be right for raw data of this shape instead of the preprocessing compiled in."""
    colours = len(shape) == 3 and shape[given.channel_axis(shape)] == 3
    seen = {_key(given)}
    for before in _preprocessings(given, colours):
        if _key(before) not in seen:
            seen.add(_key(before))
            options = options_of(before)
            what = f"preprocessed with {options}" if options else "not preprocessed"
            remedy = f"compile with {options}"
            if not options:
                remedy = f"compile without {options_of(given)}, or give raw data"
            yield Change(what, _same, before, remedy)
    yield Change(
        "inverted, dark for light",
        lambda x: x.max() + x.min() - x,
        given,
        "invert the data: the model is trained on inverted images",
    )
    if len(shape) == 3:
        axis = given.channel_axis(shape)
        space = [a + 1 for a in range(3) if a != axis]
        if shape[space[0] - 1] == shape[space[1] - 1] > 1:
            swapped = "transposed, height for width"
            remedy = "transpose height and width of the data"
            yield Change(swapped, lambda x: np.swapaxes(x, *space), given, remedy)
    if colours:
        yield Change(
            f"read with channels {'first' if axis else 'last'}",
            lambda x: _relaid(x, axis),
            given,
            "arrange the data in the model's layout, which --layout states",
        )


def _preprocessings(given: Preprocessing, colours: bool) -> Iterator[Preprocessing]:
    """What is usual, and what differs from what is compiled in by one mistake."""
    mean, scale = given.mean or (0.0,), given.scale or (1.0,)
    found: list[tuple[tuple[float, ...], tuple[float, ...]]] = [*_USUAL]
    for factor in (255.0, 1 / 255):  # pixels go to 255 for 1, or to 1 for 255
        found.append((tuple(factor * m for m in mean), tuple(factor * s for s in scale)))
    if colours:
        found += _COLOURED
    turns = (given.reverse_channels, not given.reverse_channels)[: 2 if colours else 1]
    for turn in turns:
        for means, scales in [(mean, scale), *found]:
            yield Preprocessing(means, scales, turn, given.layout)


def _key(before: Preprocessing) -> tuple[bool, str]:
    return before.reverse_channels, options_of(before)


def options_of(before: Preprocessing) -> str:
    """The options of qcompile that ask for a preprocessing; empty if it does nothing."""
    found = []
    if any(before.mean):
        found.append(f"--mean-values {_listed(before.mean)}")
    if any(f"{value:.6g}" != "1" for value in before.scale):
        found.append(f"--scale-values {_listed(before.scale)}")
    if before.reverse_channels:
        found.append("--reverse-input-channels")
    return " ".join(found)


def _listed(values: tuple[float, ...]) -> str:
    return ",".join(f"{value:.6g}" for value in values)


def _same(x: Array) -> Array:
    return x


def _relaid(x: Array, axis: int) -> Array:
    """The same numbers in the same order, taken for the other layout."""
    frames, *shape = x.shape
    if axis == 0:
        channels, height, width = shape
        return x.reshape(frames, height, width, channels).transpose(0, 3, 1, 2)
    height, width, channels = shape
    return x.reshape(frames, channels, height, width).transpose(0, 2, 3, 1)


def invert_preprocessing(x: Array, given: Preprocessing) -> Array:
    """Raw data that a preprocessing brings to these."""
    shape = x.shape[1:]
    scale, shift = given.affine(shape)
    raw = (x - shift) / scale
    return np.flip(raw, 1 + given.channel_axis(shape)) if given.reverse_channels else raw
