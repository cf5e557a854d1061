"""The segments of the functions of a graph: as fine as levels ask, as narrow as weights can be."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import inf

import numpy as np

from qcompiler.ir import Node, Operand, Range, Tensor, Value
from qcompiler.ir.ann import Add, Affine, Conv, Dense, Multiply, SumPool
from qcompiler.ir.ann.formula import JUMPS, choices
from qcompiler.ir.kernels import Array
from qcompiler.passes.folding.linear import parameters
from qcompiler.passes.quantization.fusion_groups import FusionGroup, is_network_output
from qcompiler.passes.quantization.levels import PRECISE, levels_of, output_levels
from qcompiler.passes.quantization.membrane_limits import ROOM

from .activation_fit import ActivationFit, gains_of, power_of, range_of, width_of
from .channel_fits import ROUNDED, Channels, clips_of, worst_of
from .duplication import MORE_CLIPS, MOST_CLIPS, is_small, most_clips
from .inlining import has_products, is_few
from .piecewise import SAMPLES, PiecewiseLinear
from .products import Factor, factor_of
from .resolution import Resolution
from .segments import error_between, error_within
from .segments import fit as fit_within

_LEAST_SLOPE = 2  # of the neurons of a segment: it is a whole number, of which 1 is too coarse
_NEARLY = 4.0  # times the error by default, as fewer segments may have: from there on it is told
_FINER = 2  # times the default levels of an output: segments pay for no more
_SUMMING = Conv | Dense | SumPool | Add | Affine | Multiply
_FINE_ENDS: tuple[float, ...] = (0.25, 0.5)  # of the error, where outputs have many levels
_COARSE_FITS = (1.5, 2.0)  # of the error, of values in digits, where so few have copies of a layer
_FUSED_FITS = (1.5, 2.0, 3.0, 4.0)  # of the error, if copies of a layer are then few enough
_FINE_FITS = (0.6, 0.8)  # of the error, where readers sum segments, which no levels round


@dataclass(frozen=True)
class FunctionFits:
    """Fits functions of a graph, for the levels and the weights of ``limits``.

    ``activation_error`` is the largest error, as a share of a result's range; 0 is the default.
    ``potential`` is what membranes hold, of neurons that compute segments; 0 is no limit.
    """

    limits: Resolution
    activation_error: float
    potential: int = 0

    def one(self, node: Node, formula: str, fewer: bool = True) -> PiecewiseLinear:
        """The segments of a function, for all channels; ValueError if it is not finite.

        The error may be larger for ``fewer`` segments, of which each has a copy of the layer.
        """
        (x,) = _values(node)
        formula = _without_poles(node, formula)
        domain, limits = range_of(x, node), self.limits
        power = power_of(node.arrays[:1])
        bound = self._share(node) * self._width(node) / power
        width = max(limits.narrowest(x, node.result), self._narrowest(domain))
        fit = partial(fit_within, reach=self._reach(node) / power)
        found = fit(formula, domain, bound, width)
        if (group := limits.fusable(x)) is None:
            return found
        fused = float(limits.narrowest_fused(group, node.result).max())
        fused = max(fused, self._narrowest(domain))
        if np.count_nonzero(found.slopes) == 1:  # which is fused in any case
            return fit(formula, domain, bound, max(width, fused))
        width = min(width, fused) if is_small(group) else width
        precise = limits.t_max >= PRECISE and not self.activation_error
        if precise and is_network_output(limits.graph, node.result):
            shares, least = _FINE_ENDS, 2 * fused  # with room for what sums exceed it by
        else:
            shares, least = _FINE_FITS if self._is_summed(node) else (), 0.0
        finer = (fit(formula, domain, share * bound, width) for share in shares)
        few = (one for one in finer if np.count_nonzero(one.slopes) <= MOST_CLIPS)
        wide = (one for one in few if np.diff(one.knots).min() >= least)
        if (chosen := next(wide, None)) is not None:
            return chosen
        found = fit(formula, domain, bound, width)
        shares = self._coarser(node) if fewer else ()
        coarser = (fit(formula, domain, share * bound, width) for share in shares)
        plenty = limits.t_max >= PRECISE and not self.activation_error
        most = MORE_CLIPS if plenty else self._most_clips(group)
        few = (one for one in (found, *coarser) if np.count_nonzero(one.slopes) <= most)
        return next(few, found)

    def start(self, x: Operand, found: PiecewiseLinear) -> int:
        """The knot to which segments turn: next to zero, or to the middle of a range without it.

        Most values lie there, so that most levels are low. What reads the segments then sums less,
        and its membranes hold larger weights.
        """
        group = self.limits.fusable(x) if isinstance(x, Value) else None
        signed = group is None or all(
            branch.linear and parameters(branch.linear) for branch in group.branches
        )
        if self.limits.t_max < PRECISE or not signed:
            return 0
        low, high = found.knots[0], found.knots[-1]
        middle = 0.0 if low <= 0 <= high else (low + high) / 2
        return int(np.argmin(np.abs(found.knots - middle)))

    def of_channels(
        self, node: Node, formula: str, found: PiecewiseLinear
    ) -> tuple[PiecewiseLinear, ...]:
        """The segments of each channel where those ``found`` for all suit only some; else none."""
        (x,) = _values(node)
        if (group := self.limits.fusable(x)) is None:
            return ()
        widths = self.limits.narrowest_fused(group, node.result)
        channels = _channels(widths, node)
        bound = self._share(node) * self._width(node)
        if self.activation_error:
            bound /= ROUNDED
        elif self.limits.t_max >= PRECISE:
            bound *= max((1.0, *self._coarser(node)))
        else:
            found = self.one(node, formula, fewer=False)
        if not channels.misfit(found, bound):
            return ()
        most = self._most_clips(group)
        return channels.fits(formula, range_of(x, node), bound, most)

    def told(self, node: Node, formula: str) -> ActivationFit:
        """How many segments a function has, and how far they are off."""
        domain, bound = range_of(node.operands[0], node), self._share(node)
        width, factor = self._width(node), self._factor(node) is not None
        formula = _without_poles(node, formula)
        found = self.one(node, formula)
        if each := self.of_channels(node, formula, found):
            worst = worst_of(each, gains_of(node)[0]) / width
            bound = max(bound, worst) if worst <= self._most(bound) else bound
            segments = clips_of(*each)
            return ActivationFit(node, domain, segments, worst, bound, factor=factor)
        share, segments = power_of(node.arrays[:1]) / width, len(found.knots) - 1
        error, least = (
            share * self._error(node, formula, one)
            for one in (found, self.one(node, formula, fewer=False))
        )
        if least <= self._most(bound):
            bound = max(bound, error)  # fewer were wanted
        jump = error_between(formula, domain, found) * share
        steps, jump = len(found.steps), jump if jump > bound else 0.0
        return ActivationFit(node, domain, segments, error, bound, steps, jump, factor)

    def _error(self, node: Node, formula: str, found: PiecewiseLinear) -> float:
        """The error of a fit, before the gain, where the result is within its range."""
        bounds = node.result.type.range if isinstance(node.result.type, Tensor) else None
        if node.arrays or bounds is None or self._reach(node) < inf:
            return found.error
        return error_within(formula, range_of(node.operands[0], node), found, bounds)

    def _width(self, node: Node) -> float:
        """The width that errors are a share of: a result's range, or what products bear of it."""
        factor = self._factor(node)
        return factor.width if factor else width_of(node)

    def _reach(self, node: Node) -> float:
        """From where on errors of a result count less."""
        factor = self._factor(node)
        return factor.reach if factor else inf

    def _factor(self, node: Node) -> Factor | None:
        shifted = any(shift.any() for shift in node.arrays[1:])
        return None if shifted else factor_of(self.limits.graph, node.result)

    def _most_clips(self, group: FusionGroup) -> int:
        return most_clips(group, self.limits.t_max, self.activation_error > 0)

    def _share(self, node: Node) -> float:
        if self.activation_error:
            return self.activation_error
        limits, result = self.limits, node.result
        levels = levels_of(limits.graph, result, limits.t_max, limits.output_t_max)
        if is_network_output(limits.graph, result):
            most = output_levels(limits.t_max, limits.output_t_max, result.type.shape)
            levels = min(levels, _FINER * most)
        return 0.5 / (levels - 1)

    def _most(self, bound: float) -> float:
        """The error of segments that are not too few: layers behind make up for most of it."""
        return bound if self.activation_error else _NEARLY * bound

    def _narrowest(self, domain: Range) -> float:
        """The least width of segments whose neurons have slopes that lose little when rounded."""
        low, high = domain
        levels = min(self.limits.t_max, PRECISE)
        needed = _LEAST_SLOPE * ROOM * levels * (high - low)
        return needed / self.potential if self.potential else 0.0

    def _coarser(self, node: Node) -> tuple[float, ...]:
        """Shares of the error that cost less than levels of the variable.

        With few levels, or for a value in digits.
        """
        type_, limits = node.result.type, self.limits
        if limits.t_max < PRECISE and not self.activation_error:
            return _FUSED_FITS
        fine = isinstance(type_, Tensor) and (type_.t_max or 0) > limits.t_max >= PRECISE
        inner = fine and not is_network_output(limits.graph, node.result)
        return _COARSE_FITS if inner and not self.activation_error else ()

    def _is_summed(self, node: Node) -> bool:
        """Whether layers will sum the segments of a function: `inline_sums` does that."""
        graph, known = self.limits.graph, self.activation_error or self.limits.t_max >= PRECISE
        readers = graph.users(node.result)
        layers = bool(readers) and all(isinstance(user.op, _SUMMING) for user in readers)
        return not known and layers and graph.known(has_products) and not is_few(graph)


def _without_poles(node: Node, formula: str) -> str:
    """A formula that jumps beside a pole, as ``1 / x`` unless x is 0: cut to the result's range."""
    words = {*formula.split()}
    if not ("/" in words and JUMPS & words) or node.arrays:
        return formula
    sides = choices(formula, np.linspace(*range_of(node.operands[0], node), SAMPLES), JUMPS)
    if (sides[:, 1:] == sides[:, :-1]).all():  # the pole is elsewhere
        return formula
    low, high = range_of(node.result, node)
    return f"{formula} {low!r} max {high!r} min"


def _channels(widths: Array, node: Node) -> Channels:
    gains, shifts = gains_of(node)
    return Channels(widths, gains, range_of(node.result, node), shifts)


def _values(node: Node) -> tuple[Value, ...]:
    return tuple(operand for operand in node.operands if isinstance(operand, Value))
