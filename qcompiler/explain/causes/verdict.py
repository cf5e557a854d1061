"""A verdict: which layer, which cause, and what to do; and the case that it is given on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from qcompiler.explain.measure.layer_error import ErrorDecomposition
from qcompiler.explain.measure.matched_layer import MatchedLayer
from qcompiler.explain.measure.side_by_side import SideBySide
from qcompiler.ir import Spikes
from qcompiler.ir.kernels import Array
from qcompiler.passes import BUILT_IN
from qcompiler.passes.spiking.quantize import weight_bits_in

SATURATED = "saturated range"
LEVELS = "too few levels"
WEIGHTS = "weight rounding"
BIAS = "bias rounding"
DEAD = "dead neurons"
INPUT = "wrong input"
TIES = "ties at the output"
FUNCTION = "approximated function"


@dataclass(frozen=True)
class Verdict:
    """Which layer, what is wrong there, the numbers that show it, and the remedy.

    ``lost`` is what each source of the layer's error costs: a share of the frames answered
    otherwise, or of the variance of scores that are no classes; negative where it corrects some.
    """

    layer: str
    origin: tuple[str, ...]
    cause: str
    detail: str
    remedy: str
    lost: Mapping[str, float]


@dataclass(frozen=True)
class Case:
    """A layer that a verdict is wanted on."""

    networks: SideBySide
    layer: MatchedLayer
    errors: ErrorDecomposition

    @property
    def name(self) -> str:
        """Name of the value."""
        return self.layer.name

    @property
    def code(self) -> Spikes:
        """The code of the layer's levels."""
        return self.layer.code

    @property
    def exact(self) -> Array:
        """What that code is of, in levels before they are cut and rounded, with zero at 0."""
        return self.layer.of_main(self.errors.exact)

    @property
    def step(self) -> float:
        """The step between two levels; with several channels, their median."""
        return float(np.median(self.networks.step(self.layer)))

    @property
    def is_calibrated(self) -> bool:
        """Whether the ranges of the program come from data."""
        return bool(self.networks.program.manifest.get("calibration_images"))

    @property
    def calibrate(self) -> str:
        """The remedy for a range that does not suit the data."""
        kind = "more typical" if self.is_calibrated else "typical"
        return f"compile again with --calibration on {kind} data, like these"

    @property
    def pipeline(self) -> str:
        """The passes that made the program, as text."""
        return str(self.networks.program.manifest.get("pipeline", ""))

    @property
    def has_known_passes(self) -> bool:
        """Whether the compiler has all passes that made the program."""
        names = re.sub(r"\{[^}]*\}", "", self.pipeline).split(",")
        return BUILT_IN.keys() >= {*names}

    def in_passes(self, name: str, option: str, value: int) -> str:
        """The remedy of a step with an option in the program's own pipeline.

        ``--passes`` stands for the whole pipeline of a target.
        """
        found = re.search(rf"\b{name}(?:\{{([^}}]*)\}})?(?=,|$)", self.pipeline)
        given = (found[1] or "").split() if found else []
        others = [one for one in given if not one.startswith(f"{option}=")]
        step = f"{name}{{{' '.join([*others, f'{option}={value}'])}}}"
        how = f"but {step} in it" if found else f"and {step} before normalize in it"
        return f", or --passes with the pipeline that qrun --info prints, {how}"

    @property
    def effort(self) -> str:
        """What to add to a remedy if no effort was made."""
        return "" if "effort=" in self.pipeline else ", or --effort 1"

    @property
    def weight_bits(self) -> int:
        """How many bits the program was compiled with."""
        return weight_bits_in(self.pipeline)
