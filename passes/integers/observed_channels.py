"""Observed bounds of one population while its weights change, output channel by channel.

From one attempt to the next few slopes change, and with them few weights: only the channels whose
weights have changed are observed anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Connect, Convolve, Relay
from qcompiler.ir.spiking.input_bounds import Bounds, Incoming
from qcompiler.passes.calibration.observed_membranes import observed_bounds


class ObservedChannels:
    """Observes bounds of a population for the ``levels`` of its sources, and keeps the last."""

    def __init__(self, levels: Callable[[], Sequence[Array]]) -> None:
        self._levels = levels
        self._seen: tuple[Sequence[Incoming], Bounds, int] | None = None

    @property
    def bounds(self) -> tuple[Bounds, int] | None:
        """The last bounds, and the number of images."""
        return self._seen[1:] if self._seen else None

    def __call__(self, incoming: Sequence[Incoming]) -> tuple[Bounds, int]:
        """The bounds, and the number of images."""
        levels = self._levels()
        if self._seen is None or not _by_channel(incoming, self._seen[0], self._seen[1]):
            bounds, images = observed_bounds(incoming, levels)
        else:
            last, bounds, images = self._seen
            which = _changed(incoming, last)
            if which.any():
                some, _ = observed_bounds(*_only(incoming, levels, which), images)
                bounds = Bounds(*map(np.copy, bounds))
                for whole, part in zip(bounds, some, strict=True):
                    whole[which] = part
        self._seen = [*incoming], bounds, images
        return bounds, images


def _by_channel(incoming: Sequence[Incoming], last: Sequence[Incoming], bounds: Bounds) -> bool:
    """Whether each channel depends on weights of its own, and on no others than in the last."""
    kinds = [(one.synapse, one.weight.shape, one.source, one.top) for one in incoming]
    if kinds != [(one.synapse, one.weight.shape, one.source, one.top) for one in last]:
        return False
    return all(
        len(one.weight) == len(bounds.lowest)
        and (
            isinstance(one.synapse, Connect | Relay)
            or (isinstance(one.synapse, Convolve) and one.synapse.groups == 1)
        )
        for one in incoming
    )


def _changed(incoming: Sequence[Incoming], last: Sequence[Incoming]) -> Array:
    """The channels whose weights differ."""
    found = np.zeros(len(incoming[0].weight), bool)
    for one, before in zip(incoming, last, strict=True):
        if one.weight is not before.weight:
            apart = one.weight != before.weight
            found |= apart.reshape(len(found), -1).any(axis=1)
    return found


def _only(
    incoming: Sequence[Incoming], levels: Sequence[Array], which: Array
) -> tuple[list[Incoming], list[Array]]:
    """What these channels alone read; weights that are one array stay one."""
    weights = {id(one.weight): one.weight[which] for one in incoming}
    some, read = [], []
    for one, array in zip(incoming, levels, strict=True):
        part = array[:, which] if isinstance(one.synapse, Relay) else array
        some.append(one._replace(weight=weights[id(one.weight)], source=part.shape[1:]))
        read.append(part)
    return some, read
