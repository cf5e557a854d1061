"""Layer-wise reconstruction: bias correction and adaptive rounding on calibration data.

The weights w of a layer are chosen so that its sums over the quantized inputs x are as close as
possible to the sums Y of the real network:

    minimise  |x w + b - Y|^2 + ridge |w - w0|^2

The minimum is first taken over real numbers, then over integers times the scale of the weights, as
in AdaRound, arXiv 2004.10568, and GPTQ, arXiv 2210.17323; here the rounding is coordinate descent.
Differences count behind the clip to the levels of the result (`residuals`): results are right on
average, too, where the clip rectifies noise.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from qcompiler.ir import Spikes
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.coding import decode
from qcompiler.passes.quantization.real_layer import RealLayer
from qcompiler.passes.quantization.rounding import Weights
from qcompiler.passes.quantization.slopes import ScaledWeights

from .compensated import compensated
from .finer_digits import FinerInputs
from .fitted_branches import Together
from .gram import Gram, SplitGram
from .integer_fit import IntegerFit, RealFit, at_middle
from .joined_weights import JoinedWeights
from .layer_inputs import Coded, LayerInputs
from .least_squares import Grid
from .pruning import Pruning, kept
from .regression import LayerRegression
from .residuals import Residuals
from .samples import apply_weights
from .solved_rows import fitted, ridged


class LayerFit:
    """One layer with its calibration data and the fit of its weights and bias.

    Only the weights of the branches ``fitted`` change; arrays are ``groups x outputs x inputs``.
    Branches that are ``fitted`` together, as those from the slices of a value are, keep the same
    weights; those of ``finer`` digits are rounded anew. ``values`` holds the levels of the other
    branches. The least weights are removed (`Pruning`).
    """

    def __init__(
        self,
        real: RealLayer,
        fitted: Together,
        values: Mapping[int, Coded],
        before: Array,
        inputs: LayerInputs,
        code: Spikes,
        pruning: Pruning,
        finer: Mapping[int, FinerInputs],
    ) -> None:
        self.real, self.fitted, self.finer = real, fitted, finer
        self.worth = pruning.worth if pruning.share else 0.0
        self.middle = inputs.middle
        target = inputs.places.of(before).astype(np.float64)
        self.start = [real.branches[index].weight for index, *_ in fitted]
        self.all = JoinedWeights([weight.shape for weight in self.start], len(inputs.seen))
        if pruning.share:
            self._prune(inputs.grams.all, pruning.share * target.var(axis=0), pruning.worth)
        low, high = map(float, decode(code, np.array((0, code.top))))
        residuals = Residuals.of(self._first(inputs, values), target, low, high)
        self.rows = LayerRegression(inputs.seen, residuals)
        self._solve(inputs.grams)

    def _first(self, inputs: LayerInputs, values: Mapping[int, Coded]) -> Array:
        """The sums with the initial weights, ``rows x outputs``."""
        real, places = self.real, inputs.places
        found = np.empty((len(places.image), self.all.groups * self.all.outputs))
        for at in self.all.parts():
            self._write(found, at, inputs.sums(self.all.joined(self.start, at)))
        found += places.of(real.bias.astype(np.float32)[None])
        for index, (levels, sent) in values.items():
            found += apply_weights(real.branches[index], levels, sent, places)
        return found

    def _prune(self, gram: Gram, most: Array, worth: float) -> None:
        joined = self.all.joined(self.start)
        inputs = [weight[0].size for weight in self.start]
        worths = worth * np.repeat([float(len(some)) for some in self.fitted], inputs)
        if np.isinf(worth) or gram.whole is None:
            joined *= kept(joined, gram.diagonal, float(most.sum()), worths)
        else:
            for weights, whole, some in zip(
                joined, gram.whole, np.split(most, len(joined)), strict=True
            ):
                weights[:] = compensated(weights, whole, worths, some)
        self.start = [np.empty(weight.shape, weight.dtype) for weight in self.start]
        self.all.write(self.start, slice(None), joined)

    def _solve(self, grams: SplitGram) -> None:
        """Fit all outputs in real numbers: weights, in single precision, sums and biases."""
        free = self.all.free(self.start)
        gram, sums = ridged(self.rows, free, grams), np.empty(self.rows.shape)
        self.bias, self.shift = np.empty((2, sums.shape[1]))
        self.weights = [np.empty(weight.shape, np.float32) for weight in self.start]
        for at in self.all.parts():
            moved, some, bias = fitted(self._rows_of(at), free[:, at], gram, grams)
            self._write(sums, at, some)
            self._write(self.bias, at, bias)
            self._write(self.shift, at, at_middle(moved, self.middle))
            self.all.write(self.weights, at, self.all.joined(self.start, at) + moved)
        gram = replace(gram)  # without its factor
        fit = RealFit(self.all, self.start, free, self.rows, gram, sums, self.bias, self.middle)
        self.integers = IntegerFit(fit)

    def refitted(self) -> RealLayer:
        """The layer with real weights and bias, fitted to its quantized inputs."""
        weights = self._by_branch(self.weights)
        branches = tuple(
            branch._replace(weight=weights.get(index, branch.weight))
            for index, branch in enumerate(self.real.branches)
        )
        bias = self._spread(self.bias - self.shift)
        return RealLayer(branches, self.real.bias + bias, self.real.gain)

    def rounded(
        self, ratios: list[ScaledWeights], slope: Array, limit: int
    ) -> tuple[Weights, Array, Collection[int]]:
        """Integer weights and a correction of the refitted bias; implements `Rounding`."""
        fitted = [ratios[index] for index, *_ in self.fitted]
        grids = [self._grid(ratio, slope, limit) for ratio in fitted]
        found = [_nearest(ratio, slope, limit) for ratio in fitted]
        change = self.integers.of(found, grids)
        weights_of, bias = self._by_branch(found), change + self.shift
        for index, (weights, lost) in self._of_digits(ratios, slope, weights_of).items():
            weights_of[index] = weights
            bias += lost
        others = {i: r.rounded(slope) for i, r in enumerate(ratios) if i not in weights_of}
        all_of = tuple({**weights_of, **others}[index] for index in range(len(ratios)))
        return all_of, self._spread(bias), weights_of.keys()

    def _of_digits(
        self, ratios: list[ScaledWeights], slope: Array, found: Mapping[int, Array]
    ) -> dict[int, tuple[Array, Array]]:
        """Integers of finer digits, and what each output loses by them at the mean input."""
        digits = {}
        for first, *others in self.fitted:
            for index in [index for index in others if index in self.finer]:
                given = ratios[first], ratios[index], slope, self.worth
                digits[index] = self.finer[index].weights(found[first], *given)
        return digits

    def _grid(self, ratio: ScaledWeights, slope: Array, limit: int) -> Grid:
        """What the weights of a branch may be."""
        unit = np.broadcast_to(1 / (ratio.factor * slope.reshape(-1)), self.bias.shape)
        return Grid(ratio.weight[0].size, self.all.columns(unit), limit * ratio.parts)

    def _rows_of(self, at: slice) -> LayerRegression:
        which = np.zeros(self.all.outputs, bool)
        which[at] = True
        return self.rows.of_outputs(which)

    def _write(self, array: Array, at: slice, part: Array) -> None:
        columns = self.all.columns(array)[..., at]
        columns[:] = part.reshape(columns.shape)

    def _by_branch(self, weights: Sequence[Array]) -> dict[int, Array]:
        pairs = zip(self.fitted, weights, strict=True)
        return {index: weight for together, weight in pairs for index in together}

    def _spread(self, bias: Array) -> Array:
        return bias.astype(np.float64).reshape(-1, *(1,) * (self.real.bias.ndim - 1))


def _nearest(ratio: ScaledWeights, slope: Array, limit: int) -> Array:
    """The nearest integers, in a type that holds twice the limit."""
    found = ratio.rounded(slope)
    wide = np.min_scalar_type(-2 * limit * ratio.parts - 1)
    return found.astype(np.promote_types(found.dtype, wide), copy=False)
