"""Cross-layer equalization: give every channel its own scale, without extra neurons or synapses.

All channels of a tensor share one quantization scale. The pass divides channel c by s_c behind the
layer that computes it, and multiplies it by s_c before every layer that reads it. Both factors fold
into weights, so the real function stays the same. The method is that of Nagel et al., arXiv
1906.04721, with ranges from calibration data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from qcompiler.ir import Graph, Invariant, Node, Value
from qcompiler.ir.ann import Add, Affine, Clip, Conv, Dense, Function, Multiply
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.invariants import NO_BATCHNORM, TENSOR_LEVEL
from qcompiler.passes.base import HIDDEN, Pass
from qcompiler.passes.calibration.channel_ranges import ChannelSample
from qcompiler.passes.calibration.data import check, check_effort, run
from qcompiler.passes.folding.channel_scales import commutes, equal_name, scaled_nodes, scales_back
from qcompiler.passes.folding.clips import is_code
from qcompiler.passes.folding.linear import largest_by_channel, parameters
from qcompiler.passes.quantization.fusion_groups import FusionGroup, fusion_groups
from qcompiler.passes.quantization.levels import check_levels, levels_of, map_values

from .centre import centred
from .centre_layers import with_centred_layers
from .fold_linear import FoldLinear
from .measured_values import measured_name
from .steady_tops import SteadyTops

_MANY = 1000  # frames: ends of channels hardly depend on chance any more, see few_frames.py
_QUIET = 0.25  # smallest scale, relative to the median: nearly silent channels get no finer levels
_HEAVY = 4.0  # weights, by the median, from which quiet channels have smaller scales still
_STEEPEST = 64.0  # weights over scales, by the median, up to which scales may be small


@dataclass(frozen=True)
class Equalize(Pass):
    """Scale channels so that one range of levels suits them all.

    For every channel behind a ReLU or a clip with bounds around zero, of a sum, a function or a
    product, or in front of a LeakyReLU, the pass finds the range with the least squared error for
    ``t_max`` levels. ``calibration`` holds one array per input, ``images x shape``. Without data,
    or with ``effort`` 0, nothing changes. Raises DataError if the data do not fit, are empty or not
    finite.
    """

    name: ClassVar[str] = "equalize"
    requires: ClassVar[tuple[Invariant, ...]] = (TENSOR_LEVEL, NO_BATCHNORM)
    t_max: int = 16
    effort: int = 0
    calibration: tuple[Array, ...] | None = field(default=None, metadata=HIDDEN, compare=False)
    progress: Callable[[float], None] | None = field(default=None, metadata=HIDDEN, compare=False)

    def __post_init__(self) -> None:
        check_effort(self.effort)
        check_levels(self.t_max)

    def __call__(self, graph: Graph) -> Graph:
        """Measure, then scale the channels whose readers can all undo the scale."""
        if self.calibration is None or self.effort == 0:
            return graph
        check(graph, self.calibration)
        graph = with_centred_layers(centred(graph, self.calibration), self.calibration)
        groups = {g.result.name: g for g in fusion_groups(graph) if _can_scale(graph, g)}
        chosen: dict[str, Value] = {name: group.result for name, group in groups.items()}
        chosen |= {node.result.name: node.result for node in graph.nodes if _is_fitted(graph, node)}
        if not chosen:
            return graph
        return scale_channels(graph, self._scales(graph, chosen, groups, self.calibration))

    def _scales(
        self,
        graph: Graph,
        chosen: dict[str, Value],
        groups: dict[str, FusionGroup],
        data: tuple[Array, ...],
    ) -> dict[str, Array]:
        seen = {name: measured_name(graph, value) for name, value in chosen.items()}
        rare = {seen[name] for name, group in groups.items() if _is_rectified(group)}
        kind = SteadyTops if len(data[0]) < _MANY else ChannelSample
        samples = {name: kind(len(data[0]), name in rare) for name in seen.values()}
        for values in run(graph, data, list(samples), self.progress):
            for name, array in values.items():
                samples[name].add(np.abs(array) if name in chosen else array)
        levels = {n: levels_of(graph, value, self.t_max) for n, value in chosen.items()}
        steep = {name: _steepness(group) for name, group in groups.items()}
        return {
            name: relative_scales(
                samples[seen[name]].tops(levels[name]),
                _heaviness(graph, value),
                steep.get(name, np.zeros(value.type.shape[:1])),
            )
            for name, value in chosen.items()
        }


def relative_scales(tops: Array, heaviness: Array, steepness: Array) -> Array:
    """Scales of channels from the upper ends of their ranges; the median of these becomes 1.

    ``heaviness`` holds the largest weight behind each channel, relative to the median: quiet
    channels of large weights get small scales, as all channels share the bits of weights.
    ``steepness`` holds the largest weight in front of each: weights divided by scales have limits.
    """
    speaking = tops[tops > 0]
    middle = np.median(speaking) if len(speaking) else 1.0
    light = np.minimum(1, _HEAVY / heaviness) ** 2
    scales: Array = np.where(tops > 0, np.maximum(tops / middle, _QUIET * light), light)
    least: Array = steepness / (_STEEPEST * (np.median(steepness / scales) or 1.0))
    return np.maximum(scales, np.minimum(least, 1))


def _heaviness(graph: Graph, value: Value) -> Array:
    """The largest weight behind each channel, by the median of all; 1 where that is unknown."""
    found = np.ones(value.type.shape[:1])
    for user in graph.users(value):
        if commutes(user) or isinstance(user.op, Add | Affine):
            found = np.maximum(found, _heaviness(graph, user.result))
        elif (largest := largest_by_channel(user)) is not None:
            found = np.maximum(found, largest / (np.median(largest) or 1.0))
    return found


def _steepness(group: FusionGroup) -> Array:
    """The largest weight in front of each channel."""
    found = np.zeros(group.result.type.shape[:1])
    for node in group.nodes:
        if (known := parameters(node)) is not None:
            weight = np.abs(known[0])
            found = np.maximum(found, weight.max(axis=tuple(range(1, weight.ndim))))
    return found


def _can_scale(graph: Graph, group: FusionGroup) -> bool:
    """Whether a value is a clip's or a sum, and all around it can take a scale in."""
    if (group.clip and not _takes_scales(group.clip)) or group.gain:
        return False
    if not group.clip and any(isinstance(u.op, Affine) for u in graph.users(group.result)):
        return False  # with which the layer would take the scale back
    makers = {type(node.op) for node in group.nodes} - {Clip}
    return bool(makers) and makers <= {Conv, Dense, Add} and scales_back(graph, group.result)


