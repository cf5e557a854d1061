"""What the search for the least energy varies, and the options of the pipeline that it becomes."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, pairwise
from typing import NamedTuple

from .alternate import ALTERNATE, Options

T_MAX = (2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24, 32)
SPARE = (0.5, 1.0, 2.0, 4.0, 8.0)  # of `quantize`; the first hardly adds to the noise
# t_max and that of every second layer, which is 0 or the next
_SIZES = [(T_MAX[0], 0), *chain.from_iterable(((t, s), (s, 0)) for t, s in pairwise(T_MAX))]


class CostedProgram(NamedTuple):
    """t_max, slices, levels of inputs, what events are worth, and t_max of every second layer.

    That is 0 if it has no other.
    """

    t_max: int
    slices: int
    levels: int
    spare: float = SPARE[0]
    alternate: int = 0

    @classmethod
    def of(cls, t_max: int, options: Options) -> CostedProgram:
        """That of some options."""
        given = dict(options)
        slices, levels = int(given["slices"]), int(given["levels"])
        return cls(t_max, slices, levels, given["spare"], int(given.get(ALTERNATE, 0)))

    def options(self, base: int) -> Options:
        """Inputs get as many digits of this base, or of t_max if that is less, as they need."""
        base = min(self.t_max, base)
        digits = next(n for n in range(1, 17) if base**n >= self.levels)
        given = {"slices": self.slices, "levels": self.levels, "digits": digits}
        found = given | {"spare": self.spare}
        return tuple((found | ({ALTERNATE: self.alternate} if self.alternate else {})).items())

    def smaller(self) -> CostedProgram | None:
        """The same with a smaller t_max in every second layer; None if they differ already."""
        at = _SIZES.index((self.t_max, self.alternate))
        return self._sized(_SIZES[at - 1]) if at and not self.alternate else None

    def larger(self) -> Iterable[CostedProgram]:
        """Itself, and the same with the next larger t_max, of every second layer and of all."""
        at = _SIZES.index((self.t_max, self.alternate))
        return map(self._sized, _SIZES[at : at + 3])

    def _sized(self, size: tuple[int, int]) -> CostedProgram:
        return self._replace(t_max=size[0], alternate=size[1])
