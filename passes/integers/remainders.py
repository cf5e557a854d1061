"""What the finer digit of a value is fitted to."""

from __future__ import annotations

from collections.abc import Sequence

from qcompiler.ir import Spikes
from qcompiler.ir.kernels import Array
from qcompiler.passes.calibration.trace import Trace
from qcompiler.passes.fitting.fitted_branches import is_remainder
from qcompiler.passes.quantization.fusion_groups import FusionGroup


def without_rounding(
    trace: Trace,
    group: FusionGroup,
    by_branch: Sequence[Sequence[Spikes]],
    code: Spikes,
    levels: list[Array],
) -> list[Array]:
    """The levels of the sources; of a coarse digit, whose remainder this is, its real values.

    ``by_branch`` holds the codes of each branch's digits. The layer is then fitted as if it were no
    digit: what the coarse one rounds adds no noise.
    """
    pairs = zip(group.branches, by_branch, strict=True)
    sources = [(branch.source.name, digit) for branch, digits in pairs for digit in digits]
    return [
        trace.of(name) / source.scale if is_remainder(source, code) else array
        for (name, source), array in zip(sources, levels, strict=True)
    ]
