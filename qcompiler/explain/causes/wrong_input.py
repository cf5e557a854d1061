"""Data that are not what the network was trained, or the program compiled, for.

Two signs, each by itself enough:

- With labels: the model answers significantly more frames right if the data are changed in one of
  the ways that users get wrong; more also than the commonest class alone would be, lest labels that
  are wrong make any noise look better. Of the frames that only one of both answers right, as many
  as by chance would differ by one standard deviation, the root of their number, from half
  (McNemar); four are asked for, because a dozen ways are tried.
- Without: the range that suits these data best is less than half, or more than twice, the one
  that the program was calibrated for, which then loses some of them, and the networks part. A wide
  range loses none that matter if the scores hardly change when the input alone has levels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from qcompiler.backends.program.program import Program
from qcompiler.data import Data
from qcompiler.explain.measure.matched_layer import MatchedLayer
from qcompiler.explain.measure.side_by_side import SideBySide
from qcompiler.frontend.import_model import Preprocessing
from qcompiler.ir.spiking.coding import Rescaling

from .answers import better_change, detail_of
from .coded_input import CodedInput
from .model_answers import ModelAnswers
from .preprocessing import invert_preprocessing, options_of
from .ranges import best_range
from .verdict import INPUT, Verdict

_FRAMES = 200
_FACTOR = 2
CUT = 0.05  # of the variance of the data: what a range cuts of data that are not wrong is less
_NARROWEST = 8  # data that take less than this part of the range do not suit it
OTHER_DATA = "give data of that range, or compile again with --calibration on data like these"
HARDLY = 0.01  # of the frames, or of the scores' variance: what an input may change
LOST = 0.5  # of the variance of the data: a program that sees less cannot be said to agree


def find(
    networks: SideBySide, model: Path, data: Data, differing: Verdict | None, by: Sequence[float]
) -> Verdict | None:
    """The verdict on the data, if they are wrong; ``differing`` is that on the layers.

    ``by`` is by how much each layer changes the scores, in the order of the layers.
    """
    by_labels = _by_labels(networks, model, data)
    if by_labels is not None:
        return by_labels
    for layer, changed in zip(networks.layers, by, strict=True):
        if layer.is_input:
            found = _by_range(networks, layer, differing is not None, changed > HARDLY)
            if found is not None:
                return found
    return None


def preprocessing_of(program: Program) -> Preprocessing:
    """What is compiled in."""
    return Preprocessing(**program.manifest.get("preprocessing", {}))


def _by_labels(networks: SideBySide, model: Path, data: Data) -> Verdict | None:
    """The change that lets the model answer most frames right, if that is significant."""
    given, data = preprocessing_of(networks.program), data.spread(_FRAMES)
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


def _by_range(
    networks: SideBySide, layer: MatchedLayer, differing: bool, counts: bool
) -> Verdict | None:
    """Whether the encoder's range is that of the data; ``counts`` says if its levels matter."""
    coded = _coded(networks, layer)
    if coded.raw.min() == coded.raw.max():
        detail = f"every number of the data is {coded.raw.min() + 0.0:.4g}"
        return Verdict(layer.label, (), INPUT, detail, "give other data", {})
    best = best_range(coded.rescaled, coded.code)
    ratio, lost = (best[1] - best[0]) / coded.width, coded.lost
    narrow = ratio * _FACTOR < 1 and (counts or lost > CUT)
    unlike = narrow or (ratio > _FACTOR and lost > CUT)
    if not unlike or not (differing or lost > LOST):
        return None
    detail = (
        f"the data {coded.text}; the best range for these data is {ratio:.3g} times as wide; "
        f"encoding loses {min(lost, 1.0):.1%} of their variance"
    )
    alone = len(networks.data) == 1
    remedy = remedy_of(layer.label, coded, networks.program, alone)
    return Verdict(layer.label, (), INPUT, detail, remedy, {})


def _coded(networks: SideBySide, layer: MatchedLayer) -> CodedInput:
    names = [value.name for value in networks.real.inputs]
    return CodedInput(networks.data[names.index(layer.label)], layer.code, Rescaling.of(layer.node))


def remedy_of(name: str, coded: CodedInput, program: Program, alone: bool) -> str:
    """What helps against data that the range of an input does not suit; ``alone`` has no others.

    Where a few calibration frames have set the range, the data may be right as they are.
    """
    check = program.manifest.get("calibration_check")
    outliers = check.get("outliers") if isinstance(check, Mapping) else None
    if isinstance(outliers, Mapping) and name in outliers:
        return f"compile again without {outliers[name]} of the calibration data"
    return _rescaled(coded, preprocessing_of(program)) if alone else OTHER_DATA


def _rescaled(coded: CodedInput, given: Preprocessing) -> str:
    """The remedy: the change of the data that the encoder's range suits best, if one does.

    ``given`` is the preprocessing that is compiled in; the data are those behind it.
    """
    raw = "brought back"
    tried = {"divided by 255": coded.raw / 255, "multiplied by 255": coded.raw * 255}
    if given.active:
        tried[raw] = invert_preprocessing(coded.raw, given)
    others = {what: replace(coded, raw=x.astype(np.float32)) for what, x in tried.items()}
    least = coded.width / _NARROWEST
    lost = {what: one.lost for what, one in others.items() if np.ptp(one.rescaled) >= least}
    what = min(lost, key=lambda one: lost[one], default=raw)
    if lost.get(what, np.inf) > min(LOST, coded.lost) / _FACTOR:
        return OTHER_DATA
    if what == raw:
        return (
            "the data are preprocessed already, and the program preprocesses them again: give raw "
            f"data, or compile without {options_of(given)}"
        )
    return f"the data fit if {what}: give them so, or {OTHER_DATA.partition(', or ')[2]}"
