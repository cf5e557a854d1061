"""Upper ends of channels, as far apart as calibration can tell.

The largest of few values is mostly chance: a channel whose scale follows a low one cuts the next
values. Ends are therefore drawn together, as James and Stein do (Proc. 4th Berkeley Symp. 1, 1961):
of their variance s^2, of logarithms, the share

    max(0, 1 - d^2 / s^2)

stays, where d^2 is that of chance: the mean squared distance of ends from those of either half of
the frames, which has one of each two, as data may alternate. For averages of n values that is the
variance of n. So it is for the largest: in half of all cases it is that of the half, else two
independent ones differ, by twice the variance. High ends are drawn half as far: one that is too low
cuts values, which costs more than levels that are too wide.
"""

from __future__ import annotations

import numpy as np

from qcompiler.ir.kernels import Array
from qcompiler.passes.calibration.channel_ranges import ChannelSample
from qcompiler.passes.calibration.snap import snapped

_GOLDEN = (np.sqrt(5) - 1) / 2


def halves_of(count: int) -> Array:
    """Which of so many each half has, ``2 x count``: one of each two in a row, without a period.

    The last of an odd number is in none.
    """
    pairs = np.arange(count // 2)
    chosen, first = np.zeros((2, count), bool), pairs * _GOLDEN % 1 < 0.5
    chosen[0, 2 * pairs + first] = True
    chosen[1, 2 * pairs + ~first] = True
    return chosen


class SteadyTops:
    """A sample of every channel of a value, and of two halves of so many frames.

    Of a single frame these are halves of the places. See `ChannelSample` for ``rare``.
    """

    def __init__(self, frames: int, rare: bool = False) -> None:
        self._frames = halves_of(frames)
        self._whole = ChannelSample(frames, rare)
        self._halves = [ChannelSample(max(1, frames // 2), rare) for _ in self._frames]
        self._seen, self._halved = 0, False

    def add(self, batch: Array) -> None:
        """Add a sample of a batch, ``frames x channels x ..``."""
        self._whole.add(batch)
        for half, part in zip(self._halves, self._parts(batch), strict=True):
            if part.size:
                half.add(part)
                self._halved = True
        self._seen += len(batch)

    def _parts(self, batch: Array) -> list[Array]:
        """What each half has of a batch."""
        if self._frames.shape[1] == 1:
            places = batch.reshape(*batch.shape[:2], -1)
            return [places[:, :, chosen] for chosen in halves_of(places.shape[2])]
        return [batch[chosen] for chosen in self._frames[:, self._seen : self._seen + len(batch)]]

    def tops(self, levels: int) -> Array:
        """See `ChannelSample.tops`; those of frames that tell nothing are alike."""
        found = self._whole.tops(levels)
        speaking = found > 0
        if not speaking.any():
            return found
        ends, share = np.log(found[speaking]), self._share(found, levels)
        middle = ends.mean()
        of_high = (1 + share) / 2 if self._halved else share
        apart = (ends - middle) * np.where(ends > middle, of_high, share)
        found[speaking] = snapped(np.exp(middle + apart))
        return found

    def _share(self, tops: Array, levels: int) -> float:
        """How much of what these ends differ by is not chance."""
        halves = [half.tops(levels) if self._halved else 0 * tops for half in self._halves]
        known = np.all([tops, *halves], axis=0)
        if known.sum() < 2:
            return 0.0
        ends = np.log(tops[known])
        spread = float(ends.var(ddof=1))
        chance = float(np.mean([np.square(ends - np.log(half[known])) for half in halves]))
        return max(0.0, 1 - chance / spread) if spread > 0 else 0.0
