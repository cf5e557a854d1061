"""What the authors of the method measured on boards of Loihi 1: MNIST, an image at a time.

From the probes in "Quartz-on-Loihi", CNN/mnist-EDP-plot.ipynb. By our count their network updates
5,568 neurons, those that send biases included, and has 271 thousand synaptic events.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qcompiler.backends.energy.activity import Levels
from qcompiler.backends.energy.cost_model import CostModel
from qcompiler.backends.energy.estimate import Estimate, Measurement, estimate
from qcompiler.backends.energy.wiring import Wiring

NEURONS, EVENTS = 5_568, 271_000


class Measured(NamedTuple):
    """Steps of an image, us of a step, power in mW: dynamic and static of cores, all of the x86."""

    t_max: int
    steps: int
    step_us: float
    dynamic_mw: float
    static_mw: float
    x86_mw: float
    error_percent: float

    @property
    def cores_uj(self) -> float:
        """Energy of the cores' operations for an image."""
        return self.steps * self.step_us * self.dynamic_mw * 1e-3

    @property
    def all_uj(self) -> float:
        """Energy of cores and x86 processors for an image, static energy included."""
        power = self.dynamic_mw + self.static_mw + self.x86_mw
        return self.steps * self.step_us * power * 1e-3

    @property
    def edp_ujs(self) -> float:
        """Energy of all times the time of an image."""
        return self.all_uj * self.steps * self.step_us * 1e-6


MEASURED = (
    Measured(8, 51, 96.04, 6.894, 4.220, 23.04, 34.86),
    Measured(16, 91, 53.93, 9.291, 5.094, 22.80, 0.77),
    Measured(32, 171, 28.81, 17.41, 4.402, 22.23, 0.75),
    Measured(64, 331, 17.44, 24.14, 4.853, 21.43, 0.74),
    Measured(128, 651, 13.30, 33.50, 4.518, 20.79, 0.72),
)


def predicted(steps: int, model: CostModel) -> Estimate:
    """What a model says of their network, in which an image takes so many steps."""
    name = "network"
    fan_out = {name: np.full(NEURONS, EVENTS / NEURONS)}
    synapses = {(name, name): EVENTS}
    neurons = {name: NEURONS}
    wiring = Wiring(neurons, frozenset(), fan_out, synapses, {}, {}, 0, steps, steps)
    activity = {name: Levels(NEURONS, NEURONS, EVENTS, EVENTS)}
    return estimate(wiring, Measurement(activity, 1, "assumed"), model)
