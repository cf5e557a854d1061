"""Data that are not what the network was trained, or the program compiled, for.

Two signs, each by itself enough:

- With labels: the model answers significantly more frames right if the data are changed in one of
  the ways that users get wrong. Of the frames that only one of both answers right, as many as by
  chance would differ by one standard deviation, the root of their number, from half (McNemar);
  four are asked for, because a dozen ways are tried.
- Without: the range that suits these data best is less than half, or more than twice, the one
  that the program was calibrated for, and the networks part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from qcompiler.ir import InvalidModel, Spikes
from qcompiler.ir.integer import spikes_of
from qcompiler.ir.kernels import Array

from .causes import INPUT, Verdict, best_range, rounding_error
from .data import Data
from .frontend import Preprocessing
from .reference import run_onnx
from .twin import Place, Twin

_SIGMAS = 4
_FACTOR = 2
_LOST = 0.5  # of the variance of the data: a program that sees less cannot be said to agree
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CAFFE = (104.0, 117.0, 123.0)


class Change(NamedTuple):
    """Something that can be done to raw data: what, the function, and how the program gets it."""

    what: str
    apply: Callable[[Array], Array]
    remedy: str


def find(twin: Twin, model: Path, data: Data, parted: Verdict | None) -> Verdict | None:
    """The verdict on the data, if they are wrong; ``parted`` is that on the layers."""
    by_labels = _by_labels(twin, model, data)
    if by_labels is not None:
        return by_labels
    for place in twin.places:
        if place.is_input:
            found = _by_range(twin, place, parted is not None)
            if found is not None:
                return found
    return None


def preprocessing_of(twin: Twin) -> Preprocessing:
    """What is compiled in."""
    return Preprocessing(**twin.program.manifest.get("preprocessing", {}))


def changes(shape: tuple[int, ...], before: Preprocessing) -> Iterator[Change]:
    """What users get wrong about raw data of this shape, given what is compiled in."""
    data = "give the data so"
    yield Change("divided by 255", lambda x: x / 255, f"compile with --scale-values 255, or {data}")
    yield Change(
        "multiplied by 255", lambda x: x * 255, f"compile without --scale-values 255, or {data}"
    )
    yield Change(
        "brought from 0..255 to -1..1",
        lambda x: x / 127.5 - 1,
        f"compile with --mean-values 127.5 --scale-values 127.5, or {data}",
    )
    yield Change(
        "brought from 0..1 to -1..1",
        lambda x: 2 * x - 1,
        f"compile with --mean-values 0.5 --scale-values 0.5, or {data}",
    )
    yield Change(
        "turned dark for light",
        lambda x: x.max() + x.min() - x,
        f"{data}: the model was trained on negatives of them",
    )
    if before.mean or before.scale:
        yield Change(
            "brought back to what they were before the preprocessing that is compiled in",
            lambda x: _undone(x, before),
            "the data are preprocessed already, or the model takes raw data: compile without "
            "--mean-values and --scale-values, or give raw data",
        )
    if len(shape) == 3:
        yield from _image_changes(shape, before, data)


def _undone(x: Array, before: Preprocessing) -> Array:
    shape = x.shape[1:]
    scale, shift = before.affine(shape)
    raw = (x - shift) / scale
    return np.flip(raw, 1 + before.channel_axis(shape)) if before.reverse_channels else raw


def _image_changes(shape: tuple[int, ...], before: Preprocessing, data: str) -> Iterator[Change]:
    axis = before.channel_axis(shape)
    space = [a + 1 for a in range(3) if a != axis]
    if shape[space[0] - 1] == shape[space[1] - 1] > 1:
        yield Change("with height and width swapped", lambda x: np.swapaxes(x, *space), f"{data}")
    if shape[axis] == 3:
        reverse = "without" if before.reverse_channels else "with"
        yield Change(
            "with the order of channels reversed",
            lambda x: np.flip(x, axis + 1),
            f"compile {reverse} --reverse-input-channels, or {data}",
        )
        yield Change(
            "read with channels last",
            lambda x: _relaid(x, axis),
            "arrange the data as the model takes them, and compile with --layout",
        )
        for top in (1, 255):
            mean, deviation = (tuple(top * v for v in values) for values in _IMAGENET)
            yield Change(
                f"normalised as ImageNet is, from 0..{top}",
                Preprocessing(mean, deviation, layout=before.layout).apply,
                f"compile with --mean-values {_listed(mean)} --scale-values {_listed(deviation)}, "
                f"or {data}",
            )
        yield Change(
            "without the means of Caffe, channels reversed",
            Preprocessing(_CAFFE, (), True, before.layout).apply,
            f"compile with --mean-values 104,117,123 --reverse-input-channels, or {data}",
        )


def _listed(values: tuple[float, ...]) -> str:
    return ",".join(f"{value:.6g}" for value in values)


def _relaid(x: Array, axis: int) -> Array:
    """The same numbers in the same order, taken for the other layout."""
    frames, *shape = x.shape
    if axis == 0:
        channels, height, width = shape
        return x.reshape(frames, height, width, channels).transpose(0, 3, 1, 2)
    height, width, channels = shape
    return x.reshape(frames, channels, height, width).transpose(0, 2, 3, 1)


def _by_labels(twin: Twin, model: Path, data: Data) -> Verdict | None:
    """The change that lets the model answer most frames right, if that is significant."""
    before = preprocessing_of(twin)
    if data.labels is None or len(data.arrays) != 1:
        return None
    right = _right(model, data, data.labels, before)
    if right is None or np.count_nonzero(~right) <= _SIGMAS**2:  # too few for significance
        return None
    best, most, change = right, 0.0, None
    for tried in changes(data.arrays[0].shape[1:], before):
        changed = tried.apply(data.arrays[0].astype(np.float32)).astype(np.float32)
        found = _right(model, Data((changed,)), data.labels, before)
        if found is not None and (sign := _significance(found, right)) > most:
            best, most, change = found, sign, tried
    if change is None or most < _SIGMAS:
        return None
    place = next(place for place in twin.places if place.is_input)
    detail = (
        f"the ANN itself answers {right.mean():.2%} of the frames right; {best.mean():.2%} if the "
        f"data are {change.what}"
    )
    return Verdict(place.name, (), INPUT, detail, change.remedy, {})


def _right(model: Path, data: Data, labels: Array, before: Preprocessing) -> Array | None:
    """Which frames the model answers right; None if its output is no classes or not finite."""
    try:
        scores = run_onnx(model, data, {**vars(before)})
    except InvalidModel:
        return None
    flat = scores.reshape(len(scores), -1)
    if scores.dtype.kind == "i" and flat.shape[1] == 1:
        found: Array = flat[:, 0] == labels
        return found
    if scores.dtype.kind != "f" or flat.shape[1] < 2 or flat.shape[1] <= labels.max():
        return None
    found = flat.argmax(axis=1) == labels
    return found


def _significance(one: Array, other: Array) -> float:
    """By how many standard deviations more frames are right in one than in the other."""
    gained, lost = np.count_nonzero(one & ~other), np.count_nonzero(other & ~one)
    return float((gained - lost) / np.sqrt(max(1, gained + lost)))


def _by_range(twin: Twin, place: Place, parted: bool) -> Verdict | None:
    """Whether the encoder's range is that of the data."""
    x, code = twin.values[place.name], spikes_of(place.node.result)
    low, high = -code.zero * code.scale, (code.top - code.zero) * code.scale
    seen = f"the data reach from {x.min():.4g} to {x.max():.4g}"
    covered = f"the program was compiled for {low:.4g} to {high:.4g}"
    if x.min() == x.max():
        detail = f"every number of the data is {x.min():.4g}"
        return Verdict(place.name, (), INPUT, detail, "give other data", {})
    best = best_range(x, code)
    ratio = (best[1] - best[0]) / (high - low)
    lost = _lost(x, code)
    unlike = not 1 / _FACTOR <= ratio <= _FACTOR
    if not unlike or not (parted or lost > _LOST):
        return None
    detail = (
        f"{seen}, {covered}; the range that suits the data best is {ratio:.3g} times as wide; "
        f"encoding loses {min(lost, 1.0):.1%} of their variance"
    )
    return Verdict(place.name, (), INPUT, detail, _rescaled(twin, x, code), {})


def _lost(x: Array, code: Spikes) -> float:
    """Squared error of encoding as a share of the variance."""
    return rounding_error(x, code) / (float(np.var(x, dtype=np.float64)) or 1.0)


def _rescaled(twin: Twin, x: Array, code: Spikes) -> str:
    """The remedy: the change of the data that the encoder's range suits best, if one does."""
    other = "give data of that range, or compile again with --calibration on data such as these"
    if len(twin.data) != 1:
        return other
    tried = {
        change: _lost(change.apply(x).astype(np.float32), code)
        for change in changes(x.shape[1:], preprocessing_of(twin))
    }
    change = min(tried, key=lambda one: tried[one])
    if tried[change] > min(_LOST, _lost(x, code)) / _FACTOR:
        return other
    return f"they fit if they are {change.what}: {change.remedy}"
