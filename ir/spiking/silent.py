"""One spike a value, but none for level 0: values that are mostly zeros cost less."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Role, Window

from .code import Neurons
from .dynamics import PULSES, ROLES
from .one_spike import OneSpike


class Silent(OneSpike):
    """One spike for each level but 0, and a marker of it, which ends its effect.

    The marker leaves when level 0 would spike, by an axon of its own with negated weights. So the
    currents of readers are 0 in the end, whatever was silent, and need no counterweight. The host
    sends the markers of inputs. Those of a population are neurons that hear its spikes and, at
    close, a clock. First-spike gates need no marker, but have their own.

    A population is reset at close, before level 0 would spike. It needs no force, and no
    inhibition: after its spike a membrane rises by D at each of fewer than ``t_max`` steps, which
    is below the threshold. That is the one of `OneSpike`, with which no input of one step is larger
    than there.
    """

    name = "silent"
    description = "one spike a value and its marker, none for level 0"
    roles = tuple(role for role in ROLES if role != "force")
    pulses = tuple(role for role in PULSES if role != "force")
    has_markers = True

    def spikes_of(self, levels: Array) -> Array:
        """One for all but level 0; markers are not counted."""
        found: Array = (levels > 0).astype(levels.dtype)
        return found

    def sends(self, levels: Array, step: int, top: int) -> Array:
        """At ``top - level``, unless the level is 0."""
        return super().sends(levels, step, top) & (levels > 0)

    def busy_steps(self, window: Window) -> int:
        """The reset at close may be the step of the next frame's open."""
        return window.close - window.open

    def reset_step(self, window: Window) -> int:
        """Close."""
        return window.close

    def clock_weights(self, neurons: Neurons) -> dict[Role, Array]:
        """Those of `OneSpike`, without force."""
        found = super().clock_weights(neurons)
        del found["force"]
        return found

    def self_weight(self, neurons: Neurons, lines: Mapping[int, Array], threshold: int) -> Array:
        """None."""
        return np.zeros((1,) * neurons.drive.net.ndim)
