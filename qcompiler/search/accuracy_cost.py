"""What accuracy changed answers cost.

Answers change both ways, from right to wrong and from wrong to right: how much accuracy is lost is
known far less surely than how many answers change, and one schedule's loss is mostly chance. So it
is taken from the answers that changed, at the rate at which noise at the outputs costs accuracy on
the same images, corrected by what all schedules together have lost.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qcompiler.ir.kernels import Array

from .drift import LossEstimate, estimate_loss

_SIZES = np.geomspace(1e-3, 1, 97)  # of noise, in ranges of the outputs
_BANDWIDTH = 0.5  # noise of like drift counts: standard deviation of the logarithm of their ratio
_NEAR = 3.0  # times the answers that may change: farther trials teach nothing about the budget
_FACTOR_LIMIT = 4.0  # factor by which errors may differ from noise
_STANDARD_ERRORS = 2.0  # standard errors
_NOTHING = 1e-9  # percent
_RIDGE = 0.01  # squared spread of drifts, of their mean, that gives a slope no meaning


class AccuracyCost:
    """What accuracy changed answers cost on some images, to judge schedules by.

    ``real`` holds the outputs of the trained network, ``images x classes``, ``labels`` a class for
    each image; without, there is nothing to reckon and judgements stay as they are. ``percent`` is
    the budget, in points of accuracy. ``noise`` judges noise of standard deviations ``sizes`` at
    all outputs.
    """

    def __init__(self, real: Array, labels: Array | None, percent: float) -> None:
        rng = np.random.default_rng(0)
        self.sizes = np.ptp(real) * _SIZES
        self.noise = [
            estimate_loss(real, real + size * rng.standard_normal(real.shape), labels)
            for size in self.sizes
        ]
        changing = [one for one in self.noise if one.drift > 0]
        self._known = np.array([(one.drop or 0.0, one.drift) for one in changing]).reshape(-1, 2).T
        within = (one.drift for one in self.noise if self._noisy_drop(one.drift) <= percent)
        self._percent, self._near = percent, _NEAR * max(within, default=0.0)

    def expected(
        self, found: LossEstimate, factor: float = 1.0, errors: float = 1.0
    ) -> LossEstimate:
        """The same with the ``drop`` that is to be expected, but no less than it surely has.

        It is that of so many standard ``errors`` more changed answers than were seen.
        """
        if found.drop is None:
            return found
        least = found.drop - _STANDARD_ERRORS * found.standard_error
        drift = max(0.0, found.drift + errors * found.drift_error)
        return found._replace(drop=max(factor * self._noisy_drop(drift), least))

    def factor(self, found: Sequence[LossEstimate]) -> float:
        """How much more trials lose than noise that changes as many answers.

        Those count that change a few times as many as would use up the budget, and as one more of
        them noise itself.
        """
        near = [one for one in found if one.drop is not None and one.drift <= self._near]
        lost = self._percent + sum(one.drop or 0.0 for one in near)
        noisy = self._percent + sum(self._noisy_drop(one.drift) for one in near)
        return float(np.clip(lost / max(noisy, _NOTHING), 1 / _FACTOR_LIMIT, _FACTOR_LIMIT))

    def _noisy_drop(self, drift: float) -> float:
        """Drop of noise that changes so many answers: each of them costs more, the more there are.

        Their cost is taken as linear in ``drift`` nearby.
        """
        drop, drifts = self._known
        if drift <= 0 or not len(drifts):
            return 0.0
        weights = drifts * np.exp(-((np.log(drifts / drift) / _BANDWIDTH) ** 2) / 2)
        cost, middle = np.average((drop / drifts, drifts), axis=1, weights=weights)
        away = drifts - middle
        spread = weights @ away**2 + _RIDGE * weights.sum() * middle**2
        steep = (weights @ (away * drop / drifts)) / spread
        return max(0.0, drift * float(cost + steep * (drift - middle)))
