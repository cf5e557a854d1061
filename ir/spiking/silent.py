"""One spike a value, but none for level 0: inputs that are mostly zeros cost less."""

from __future__ import annotations

from qcompiler.ir.kernels import Array

from .one_spike import OneSpike


class Silent(OneSpike):
    """One spike for each level but 0, and a marker of it, which ends its effect.

    The marker leaves when level 0 would spike, by an axon of its own with negated weights. So the
    currents of readers are 0 in the end, whatever was silent, and need no counterweight. Only the
    host sends this code, to populations: neurons would need another neuron for the marker.
    """

    name = "silent"
    description = "one spike a value and its marker, none for level 0; for inputs"

    def spikes_of(self, levels: Array) -> Array:
        """Two: the spike and its marker."""
        found: Array = 2 * (levels > 0)
        return found

    def sends(self, levels: Array, step: int, top: int) -> Array:
        """At ``top - level``, unless the level is 0."""
        return super().sends(levels, step, top) & (levels > 0)

    def marks(self, levels: Array, step: int, top: int) -> Array:
        """Whether the markers of levels leave at this step."""
        found: Array = (levels > 0) & (step == top)
        return found
