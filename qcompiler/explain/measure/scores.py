"""The scores of the real network, and how far others are from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qcompiler.data.scores import predictions
from qcompiler.ir.kernels import Array

from .side_by_side import SideBySide

_SINGLE = 1e-5  # of the largest value: what single precision makes of a constant


@dataclass(frozen=True)
class RealScores:
    """Scores of the real network; ``classes`` says whether the largest of them names a class."""

    scores: tuple[Array, ...]
    classes: bool

    @classmethod
    def of(cls, networks: SideBySide, labels: Array | None) -> RealScores:
        """Scores are classes if there is one vector per frame that names some (`predictions`)."""
        scores = tuple(networks.values[name] for name in networks.scores)
        vector = len(scores) == 1 and scores[0].ndim == 2
        return cls(scores, vector and predictions(scores[0], labels) is not None)

    def chosen(self, scores: tuple[Array, ...]) -> Array:
        """The class of every frame."""
        found: Array = scores[0].reshape(len(scores[0]), -1).argmax(axis=1)
        return found

    def changed_share(self, scores: tuple[Array, ...]) -> float:
        """Share of frames of another class, or what `distance` is where there are no classes."""
        if self.classes:
            return float(np.mean(self.chosen(scores) != self.chosen(self.scores)))
        return self.distance(scores)

    def margin(self, scores: tuple[Array, ...]) -> float:
        """The largest distance of the two best scores where the class changes, in spreads."""
        changed = self.chosen(scores) != self.chosen(self.scores)
        best = np.sort(self.scores[0][changed], axis=1)[:, -2:]
        return float(np.ptp(best, axis=1).max(initial=0.0) / (np.std(self.scores[0]) or 1.0))

    def distance(self, scores: tuple[Array, ...]) -> float:
        """Squared error of the scores as a share of their variance; of classes without mean.

        Elements of a vector that is no classes may have unlike units: their shares are averaged.
        """
        pairs = list(zip(scores, self.scores, strict=True))
        if self.classes:
            pairs = [(_centred(ours), _centred(theirs)) for ours, theirs in pairs]
        else:
            pairs = [_in_spreads(ours, theirs) for ours, theirs in pairs]
        found = [relative(ours - theirs, theirs) for ours, theirs in pairs]
        return float(np.mean(np.square(found)))


def _centred(scores: Array) -> Array:
    found: Array = scores - scores.mean(axis=1, keepdims=True)
    return found


def _in_spreads(ours: Array, theirs: Array) -> tuple[Array, Array]:
    """Both without the mean, in units of the standard deviation of every element of a vector."""
    if theirs.ndim != 2 or len(theirs) < 2:
        return ours, theirs
    mean, spread = theirs.mean(axis=0), theirs.std(axis=0, dtype=np.float64)
    moves = spread > _SINGLE * np.abs(theirs).max(axis=0)
    if not moves.any():
        return ours, theirs
    one, other = ((x - mean)[:, moves] / spread[moves] for x in (ours, theirs))
    return one, other


def relative(error: Array, values: Array) -> float:
    """Root mean square of an error as a share of the standard deviation of values."""
    spread = float(np.std(values, dtype=np.float64)) or 1.0
    return float(np.sqrt(np.mean(np.square(error, dtype=np.float64)))) / spread
