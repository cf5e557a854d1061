"""The integers of fusion groups: from weights alone, or fitted to calibration data.

`GroupIntegers` is what `quantize` asks, group by group, in the order of the graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TypeAlias

from qcompiler.ir import Graph, Spikes, UnsupportedModel
from qcompiler.ir.ann import Clip
from qcompiler.ir.kernels import Array
from qcompiler.ir.memory import give_back
from qcompiler.passes.activations.clip_sums import is_piece
from qcompiler.passes.activations.products import are_chained
from qcompiler.passes.activations.true_values import TrueValues, before_lowering, true_values
from qcompiler.passes.calibration.observed_membranes import CalibrationLevels
from qcompiler.passes.calibration.trace import Trace
from qcompiler.passes.fitting.fit_layer import fit_layer
from qcompiler.passes.fitting.layer_inputs import SharedInputs
from qcompiler.passes.fitting.relay_fit import relay_fit
from qcompiler.passes.quantization.coarser_codes import coarser_code
from qcompiler.passes.quantization.fusion_groups import FusionGroup, is_network_output
from qcompiler.passes.quantization.integer_layer import (
    ExceededLimits,
    IntegerLayer,
    integer_layer_of,
)
from qcompiler.passes.quantization.membrane_limits import Limits
from qcompiler.passes.quantization.real_layer import RealLayer, real_layer_of
from qcompiler.passes.quantization.rounding import Rounding, nearest
from qcompiler.passes.quantization.short_pieces import digits_in_place, windows_of_pieces
from qcompiler.passes.requantization.exact_layer import ExactLayer, exact_layer_of

from .observed_channels import ObservedChannels
from .options import Options
from .remainders import without_rounding
from .result_codes import holds_code, keeps_levels, reads_codes
from .sample import observes, sample_of
from .slice_families import SliceFamilies
from .weight_prices import pruning_at, weight_prices

Digits: TypeAlias = "Sequence[Sequence[Spikes]]"


class GroupIntegers:
    """Codes and integers of the groups of a graph, ``groups`` by the name of their results."""

    def __init__(self, graph: Graph, options: Options, groups: dict[str, FusionGroup]) -> None:
        self.graph = graph
        self.options = options
        self.limits = options.limits
        if are_chained(before_lowering(graph)):
            self.limits = self.limits._replace(fine=True)
        self.groups = groups
        self.trace: Trace | None = None
        self.levels: CalibrationLevels | None = None
        self.true: TrueValues | None = None
        self.shared = SharedInputs()
        self.slices = SliceFamilies(groups.values())
        if data := sample_of(graph, options):
            self.levels = CalibrationLevels(graph, data)
            self.trace = Trace(graph, data, precise=True) if options.effort else None
            self.true = true_values(graph, data) if options.effort else None
        self.prices: dict[str, float] = {}
        if data and options.effort and options.prune and options.spare:
            self.prices = weight_prices(graph, data, options.t_max, self.slices.lowest)

    def of(self, group: FusionGroup, sources: Digits, first: Spikes) -> tuple[Spikes, IntegerLayer]:
        """The code and integers of a group; the code is coarser than the first if limits ask.

        ``sources`` holds the codes of each branch's digits. Raises UnsupportedModel if no code
        fits.
        """
        clip = group.clip.op if group.clip else Clip()
        assert isinstance(clip, Clip)
        code = first
        while True:
            try:
                found = self._integers(group, sources, code)
                break
            except UnsupportedModel as error:
                coarser = coarser_code(code, first, group.result, clip, error)
                if coarser is None or (
                    coarser.t_max < code.t_max and keeps_levels(self.graph, group.result)
                ):
                    raise
                code = coarser
        if self.levels:
            self.levels.add(group, found, code)
        return code, found

    def _integers(self, group: FusionGroup, by_branch: Digits, code: Spikes) -> IntegerLayer:
        codes = tuple(digit for digits in by_branch for digit in digits)
        real = real_layer_of(group, by_branch)
        if holds_code(group):
            exact = self._exact(group, real, codes, code)
            if self.options.rounding and not is_piece(group.result.name):
                told = exact if reads_codes(self.graph, self.groups, group) else None
                self.options.rounding(group.result.name, told)
            if exact is not None:
                if self.trace:
                    self.trace.add(group, self._before_clip(self.trace, group))
                return exact.layer
        before = self._before_clip(self.trace, group) if self.trace else None
        found = self.slices.shifted(group, codes, code, self.limits)
        if found is None:
            found = self._fitted(group, real, by_branch, code, before)
        if self.trace and before is not None:
            self.trace.add(group, before)
        return found

    def _before_clip(self, trace: Trace, group: FusionGroup) -> Array:
        """The sums of a group in the real network, before functions became line segments."""
        sums = self.true.sums(group) if self.true else None
        return trace.before_clip(group) if sums is None else sums

    def _fitted(
        self,
        group: FusionGroup,
        real: RealLayer,
        by_branch: Digits,
        code: Spikes,
        before: Array | None,
    ) -> IntegerLayer:
        """The integer layer, fitted to the sums ``before`` the clip if they are given."""
        codes = tuple(digit for digits in by_branch for digit in digits)
        observe, fit, rounding = self._observe(group), None, nearest
        if before is not None and self.trace and self.levels:
            whole, levels = self.slices.whole(group, code), self.levels.of(group)
            levels = without_rounding(self.trace, group, by_branch, code, levels)
            price, options = self.prices.get(group.result.name), self.options
            pruning = pruning_at(price, options.prune, options.spare)
            given = before, self.shared, pruning, options.effort
            fit = fit_layer(group, real, codes, whole, levels, *given)
            # With fewer levels their rounding outweighs that of weights.
            if self.limits.fine and (relays := relay_fit(real, levels, codes, code)):
                rounding = relays.rounded
        if fit is None:
            found = self._rounded(group, real, codes, code, observe, rounding)
        else:
            found = self._rounded(group, fit.refitted(), codes, code, observe, fit.rounded)
            give_back()
        seen = observe.bounds if observe and found.calibrated else None
        self.slices.add(group, code, found, seen)
        return found

    def _rounded(
        self,
        group: FusionGroup,
        real: RealLayer,
        codes: tuple[Spikes, ...],
        code: Spikes,
        observe: ObservedChannels | None,
        rounding: Rounding = nearest,
    ) -> IntegerLayer:
        """The integer layer, which fits in pieces if it will be split and can fit so."""
        limits = self.limits
        for tighter in self._limits_of_pieces(group, code):
            with suppress(ExceededLimits):
                return integer_layer_of(group, real, codes, code, tighter, rounding, observe)
        return integer_layer_of(group, real, codes, code, limits, rounding, observe)

    def _exact(
        self, group: FusionGroup, real: RealLayer, codes: tuple[Spikes, ...], code: Spikes
    ) -> ExactLayer | None:
        """The layer with the weights of a code, which fits in pieces if that costs no level.

        None also for an output, such as a state, whose sums of other values it would not round
        exactly.
        """
        observe = self._observe(group)
        whole = exact_layer_of(real, codes, code, self.limits, observe)
        if whole is None or not is_network_output(self.graph, group.result):
            return whole
        if whole.otherwise and not reads_codes(self.graph, self.groups, group):
            return None
        for tighter in self._limits_of_pieces(group, code):
            found = exact_layer_of(real, codes, code, tighter, observe)
            if found and found.otherwise <= whole.otherwise:
                return found
        return whole

    def _limits_of_pieces(self, group: FusionGroup, code: Spikes) -> list[Limits]:
        """Limits that hold for the pieces of an output, too: of all lengths, then of fewer."""
        if not self.options.pieces or not is_network_output(self.graph, group.result):
            return []
        given = self.graph, group.result, code.t_max, self.options.t_max
        lengths = tuple(windows_of_pieces(*given))
        each = (lengths[:count] for count in range(len(lengths), 0, -1))
        digits = 0
        if not self.options.bursts:  # of which digits take in more at once
            digits = digits_in_place(self.graph, group.result, code.t_max, lengths[0])
        return [self.limits._replace(pieces=some, digits=digits) for some in each]

    def _observe(self, group: FusionGroup) -> ObservedChannels | None:
        levels = self.levels
        if levels is None or not observes(self.options):
            return None
        return ObservedChannels(lambda: levels.of(group))
