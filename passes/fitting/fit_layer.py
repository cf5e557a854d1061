"""What a layer is fitted to: its branches, the sampled positions and the inputs there."""

from __future__ import annotations

from collections.abc import Sequence

from qcompiler.ir import Spikes
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.coding import decode
from qcompiler.passes.quantization.fusion_groups import FusionGroup
from qcompiler.passes.quantization.real_layer import LinearSynapse, RealLayer

from .finer_digits import FinerInputs
from .fitted_branches import blocks_of, fitted_together
from .layer_fit import LayerFit
from .layer_inputs import SharedInputs
from .pruning import NOTHING, Pruning
from .samples import SamplePositions, input_rows, sample_positions

_ENTRIES = 1 << 26  # most entries of the rows, and of the Gram matrices, of one layer
_FEWEST = 8  # rows; fewer are too few to fit


def fit_layer(
    group: FusionGroup,
    real: RealLayer,
    codes: Sequence[Spikes],
    code: Spikes,
    levels: Sequence[Array],
    before: Array,
    shared: SharedInputs,
    pruning: Pruning = NOTHING,
    effort: int = 1,
) -> LayerFit | None:
    """Fit a fusion group to the ``levels`` of its sources; None if it has no weights to fit.

    ``levels`` holds ``images x shape`` per source; ``before`` holds the sums of the real network,
    ``images x outputs x space``. With ``effort`` 2 four times as many of its sums are sampled. None
    also if the layer is too large or has too little data.
    """
    together = fitted_together(real, codes)
    fitted = [real.branches[index] for index, *_ in together]
    if not fitted or group.gain is not None:
        return None
    size, blocks = sum(branch.weight[0].size for branch in fitted), blocks_of(fitted[0])
    if blocks * size**2 > _ENTRIES:
        return None
    most = _ENTRIES // (size * blocks)
    places = sample_positions(before.shape[1:], len(before), size, most, effort)
    if len(places.image) < _FEWEST:
        return None
    sources = [[(levels[i], codes[i]) for i in alike] for alike in together]
    inputs = shared.of(fitted, sources, places)
    others = set(range(len(levels))).difference(*together)
    values = {i: (levels[i], codes[i]) for i in sorted(others)}
    finer = [i for first, *rest in together for i in rest if codes[i] != codes[first]]
    rests = {i: _rest(real.branches[i], decode(codes[i], levels[i]), places) for i in finer}
    return LayerFit(real, together, values, before, inputs, code, pruning, rests)


def _rest(branch: LinearSynapse, values: Array, places: SamplePositions) -> FinerInputs:
    """Moments of the inputs of a finer digit."""
    rows = input_rows(branch, values, places)
    return FinerInputs(rows.mean(axis=1), rows.var(axis=1))
