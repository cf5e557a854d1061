"""Jumps of a model, as of `Floor` or a comparison, that values in levels are on the wrong side of.

There even a small error becomes a whole step of the function.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from qcompiler.backends.program.program import Program
from qcompiler.ir import DataError, Graph, Node, drop_dead
from qcompiler.ir.ann import Function
from qcompiler.ir.ann.formula import JUMPS, choices, values
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Encode
from qcompiler.ir.spiking.coding import Rescaling, decode, encode
from qcompiler.passes.activations.jumps import jumps_of
from qcompiler.passes.tensor.fold_linear import FoldLinear

from . import compared_outputs
from .errors.level_errors import LevelCounts, Walk

_LEAST = 1e-3  # of what a function spans, by which it jumps
_NEAR = 1e-6  # of the largest number, within which single precision puts values on a jump
_SOME, _MANY = 0.01, 0.05  # shares of values that are a cause, and worth a warning


@dataclass(frozen=True)
class CrossedJump:
    """Of the values that a node reads, the share that levels put on another side of a jump."""

    node: Node
    share: float

    @property
    def text(self) -> str:
        """What is wrong, without a verb of its own in front."""
        where = self.node.origin[-1] if self.node.origin else self.node.result.name
        return f'levels put {self.share:.0%} of the values at "{where}" on another side of a jump'

    @property
    def worth_telling(self) -> bool:
        """Whether there are so many that outputs which hide it deserve a warning, too."""
        return self.share > _MANY


def crossed_jump(graph: Graph, program: Program, data: tuple[Array, ...]) -> CrossedJump | None:
    """The jump that most values cross; of those behind each other, the first.

    ``graph`` is the model's, without batch normalisations; ``data`` one array per input,
    ``frames x shape``.
    """
    whole = FoldLinear()(drop_dead(replace(graph, output_names=())))
    nodes = [
        node
        for node in whole.nodes
        if isinstance(node.op, Function) and JUMPS & {*node.op.formula.split()}
    ]
    if not nodes:
        return None
    walk = Walk(whole, LevelCounts.of(program), coded=True)
    try:
        walk.run(_in_codes(program, data))
        names = [node.operands[0].name for node in nodes]
        real = compared_outputs.values(whole, data, list(dict.fromkeys(names)))
    except DataError:
        return None
    found = [
        CrossedJump(node, _share(node.op.formula, real[name], walk.variables[node.result.name]))
        for node, name in zip(nodes, names, strict=True)
        if isinstance(node.op, Function)
    ]
    most = max(one.share for one in found)
    return next((one for one in found if one.share > max(_SOME, most / 2)), None)


def _in_codes(program: Program, data: tuple[Array, ...]) -> tuple[Array, ...]:
    """Numbers as the codes of inputs hold them."""
    return tuple(
        _decoded(next((n for n in program.graph.users(value) if isinstance(n.op, Encode)), None), x)
        for value, x in zip(program.graph.inputs, data, strict=True)
    )


def _decoded(node: Node | None, x: Array) -> Array:
    if node is None or not isinstance(node.op, Encode):
        return x
    code, rescaling = node.op.code, Rescaling.of(node)
    found = decode(code, encode(code, x, rescaling))
    if rescaling is not None:
        found = (found / rescaling.factor + rescaling.offset).astype(np.float32)
    return found.reshape(x.shape)


def _share(formula: str, real: Array, rounded: Array) -> float:
    """The share of numbers that are on another side of a jump than in levels."""
    low, high = np.minimum(real, rounded), np.maximum(real, rounded)
    domain = float(low.min()), float(high.max())
    spanned = values(formula, np.concatenate([low, high]))
    places = jumps_of(formula, domain, _LEAST * float(np.ptp(spanned)))
    near = _NEAR * max(map(abs, domain))
    first = np.searchsorted(places, low - near)
    between = np.searchsorted(places, high + near, "right") > first
    other = _jumping(formula, real) != _jumping(formula, rounded)
    return float(np.mean(between.reshape(-1) & other.any(axis=0)))


def _jumping(formula: str, array: Array) -> Array:
    return choices(formula, array.reshape(-1), JUMPS)
