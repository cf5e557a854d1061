"""Lower the tensor level to integer neurons: weights W, bias B and slope D of every population.

A fusion group ``y = clip(gain (w x + b) + c)``, with x and y quantized as ``s (q - z)``, becomes
``q_y = clip(floor((W q_x + B) / D), 0, T)``:

    W = round(D g w s_x / s_y)      B = round(D ((g b + c) / s_y + z_y)) - z_x sum(W) + D // 2

``w x`` and ``z_x sum(W)`` are sums over the branches of the group; each branch has its own x. Where
the gain varies over space, g is the largest of the channel; a neuron of a smaller gain has a larger
slope: round(D g / gain).

The slope D of a channel is as large as its weights and membrane potentials allow, so that every
channel uses all bits of its weights. The term of the zero point differs between neurons, because
neurons at padded borders have fewer weights.

`quantization.rounding` computes W and B, and `quantization.slope_limits` D.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from qcompiler.ir import Graph, Invariant
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.invariants import NO_BATCHNORM, SPIKING, TENSOR_LEVEL
from qcompiler.passes.base import HIDDEN, Pass, check_limits
from qcompiler.passes.calibration.data import check_effort
from qcompiler.passes.integers.options import OnRounding
from qcompiler.passes.integers.quantizer import Quantizer
from qcompiler.passes.quantization.levels import PRECISE, check_levels
from qcompiler.passes.quantization.membrane_limits import Limits
from qcompiler.passes.quantization.slope_limits import check_weight_bits

_EXACT = (1 << 23) - 1


@dataclass(frozen=True)
class Quantize(Pass):
    """Turn ranged tensors into spikes and layers into integer synapses and neurons.

    Levels: ``t_max`` for inner layers, ``output_t_max`` for outputs (0: t_max, but at least 64, so
    that the largest logit stays distinguishable). `split-inputs` sets those of inputs.

    Limits of the target: ``weight_bits``; ``potential`` bounds the membrane and ``input`` the input
    of one step, in units of weights. If a proof of these limits for all inputs would cost weight
    bits, the limits hold for the calibration data with a margin. ``proved`` asks for the proof in
    all cases. With ``pieces`` the limits hold for the pieces that `split-windows` makes of outputs,
    too; with ``bursts`` none are digits.

    ``calibration`` holds one array per input, ``images x shape``. With ``effort`` 1 or 2 (up to
    four times the images, and the positions of these) every layer is fitted to the quantized layers
    before it; with 0, or without data, weights are rounded to nearest. A layer that is fitted loses
    its least weights, and with them synaptic events, as long as this adds an error of at most
    ``prune`` of the variance of its sums. With ``spare`` a weight also stays if its share of the
    network's synaptic events is worth less than the noise that it would add to the outputs: all
    events are worth ``spare`` times the noise of rounding to levels, and few synapses are parallel.
    The layers of a quantised model keep its integer weights where these fit; ``rounding`` is called
    with the name of each, and how it rounds, or None if it keeps them not or does not read codes
    alone. Raises UnsupportedModel for operators without a spiking form.
    """

    name: ClassVar[str] = "quantize"
    requires: ClassVar[tuple[Invariant, ...]] = (TENSOR_LEVEL, NO_BATCHNORM)
    establishes: ClassVar[tuple[Invariant, ...]] = (SPIKING,)
    t_max: int = 16
    output_t_max: int = 0
    weight_bits: int = 8
    potential: int = _EXACT
    input: int = _EXACT
    proved: bool = False
    pieces: bool = False
    bursts: bool = False
    effort: int = 0
    prune: float = 0.0
    spare: float = 0.0
    calibration: tuple[Array, ...] | None = field(default=None, metadata=HIDDEN, compare=False)
    progress: Callable[[float], None] | None = field(default=None, metadata=HIDDEN, compare=False)
    rounding: OnRounding = field(default=None, metadata=HIDDEN, compare=False)

    def __post_init__(self) -> None:
        check_levels(self.t_max, output_t_max=self.output_t_max)
        check_weight_bits(self.weight_bits)
        check_effort(self.effort)
        check_limits(potential=self.potential, input=self.input)
        if not 0 <= self.prune < 1:
            raise ValueError(f"prune must be at least 0 and below 1, not {self.prune:g}")
        if not 0 <= self.spare < np.inf:
            raise ValueError(f"spare must be at least 0, not {self.spare:g}")

    def __call__(self, graph: Graph) -> Graph:
        """Lower node by node."""
        return Quantizer(graph, self).run()

    @property
    def limits(self) -> Limits:
        """Limits of weights, membrane potentials and inputs."""
        weight = (1 << (self.weight_bits - 1)) - 1
        fine, dear = self.t_max >= PRECISE, self.spare > 0
        return Limits(weight, self.potential, self.input, _EXACT, fine=fine, dear=dear)


def weight_bits_in(pipeline: str) -> int:
    """How many bits the text of a pipeline gives to weights."""
    found = re.search(r"quantize\{[^}]*weight_bits=(\d+)", pipeline)
    return int(found[1]) if found else Quantize.weight_bits
