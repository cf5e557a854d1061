"""Layer-wise reconstruction: bias correction and adaptive rounding on calibration data.

The weights w of a layer are chosen so that its sums over the quantized inputs x are as close as
possible to the sums Y of the real network:

    minimise  |x w + b - Y|^2 + ridge |w - w0|^2

The minimum is first taken over real numbers, then over integers times the scale of the weights, as
in AdaRound, arXiv 2004.10568, and GPTQ, arXiv 2210.17323; here the rounding is coordinate descent.
Differences that clipping to the levels of the result removes anyway are not counted.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from qcompiler.ir import Spikes
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.coding import decode
from qcompiler.passes.quantization.fusion_groups import FusionGroup
from qcompiler.passes.quantization.real_layer import LinearSynapse, RealLayer
from qcompiler.passes.quantization.rounding import Weights
from qcompiler.passes.quantization.slopes import ScaledWeights

from .fitted_branches import Together, blocks_of, fitted_together
from .layer_inputs import LayerInputs, SharedInputs
from .least_squares import coordinate_descent
from .pruning import kept
from .regression import LayerRegression
from .samples import SamplePositions, apply_weights, input_rows, sample_positions

_ENTRIES = 1 << 26  # most entries of the rows, and of the Gram matrices, of one layer
_FEWEST = 32  # rows; fewer are too few to fit
_SWEEPS = 3


class LayerFit:
    """One layer with its calibration data and the fit of its weights and bias.

    Only the weights of the branches ``fitted`` change; arrays are ``groups x outputs x inputs``.
    Branches that are ``fitted`` together, as those from the slices of a value are, keep the same
    weights; finer digits round theirs anew, and ``means`` holds their mean inputs. ``values`` holds
    the inputs of the other branches. Weights are removed as long as the errors of the sums have at
    most ``prune`` of their variance.
    """

    def __init__(
        self,
        real: RealLayer,
        fitted: Together,
        values: Mapping[int, Array],
        before: Array,
        inputs: LayerInputs,
        code: Spikes,
        prune: float,
        means: Mapping[int, Array],
    ) -> None:
        self.real, self.fitted, places, self.means = real, fitted, inputs.places, means
        self.blocks, self.middle = len(inputs.seen), inputs.middle
        target = places.of(before).astype(np.float64)
        self.start = self._joined([branch.weight for branch in real.branches])
        if prune:
            most = prune * float(target.var(axis=0).sum())
            self.start *= kept(self.start, inputs.grams.all.diagonal, most)
        first = inputs.sums(self.start) + places.of(real.bias.astype(np.float32)[None])
        for index, x in values.items():
            branch = real.branches[index]
            first += apply_weights(branch, branch.weight, x, places)
        low, high = map(float, decode(code, np.array((0, code.top))))
        self.rows = LayerRegression(inputs.seen, first, target, low, high)
        self.free = self.start != 0
        self.gram, found = self.rows.solved(self.free, inputs.grams)
        self.moved, self.sums, self.bias = found

    def refitted(self) -> RealLayer:
        """The layer with real weights and bias, fitted to its quantized inputs."""
        weights = self._split(self.start + self.moved)
        branches = tuple(
            branch._replace(weight=weights.get(index, branch.weight))
            for index, branch in enumerate(self.real.branches)
        )
        bias = self._spread(self.bias - self._at_middle(self.moved))
        return RealLayer(branches, self.real.bias + bias, self.real.gain)

    def rounded(
        self, ratios: list[ScaledWeights], slope: Array, limit: int
    ) -> tuple[Weights, Array, Collection[int]]:
        """Integer weights and a correction of the refitted bias; implements `Rounding`."""
        nearest = [ratio.rounded(slope) for ratio in ratios]
        units = {
            i: _like(1 / (ratios[i].factor * slope), ratios[i].weight) for i, *_ in self.fitted
        }
        most = self._joined([np.full(r.weight.shape, limit * r.parts) for r in ratios])
        unit, start = self._joined(units), self._joined(nearest)
        product = self.rows.product(self.rows.missing(self.sums, self.bias) + self.sums)
        found = coordinate_descent(
            self.gram, product, self.start, start, unit, most * self.free, _SWEEPS
        )
        moved: Array = found * unit - self.start
        bias = self.rows.level(self.rows.sums(moved), self.bias) - self._at_middle(
            moved - self.moved
        )
        weights = self._split(found)
        for first, *others in self.fitted:
            for index in self.means.keys() & {*others}:
                share = ratios[index].factor / ratios[first].factor
                weights[index] = np.rint(weights[first] * share)
                lost = (weights[first] - weights[index] / share) * units[first]
                bias += self._at(self.means[index], lost)
        integers = (
            weights[index].astype(np.int32) if index in weights else weight
            for index, weight in enumerate(nearest)
        )
        return tuple(integers), self._spread(bias - self.bias), weights.keys()

    def _joined(self, weights: Sequence[Array] | Mapping[int, Array]) -> Array:
        """The weights of the fitted branches, concatenated along the inputs."""
        parts = [weights[index].astype(np.float64) for index, *_ in self.fitted]
        outputs = len(parts[0]) // self.blocks
        return np.concatenate([p.reshape(self.blocks, outputs, -1) for p in parts], axis=2)

    def _split(self, joined: Array) -> dict[int, Array]:
        """The inverse of `_joined`, by branch."""
        shapes = [self.real.branches[index].weight.shape for index, *_ in self.fitted]
        ends = np.cumsum([int(np.prod(shape[1:])) for shape in shapes])
        parts = np.split(joined, ends[:-1], axis=2)
        weights = (part.reshape(shape) for part, shape in zip(parts, shapes, strict=True))
        pairs = zip(self.fitted, weights, strict=True)
        return {index: weight for together, weight in pairs for index in together}

    def _at_middle(self, moved: Array) -> Array:
        """The change of each output at the mean input, for a change of the weights."""
        found: Array = (moved @ self.middle.transpose(0, 2, 1)).reshape(-1)
        return found

    def _at(self, mean: Array, weight: Array) -> Array:
        """What each output sums of the mean inputs, ``groups x inputs``, by these weights."""
        blocks = weight.reshape(self.blocks, -1, mean.shape[1])
        found: Array = np.einsum("goi,gi->go", blocks, mean).reshape(-1)
        return found

    def _spread(self, bias: Array) -> Array:
        return bias.astype(np.float64).reshape(-1, *(1,) * (self.real.bias.ndim - 1))


def fit_layer(
    group: FusionGroup,
    real: RealLayer,
    codes: Sequence[Spikes],
    code: Spikes,
    levels: Sequence[Array],
    before: Array,
    shared: SharedInputs,
    prune: float = 0.0,
) -> LayerFit | None:
    """Fit a fusion group to the ``levels`` of its sources; None if it has no weights to fit.

    ``levels`` holds ``images x shape`` per source; ``before`` holds the sums of the real network,
    ``images x outputs x space``. None also if the layer is too large or has too little data.
    """
    together = fitted_together(real, codes)
    fitted = [real.branches[index] for index, *_ in together]
    if not fitted or group.gain is not None:
        return None
    size, blocks = sum(branch.weight[0].size for branch in fitted), blocks_of(fitted[0])
    if blocks * size**2 > _ENTRIES:
        return None
    places = sample_positions(before.shape[1:], len(before), size, _ENTRIES // (size * blocks))
    if len(places.image) < _FEWEST:
        return None
    sources = [[(levels[i], codes[i]) for i in alike] for alike in together]
    inputs = shared.of(fitted, sources, places)
    others = set(range(len(levels))).difference(*together)
    values = {i: decode(codes[i], levels[i], np.float32) for i in sorted(others)}
    finer = [i for first, *rest in together for i in rest if codes[i] != codes[first]]
    means = {i: _mean(real.branches[i], decode(codes[i], levels[i]), places) for i in finer}
    return LayerFit(real, together, values, before, inputs, code, prune, means)


def _mean(branch: LinearSynapse, values: Array, places: SamplePositions) -> Array:
    """The mean input of each weight, ``groups x inputs``."""
    found: Array = input_rows(branch, values, places).mean(axis=1)
    return found


def _like(array: Array, weight: Array) -> Array:
    """One number per output, broadcast to the shape of a weight."""
    return np.broadcast_to(array.reshape(-1, *(1,) * (weight.ndim - 1)), weight.shape)
