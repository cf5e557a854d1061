"""Upper ends of channels, as far apart as calibration can tell.

The largest of few values is mostly chance: a channel whose scale follows a low one cuts the next
values. Ends are therefore drawn together, as James and Stein do (Proc. 4th Berkeley Symp. 1, 1961):
of their variance s^2, of logarithms, the share

    max(0, 1 - d^2 / s^2)

stays, where d^2 is that of chance: the mean squared distance of ends from those of half of the
frames, one of each two, as data may alternate. For averages of n values that is the variance of n.
So it is for the largest: in half of all cases it is that of the half, else two independent ones
differ, by twice the variance. High ends are drawn half as far: one that is too low cuts values,
which costs more than levels that are too wide.
"""

from __future__ import annotations

import numpy as np

from qcompiler.ir.kernels import Array
from qcompiler.passes.calibration.channel_ranges import ChannelSample
from qcompiler.passes.calibration.snap import snapped

_GOLDEN = (np.sqrt(5) - 1) / 2


def one_of_two(count: int) -> Array:
    """Which of so many to take: one of each two in a row, without a period; none of one."""
    pairs = np.arange(count // 2)
    chosen = np.zeros(count, bool)
    chosen[2 * pairs + (pairs * _GOLDEN % 1 < 0.5)] = True
    return chosen


class SteadyTops:
    """A sample of every channel of a value, and of half of so many frames.

    Of a single frame it is half of the places. See `ChannelSample` for ``rare``.
    """

    def __init__(self, frames: int, rare: bool = False) -> None:
        self._frames = one_of_two(frames)
        self._whole = ChannelSample(frames, rare)
        self._half = ChannelSample((frames + 1) // 2, rare)
        self._seen = self._halved = 0  # frames

    def add(self, batch: Array) -> None:
        """Add a sample of a batch, ``frames x channels x ..``."""
        self._whole.add(batch)
        half = batch[self._frames[self._seen : self._seen + len(batch)]]
        if len(self._frames) == 1:
            places = batch.reshape(*batch.shape[:2], -1)
            half = places[:, :, one_of_two(places.shape[2])]
        if half.size:
            self._half.add(half)
            self._halved += len(half)
        self._seen += len(batch)

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
        half = self._half.tops(levels) if self._halved else np.zeros(len(tops))
        both = (tops > 0) & (half > 0)
        if both.sum() < 2:
            return 0.0
        ends = np.log(tops[both])
        spread = float(ends.var(ddof=1))
        chance = float(np.square(ends - np.log(half[both])).mean())
        return max(0.0, 1 - chance / spread) if spread > 0 else 0.0
