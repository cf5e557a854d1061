"""What `qrun --explain` finds: layer by layer, and the causes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from qcompiler.explain.causes.verdict import Verdict
from qcompiler.explain.measure.histograms import JointHistogram


@dataclass(frozen=True)
class LayerLoss:
    """One layer; errors are root mean squares as shares of the spread of the real values.

    ``changed`` is the share of frames with another prediction (of the scores' variance, if these
    are no classes) if everything up to here spikes and the rest is real. ``error`` is that of the
    values, ``own`` what the layer adds to what it inherits, ``parts`` that by source of error.
    """

    name: str
    origin: tuple[str, ...]
    neurons: int
    t_max: int
    step: float
    changed: float
    error: float
    own: float
    parts: dict[str, float]
    dead: tuple[int, ...]
    histogram: JointHistogram | None = field(repr=False)


@dataclass(frozen=True)
class Explanation:
    """What was found on some frames; ``first`` is None if the networks agree.

    ``changed`` is the share of frames whose prediction differs from the model's, or of the variance
    of scores that are no ``classes``. ``worst`` is where the most is lost, if elsewhere.
    """

    frames: int
    given: int
    classes: bool
    changed: float
    layers: tuple[LayerLoss, ...]
    first: Verdict | None
    worst: Verdict | None
    notes: tuple[str, ...]

    @property
    def largest(self) -> LayerLoss:
        """The layer whose values are furthest from the real ones."""
        return max(self.layers, key=lambda layer: layer.error)

    def to_dict(self) -> dict[str, Any]:
        """What is known as plain JSON, without pictures."""
        layers = [asdict(replace(layer, histogram=None)) for layer in self.layers]
        for layer in layers:
            del layer["histogram"]
            layer["apart"] = layer.pop("changed")
        return {
            "frames": self.frames,
            "agree": self.first is None,
            "apart": self.changed,
            "first": None if self.first is None else asdict(self.first),
            "worst": None if self.worst is None else asdict(self.worst),
            "notes": list(self.notes),
            "layers": layers,
        }
