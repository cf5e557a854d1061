"""The scores of the real network, and how far others are from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qcompiler.ir.kernels import Array

from .side_by_side import SideBySide


@dataclass(frozen=True)
class RealScores:
    """Scores of the real network; ``classes`` says whether the largest of them names a class."""

    scores: tuple[Array, ...]
    classes: bool

    @classmethod
    def of(cls, networks: SideBySide) -> RealScores:
        """Scores are classes if there is one vector of them per frame."""
        scores = tuple(networks.values[name] for name in networks.scores)
        flat = len(scores) == 1 and scores[0][0].size == scores[0].shape[1] > 1
        return cls(scores, flat)

    def chosen(self, scores: tuple[Array, ...]) -> Array:
        """The class of every frame."""
        found: Array = scores[0].reshape(len(scores[0]), -1).argmax(axis=1)
        return found

    def changed_share(self, scores: tuple[Array, ...]) -> float:
        """Share of frames of another class, or what `distance` is where there are no classes."""
        if self.classes:
            return float(np.mean(self.chosen(scores) != self.chosen(self.scores)))
        return self.distance(scores)

    def distance(self, scores: tuple[Array, ...]) -> float:
        """Squared error of the scores as a share of their variance; of classes without mean."""
        pairs = zip(scores, self.scores, strict=True)
        found = [
            relative(self._centred(ours - theirs), self._centred(theirs)) for ours, theirs in pairs
        ]
        return float(np.mean(np.square(found)))

    def _centred(self, scores: Array) -> Array:
        return scores - scores.mean(axis=1, keepdims=True) if self.classes else scores


def relative(error: Array, values: Array) -> float:
    """Root mean square of an error as a share of the standard deviation of values."""
    spread = float(np.std(values, dtype=np.float64)) or 1.0
    return float(np.sqrt(np.mean(np.square(error, dtype=np.float64)))) / spread
