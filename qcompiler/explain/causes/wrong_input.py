"""Data that are not what the network was trained, or the program compiled, for.

Two signs, each by itself enough:

- With labels: the model answers significantly more frames right if the data are changed in one of
  the ways that users get wrong; more also than the commonest class alone would be, lest labels that
  are wrong make any noise look better. Of the frames that only one of both answers right, as many
  as by chance would differ by one standard deviation, the root of their number, from half
  (McNemar); four are asked for, because a dozen ways are tried.
- Without: the range that suits these data best is less than half, or more than twice, the one
  that the program was calibrated for, and the networks part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from qcompiler.data import Data
from qcompiler.explain.measure.onnx_reference import run_onnx
from qcompiler.explain.measure.pairing import MatchedLayer
from qcompiler.explain.measure.side_by_side import SideBySide
from qcompiler.frontend.import_model import Preprocessing
from qcompiler.ir import InvalidModel, Spikes
from qcompiler.ir.kernels import Array

from .preprocessing import Change, changes, invert_preprocessing, options_of
from .ranges import best_range, rounding_error
from .verdict import INPUT, Verdict

_FRAMES = 200
_SIGMAS = 4
_FACTOR = 2
_LOST = 0.5  # of the variance of the data: a program that sees less cannot be said to agree


def find(
    networks: SideBySide, model: Path, data: Data, differing: Verdict | None
) -> Verdict | None:
    """The verdict on the data, if they are wrong; ``differing`` is that on the layers."""
    by_labels = _by_labels(networks, model, data)
    if by_labels is not None:
        return by_labels
    for layer in networks.layers:
        if layer.is_input:
            found = _by_range(networks, layer, differing is not None)
            if found is not None:
                return found
    return None


def preprocessing_of(networks: SideBySide) -> Preprocessing:
    """What is compiled in."""
    return Preprocessing(**networks.program.manifest.get("preprocessing", {}))


def _by_labels(networks: SideBySide, model: Path, data: Data) -> Verdict | None:
    """The change that lets the model answer most frames right, if that is significant."""
    given, data = preprocessing_of(networks), data.spread(_FRAMES)
    manifest = networks.program.manifest
    if data.labels is None or len(data.arrays) != 1:
        return None
    right = _right(model, data, data.labels, given, manifest)
    if right is None or np.count_nonzero(~right) <= _SIGMAS**2:  # too few for significance
        return None
    names, counts = np.unique(data.labels, return_counts=True)
    commonest = data.labels == names[counts.argmax()]
    best, most = right, 0.0
    change: Change | None = None
    for tried in changes(data.arrays[0].shape[1:], given):
        arrays = (tried.apply(data.arrays[0].astype(np.float32)),)
        changed = replace(data, arrays=arrays)
        found = _right(model, changed, data.labels, tried.before, manifest)
        if found is None:
            continue
        sign = min(_significance(found, other) for other in (right, commonest))
        if sign > most:
            best, most, change = found, sign, tried
    if change is None or most < _SIGMAS:
        return None
    layer = next(layer for layer in networks.layers if layer.is_input)
    detail = (
        f"the ANN itself classifies {right.mean():.2%} of {len(data)} frames correctly; "
        f"{best.mean():.2%} if the data are {change.what}"
    )
    return Verdict(layer.name, (), INPUT, detail, change.remedy, {})


def _right(
    model: Path, data: Data, labels: Array, before: Preprocessing, manifest: Mapping[str, Any]
) -> Array | None:
    """Which frames the model answers right; None if its output is no classes or not finite."""
    try:
        scores = run_onnx(model, data, {**manifest, "preprocessing": vars(before)})
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


def _by_range(networks: SideBySide, layer: MatchedLayer, differing: bool) -> Verdict | None:
    """Whether the encoder's range is that of the data."""
    x, code = networks.values[layer.name], layer.code
    low, high = -code.zero * code.scale, (code.top - code.zero) * code.scale
    seen = f"the data range from {x.min():.4g} to {x.max():.4g}"
    covered = f"the program is compiled for {low:.4g} to {high:.4g}"
    if x.min() == x.max():
        detail = f"every number of the data is {x.min():.4g}"
        return Verdict(layer.name, (), INPUT, detail, "give other data", {})
    best = best_range(x, code)
    ratio = (best[1] - best[0]) / (high - low)
    lost = _lost(x, code)
    unlike = not 1 / _FACTOR <= ratio <= _FACTOR
    if not unlike or not (differing or lost > _LOST):
        return None
    detail = (
        f"{seen}, {covered}; the best range for these data is {ratio:.3g} times as wide; "
        f"encoding loses {min(lost, 1.0):.1%} of their variance"
    )
    return Verdict(layer.name, (), INPUT, detail, _rescaled(networks, x, code), {})


def _lost(x: Array, code: Spikes) -> float:
    """Squared error of encoding as a share of the variance."""
    return rounding_error(x, code) / (float(np.var(x, dtype=np.float64)) or 1.0)


def _rescaled(networks: SideBySide, x: Array, code: Spikes) -> str:
    """The remedy: the change of the data that the encoder's range suits best, if one does."""
    other = "give data of that range, or compile again with --calibration on data like these"
    if len(networks.data) != 1:
        return other
    given = preprocessing_of(networks)
    tried = {"divided by 255": x / 255, "multiplied by 255": x * 255}
    raw = "brought back"
    if given.active:
        tried[raw] = invert_preprocessing(x, given)
    lost = {what: _lost(changed.astype(np.float32), code) for what, changed in tried.items()}
    what = min(lost, key=lambda one: lost[one])
    if lost[what] > min(_LOST, _lost(x, code)) / _FACTOR:
        return other
    if what == raw:
        return (
            "the data are preprocessed already, and the program preprocesses them again: give raw "
            f"data, or compile without {options_of(given)}"
        )
    return f"the data fit if {what}: give them so, or {other.partition(', or ')[2]}"
