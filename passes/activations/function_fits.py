"""Fits the functions of a graph: as few segments as suit the levels, weights and membranes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qcompiler.ir import Graph, Node, Operand, Range, Value
from qcompiler.ir.ann import Add, Affine, Conv, Dense, Multiply, SumPool
from qcompiler.passes.folding.linear import parameters
from qcompiler.passes.quantization.fusion_groups import is_network_output
from qcompiler.passes.quantization.levels import PRECISE, levels_of, output_levels
from qcompiler.passes.quantization.membrane_limits import ROOM

from .activation_fit import power_of, width_of
from .duplication import MOST_CLIPS, is_small
from .inlining import is_few
from .piecewise import PiecewiseLinear
from .resolution import Resolution
from .segments import fit

_LEAST_SLOPE = 2  # of the neurons of a segment: it is a whole number, of which 1 is too coarse
_FINER = 2  # times the default levels of an output: segments pay for no more
_SUMMING = Conv | Dense | SumPool | Add | Affine | Multiply
_FINE_ENDS: tuple[float, ...] = (0.25, 0.5)  # of the error, where outputs have many levels
_FINE_FITS: tuple[float, ...] = (
    0.6,
    0.8,
)  # of the error, where readers sum segments, which no levels round


@dataclass(frozen=True)
class FunctionFits:
    """Fits of a graph's functions; the options are those of `LowerActivations`."""

    graph: Graph
    resolution: Resolution
    activation_error: float = 0.0
    potential: int = 0

    def of(self, node: Node, formula: str, domain: Range) -> PiecewiseLinear:
        """The fit of a node's function; ValueError if it is not finite, or chooses too often."""
        bound = self.share(node) * width_of(node) / power_of(node.arrays)
        (x,) = (operand for operand in node.operands if isinstance(operand, Value))
        width = max(self.resolution.narrowest(x, node.result), self._narrowest(domain))
        found = fit(formula, domain, bound, width)
        if (group := self.resolution.fusable(x)) is None:
            return found
        fused = max(self.resolution.narrowest_fused(group, node.result), self._narrowest(domain))
        if np.count_nonzero(found.slopes) == 1:  # which is fused in any case
            return fit(formula, domain, bound, max(width, fused))
        width = min(width, fused) if is_small(group) else width
        precise = self.resolution.t_max >= PRECISE and not self.activation_error
        if precise and is_network_output(self.graph, node.result):
            shares, least = _FINE_ENDS, 2 * fused  # with room for what sums exceed it by
        else:
            shares, least = (_FINE_FITS if self._is_summed(node) else ()), 0.0
        finer = (fit(formula, domain, share * bound, width) for share in shares)
        few = (one for one in finer if np.count_nonzero(one.slopes) <= MOST_CLIPS)
        wide = (one for one in few if np.diff(one.knots).min() >= least)
        return next(wide, fit(formula, domain, bound, width))

    def start(self, x: Operand, found: PiecewiseLinear) -> int:
        """The knot to which segments turn: next to zero, or to the middle of a range without it.

        Most values lie there, so that most levels are low. What reads the segments then sums less,
        and its membranes hold larger weights.
        """
        group = self.resolution.fusable(x) if isinstance(x, Value) else None
        signed = group is None or all(
            branch.linear and parameters(branch.linear) for branch in group.branches
        )
        if self.resolution.t_max < PRECISE or not signed:
            return 0
        low, high = found.knots[0], found.knots[-1]
        middle = 0.0 if low <= 0 <= high else (low + high) / 2
        return int(np.argmin(np.abs(found.knots - middle)))

    def share(self, node: Node) -> float:
        """The error that is allowed, as a share of the range of the result."""
        if self.activation_error:
            return self.activation_error
        t_max, output_t_max = self.resolution.t_max, self.resolution.output_t_max
        levels = levels_of(self.graph, node.result, t_max, output_t_max)
        if is_network_output(self.graph, node.result):
            shape = node.result.type.shape
            levels = min(levels, _FINER * output_levels(t_max, output_t_max, shape))
        return _half_level(levels)

    def _narrowest(self, domain: Range) -> float:
        """The least width of segments whose neurons have slopes that lose little when rounded."""
        low, high = domain
        levels = min(self.resolution.t_max, PRECISE)
        needed = _LEAST_SLOPE * ROOM * levels * (high - low)
        return needed / self.potential if self.potential else 0.0

    def _is_summed(self, node: Node) -> bool:
        """Whether layers will sum the segments of a function: `inline_sums` does that."""
        known = self.activation_error or self.resolution.t_max >= PRECISE
        readers = self.graph.users(node.result)
        layers = bool(readers) and all(isinstance(user.op, _SUMMING) for user in readers)
        return not known and layers and has_products(self.graph) and not is_few(self.graph)


def _half_level(levels: int) -> float:
    return 0.5 / (levels - 1)


def has_products(graph: Graph) -> bool:
    """Whether two values are multiplied."""
    return any(isinstance(node.op, Multiply) for node in graph.nodes)
