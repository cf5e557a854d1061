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

from pathlib import Path

import numpy as np

from qcompiler.data import Data
from qcompiler.explain.measure.matched_layer import MatchedLayer
from qcompiler.explain.measure.side_by_side import SideBySide
from qcompiler.frontend.import_model import Preprocessing
from qcompiler.ir import Spikes
from qcompiler.ir.kernels import Array

from .answers import better_change, detail_of
from .model_answers import ModelAnswers
from .preprocessing import invert_preprocessing, options_of
from .ranges import best_range, rounding_error
from .verdict import INPUT, Verdict

_FRAMES = 200
_FACTOR = 2
_NARROWEST = 8  # data that take less than this part of the range do not suit it
OTHER_DATA = "give data of that range, or compile again with --calibration on data like these"
LOST = 0.5  # of the variance of the data: a program that sees less cannot be said to agree


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
    labels, manifest = data.labels, networks.program.manifest
    if labels is None or len(data.arrays) != 1:
        return None
    with ModelAnswers(model, data, labels, manifest) as right:
        found = better_change(right, data.arrays[0], labels, given)
    if found is None:
        return None
    change = found[0]
    layer = next(layer for layer in networks.layers if layer.is_input)
    return Verdict(layer.label, (), INPUT, detail_of(*found), change.remedy, {})


def _by_range(networks: SideBySide, layer: MatchedLayer, differing: bool) -> Verdict | None:
    """Whether the encoder's range is that of the data."""
    x, code = networks.values[layer.name], layer.code
    low, high = -code.zero * code.scale, (code.top - code.zero) * code.scale
    seen = f"the data range from {x.min():.4g} to {x.max():.4g}"
    covered = f"the program is compiled for {low:.4g} to {high:.4g}"
    if x.min() == x.max():
        detail = f"every number of the data is {x.min():.4g}"
        return Verdict(layer.label, (), INPUT, detail, "give other data", {})
    best = best_range(x, code)
    ratio = (best[1] - best[0]) / (high - low)
    lost = lost_variance(x, code)
    unlike = not 1 / _FACTOR <= ratio <= _FACTOR
    if not unlike or not (differing or lost > LOST):
        return None
    detail = (
        f"{seen}, {covered}; the best range for these data is {ratio:.3g} times as wide; "
        f"encoding loses {min(lost, 1.0):.1%} of their variance"
    )
    return Verdict(layer.label, (), INPUT, detail, _rescaled(networks, x, code), {})


def lost_variance(x: Array, code: Spikes) -> float:
    """Squared error of encoding as a share of the variance."""
    return rounding_error(x, code) / (float(np.var(x, dtype=np.float64)) or 1.0)


def _rescaled(networks: SideBySide, x: Array, code: Spikes) -> str:
    """The remedy: the change of the data that the encoder's range suits best, if one does."""
    if len(networks.data) != 1:
        return OTHER_DATA
    return rescaled(x, code, preprocessing_of(networks))


def rescaled(x: Array, code: Spikes, given: Preprocessing) -> str:
    """The same for the only input of a program."""
    tried = {"divided by 255": x / 255, "multiplied by 255": x * 255}
    raw = "brought back"
    if given.active:
        tried[raw] = invert_preprocessing(x, given)
    span = code.top * code.scale / _NARROWEST
    lost = {
        what: lost_variance(changed.astype(np.float32), code)
        for what, changed in tried.items()
        if np.ptp(changed) >= span
    }
    what = min(lost, key=lambda one: lost[one], default=raw)
    if lost.get(what, np.inf) > min(LOST, lost_variance(x, code)) / _FACTOR:
        return OTHER_DATA
    if what == raw:
        return (
            "the data are preprocessed already, and the program preprocesses them again: give raw "
            f"data, or compile without {options_of(given)}"
        )
    return f"the data fit if {what}: give them so, or {OTHER_DATA.partition(', or ')[2]}"