def _is_fitted(graph: Graph, node: Node) -> bool:
    """Whether a node is a function or product whose result can take a gain of each channel."""
    fitted = isinstance(node.op, Function | Multiply) and len(node.result.type.shape) > 0
    return fitted and scales_back(graph, node.result)


def _is_rectified(group: FusionGroup) -> bool:
    """Whether a ReLU, or a clip from 0 on, makes a value: many are zero, and peaks are rare."""
    return group.clip is not None and isinstance(group.clip.op, Clip) and group.clip.op.low == 0


def _takes_scales(clip: Node) -> bool:
    """Whether the bounds of a clip, if it has an upper one, can be multiplied for each channel."""
    assert isinstance(clip.op, Clip)
    low, high = clip.op.low, clip.op.high
    around = high is not None and high > 0 and (low is None or low <= 0)
    return clip.op == Clip(0.0) or (around and not clip.arrays and not is_code(clip.result))


def scale_channels(graph: Graph, scales: dict[str, Array]) -> Graph:
    """The same function with each of these values divided by a positive scale of each channel.

    A product takes the scales of its operands back in its gain.
    """
    read = dict(scales)  # max pools and halves of a LeakyReLU pass a scale on to their readers
    for node in graph.nodes:
        if node.operands and node.operands[0].name in read and commutes(node):
            read[node.result.name] = read[node.operands[0].name]
    nodes = [made for node in graph.nodes for made in scaled_nodes(node, graph, scales, read)]
    return _with_names(FoldLinear()(replace(graph, nodes=tuple(nodes))), graph)


def _with_names(equalized: Graph, graph: Graph) -> Graph:
    """A value whose factor has moved into its readers has its old name again."""
    missing = {node.result.name for node in graph.nodes}
    missing -= {node.result.name for node in equalized.nodes}
    names = {equal_name(graph, name): name for name in missing}
    return map_values(equalized, lambda v: replace(v, name=names.get(v.name, v.name)))
