"""Signs that calibration data are not what the model was trained on.

A network takes any numbers, so only what the model itself tells counts: its preprocessing, the
statistics of its first batch normalisation, scores that no training leads to, and labels.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np

from qcompiler.data.scores import near_guessing
from qcompiler.explain.causes.answers import better_change, detail_of, right_of
from qcompiler.explain.causes.preprocessing import invert_preprocessing, options_of
from qcompiler.frontend.import_model import Preprocessing
from qcompiler.ir import Diagnostic, Graph
from qcompiler.ir.ann import Affine, BatchNorm
from qcompiler.ir.kernels import Array

from .calibrated_ranges import data_of
from .compared_outputs import values
from .training_statistics import variance_ratio

_NARROW, _WIDE = 0.1, 50.0  # spans of the data, in units of --scale-values
_TINY = 0.05  # span of an image that nobody trains on
_VARIANCE = 100.0  # that of training data, and of data like them, are within this factor
_MARGIN = 50.0  # between the two largest scores; its exponential is the ratio of probabilities
_IMAGE_AXES = 4
_FEW_IMAGES, _MANY_CLASSES = 32, 5
_SAME = 0.95  # of the images: so many of one class are no typical data
_PIXELS = 15.0  # whole numbers up to here or more are pixels


@dataclass(frozen=True)
class ModelInputs:
    """A model at the tensor level as imported, its preprocessing, and frames for its inputs.

    ``data`` are some of the ``given`` frames. ``folded`` is the same model without batch
    normalisations, ``scores`` the name of its only output that is a vector of several elements, in
    front of a softmax, if there is one. The ``host`` computes these inputs of other data.
    """

    graph: Graph
    folded: Graph
    before: Preprocessing
    data: tuple[Array, ...]
    given: tuple[Array, ...]
    scores: str | None
    host: Collection[str] = ()

    def findings(self, labels: Array | None, scores: Array | None) -> Iterator[Diagnostic]:
        """Warnings, the surest first: one sign of a wrong scale is enough."""
        yield from self._constant()
        for sign in (
            self._by_labels(labels, scores),
            self._by_options(),
            self._by_statistics(),
            self._by_margin(scores),
            self._by_span(),
            self._by_one_class(scores),
        ):
            if sign is not None:
                yield sign
                return

    def _constant(self) -> Iterator[Diagnostic]:
        for value, x in zip(self.graph.inputs, self.given, strict=True):
            if x.size > 1 and x.min() == x.max():
                yield Diagnostic(
                    f"every number of {data_of(value.name, self.host)} is {float(x.min()):.4g}",
                    help="calibrate with typical data",
                )

    def _by_labels(self, labels: Array | None, scores: Array | None) -> Diagnostic | None:
        if labels is None or scores is None or self.scores is None or len(self.data) != 1:
            return None
        right = right_of(scores, labels)
        if right is None or not near_guessing(float(right.mean()), scores.shape[1], labels):
            return None

        def answers(x: Array, before: Preprocessing) -> Array | None:
            return right_of(
                self._scores(invert_preprocessing(before.apply(x), self.before)), labels
            )

        found = better_change(answers, self.data[0], labels, self.before)
        if found is not None:
            return Diagnostic(detail_of(*found), help=found[0].remedy)
        return Diagnostic(
            f"the ANN itself classifies only {right.mean():.2%} of {len(right)} labelled "
            "calibration inputs correctly",
            help="check --scale-values and --mean-values against the training code, and the labels",
        )

    def _by_options(self) -> Diagnostic | None:
        """Data that are scaled already, or not as the options say."""
        scaled = any(abs(value) != 1 for value in self.before.scale)
        units = self.before.scale if scaled else self.before.mean
        unit = float(np.median(np.abs(units))) if units else 0.0
        if not unit or len(self.data) != 1:
            return None
        low, high = float(self.given[0].min()), float(self.given[0].max())
        if low == high or _NARROW <= (high - low) / unit <= _WIDE:
            return None
        options = options_of(self.before)
        narrow = (high - low) / unit < _NARROW
        return Diagnostic(
            f"the calibration data range from {low:.4g} to {high:.4g}, which does not suit "
            + options
            + (": are they scaled twice?" if narrow else ""),
            help=f"give raw data, or compile without {options}"
            if narrow
            else "give --mean-values and --scale-values in the units of the data",
        )

    def _by_statistics(self) -> Diagnostic | None:
        """Whether the first batch normalisation saw like variances in training."""
        found = variance_ratio(self.graph, self.data)
        if found is None:
            return None
        node, ratio = found
        if 1 / _VARIANCE <= ratio <= _VARIANCE:
            return None
        times = np.sqrt(ratio)
        text = f"{times:,.3g} times" if times > 1 else f"a {1 / max(times, 1e-9):,.3g}th of"
        return Diagnostic(
            f"the calibration data make the values in front of a batch normalisation vary {text} "
            "as much as the training data did",
            node.origin,
            _scale_help(self.before, float(times), max(float(np.abs(x).max()) for x in self.data)),
        )

    def _by_margin(self, scores: Array | None) -> Diagnostic | None:
        """Pixels, no preprocessing, and scores that only scaled pixels make probabilities of."""
        if scores is None or self.scores is None or self.before.active or len(self.data) != 1:
            return None
        x = self.data[0]
        highest = float(x.max())
        if highest < _PIXELS or x.min() < 0 or np.any(x != np.rint(x)) or self._scales_itself():
            return None
        if _margin(scores) <= _MARGIN or not 1 < _margin(self._scores(x / highest)) <= _MARGIN:
            return None
        return Diagnostic(
            f'the calibration data for input "{self.graph.inputs[0].name}" are whole numbers up to '
            f"{highest:.4g}, and the model's two largest scores lie {_margin(scores):,.0f} apart: "
            "was it trained on scaled data?",
            help=_scale_help(self.before, highest, highest),
        )

    def _by_span(self) -> Diagnostic | None:
        """Images of hardly any contrast."""
        for value, x in zip(self.graph.inputs, self.given, strict=True):
            span = float(x.max()) - float(x.min())
            if x.ndim == _IMAGE_AXES and 0 < span < _TINY:
                return Diagnostic(
                    f'the calibration data for input "{value.name}" range only from '
                    f"{float(x.min()):.4g} to {float(x.max()):.4g}: are they scaled twice?",
                    help="give data as the model was trained on",
                )
        return None

    def _by_one_class(self, scores: Array | None) -> Diagnostic | None:
        """Images that all look the same to a classifier."""
        if scores is None or len(scores) < _FEW_IMAGES or scores.shape[1] < _MANY_CLASSES:
            return None
        if len(self.data) != 1 or self.data[0].ndim != _IMAGE_AXES:
            return None
        most = int(np.bincount(scores.argmax(axis=1)).max())
        if most < _SAME * len(scores):
            return None
        return Diagnostic(
            f"the ANN itself gives {most} of {len(scores)} calibration inputs the same class",
            help="calibrate with typical data; check --scale-values and --mean-values",
        )

    def _scales_itself(self) -> bool:
        users = self.graph.users(self.graph.inputs[0])
        return any(isinstance(node.op, Affine | BatchNorm) for node in users)

    def _scores(self, raw: Array) -> Array:
        assert self.scores is not None
        return values(self.folded, (raw.astype(np.float32),), [self.scores])[self.scores]


def _margin(scores: Array) -> float:
    """The median over frames of the distance of the two largest scores."""
    ordered = np.sort(scores.reshape(len(scores), -1), axis=1)
    return float(np.median(ordered[:, -1] - ordered[:, -2]))


def _scale_help(before: Preprocessing, times: float, highest: float) -> str:
    """A remedy for data that are this many times too large, up to ``highest``."""
    if before.active:
        return f"check {options_of(before) or 'the preprocessing'} against the training code"
    if times < 1:
        return "give data as the model was trained on: these may be scaled twice"
    options = "compile with the --scale-values and --mean-values of the training code"
    if highest / 2 <= times <= 2 * highest:
        return f"{options}, such as --scale-values {highest:.4g}"
    return options
