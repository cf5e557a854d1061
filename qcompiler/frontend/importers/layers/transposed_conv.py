"""ConvTranspose: a convolution to one channel a phase of the strides, and a pixel shuffle."""

from __future__ import annotations

from itertools import product as combinations
from math import prod
from typing import Any, NamedTuple

import numpy as np

from qcompiler.frontend.importers.views.slicing import take_indices
from qcompiler.frontend.model.folding_limits import beyond
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.frontend.model.scope import Shape
from qcompiler.ir import Value
from qcompiler.ir.ann import Conv
from qcompiler.ir.view import Reshape, Transpose

from .linear import bias_of

_MOST = 1 << 20  # taps of all phases along an axis


class Axis(NamedTuple):
    """A transposed convolution along one axis: ``y[o] = sum w[k] x[(o + begin - k d) / s]``."""

    length: int
    kernel: int
    stride: int
    dilation: int
    begin: int
    out: int

    @property
    def taps(self) -> list[tuple[int, int, int]]:
        """Phase of the output, distance of the input, and the tap between them."""
        found = []
        for phase, tap in combinations(range(self.stride), range(self.kernel)):
            ahead = phase + self.begin - tap * self.dilation
            if ahead % self.stride == 0:
                found.append((phase, ahead // self.stride, tap))
        return found

    @property
    def reach(self) -> tuple[int, int]:
        """The nearest and the farthest distance of an input."""
        found = [distance for _, distance, _ in self.taps]
        return min(found), max(found)

    @property
    def choice_shape(self) -> Shape:
        """Phases, distances and taps."""
        nearest, farthest = self.reach
        return self.stride, farthest - nearest + 1, self.kernel

    @property
    def choice(self) -> Array:
        """Which taps are used, ``phase x distance x tap``."""
        found, nearest = np.zeros(self.choice_shape, np.float32), self.reach[0]
        for phase, distance, tap in self.taps:
            found[phase, distance - nearest, tap] = 1
        return found

    @property
    def steps(self) -> int:
        """Outputs of one phase, that of the last output included."""
        return -(-self.out // self.stride)


def conv_transpose(node: NodeContext) -> Value:
    """ConvTranspose with any strides, pads, dilations, output padding and groups."""
    x = node.activation()
    _, weight = node.weight(1, "weight")
    groups, space = node.integer("group", 1), x.type.shape[1:]
    if not space or weight.ndim != len(space) + 2 or len(weight) != x.type.shape[0]:
        raise InvalidNode(f"has a weight of shape {weight.shape} for an input of {x.type.shape}")
    if groups < 1 or len(weight) % groups:
        raise InvalidNode(f"has {groups} groups for {len(weight)} channels")
    axes = _axes(node, space, weight.shape[2:])
    outputs = weight.shape[1] * groups
    bias, _ = bias_of(node, 2, outputs)
    phases = _phases(_by_output(weight, groups), axes)
    x = _cropped(node, x, axes)
    op = Conv((1,) * len(axes), _pads(axes), (1,) * len(axes), groups)
    spread = np.repeat(bias, prod(axis.stride for axis in axes))
    constants = node.constant("weight", phases), node.constant("bias", _grown(spread, len(axes)))
    return _shuffled(node, node.part("phases", op, x, *constants), axes, outputs)


def _axes(node: NodeContext, space: Shape, kernel: Shape) -> list[Axis]:
    rank = len(space)
    given = node.integers("kernel_shape") or kernel
    strides = node.integers("strides") or (1,) * rank
    dilations = node.integers("dilations") or (1,) * rank
    more = node.integers("output_padding") or (0,) * rank
    pads = node.integers("pads") or (0,) * (2 * rank)
    if given != kernel or len(pads) != 2 * rank:
        raise InvalidNode(f"has kernel_shape {given} and pads {pads} for a weight of {kernel}")
    if not len(strides) == len(dilations) == len(more) == rank or min(*strides, *dilations) < 1:
        raise InvalidNode(f"has strides or dilations that do not fit {rank} spatial axes")
    if any(not 0 <= m < max(s, d) for m, s, d in zip(more, strides, dilations, strict=True)):
        raise InvalidNode(
            f"has output_padding {more}, which must be from 0 to below the strides {strides} or "
            f"the dilations {dilations}"
        )
    full = [
        s * (n - 1) + m + (k - 1) * d + 1
        for n, k, s, d, m in zip(space, kernel, strides, dilations, more, strict=True)
    ]
    mode, wanted = node.text("auto_pad", "NOTSET"), node.integers("output_shape") or None
    if mode not in ("NOTSET", "") and any(pads):
        raise InvalidNode(f"has pads {pads} beside auto_pad {mode}: it is ambiguous")
    if mode in ("SAME_UPPER", "SAME_LOWER") and wanted is None:
        wanted = tuple(n * s for n, s in zip(space, strides, strict=True))
        if any(o > f for o, f in zip(wanted, full, strict=True)):
            raise InvalidNode(
                f"has auto_pad {mode} for strides larger than the kernel, which tools read in "
                "unlike ways: give pads and output_padding in its place"
            )
    if wanted is None:
        begins = pads[:rank]
        outs = [f - b - e for f, b, e in zip(full, begins, pads[rank:], strict=True)]
    else:
        if len(wanted) < rank:
            raise InvalidNode(f"has output_shape {wanted} for {rank} spatial axes")
        outs = list(wanted[-rank:])
        ends = zip(outs, full, more, strides, dilations, strict=True)
        if any(o - (f - m) >= max(s, d) for o, f, m, s, d in ends):
            raise InvalidNode(
                f"has output_shape {wanted} for a sum of {tuple(full)}: it is ambiguous where "
                "its zeros are; leave output_shape out, and place zeros with Pad"
            )
        total = [max(0, f - o) for f, o in zip(full, outs, strict=True)]
        upper = mode == "SAME_UPPER"
        begins = tuple(t // 2 if upper else t - t // 2 for t in total)
    if min(outs) < 1:
        raise Refused("the result of ConvTranspose is empty")
    rows = zip(space, kernel, strides, dilations, begins, outs, strict=True)
    axes = [Axis(*row) for row in rows]
    if max(axis.stride * axis.kernel for axis in axes) > _MOST or any(
        beyond(axis.choice_shape) for axis in axes
    ):
        raise Refused("ConvTranspose with so long kernels or strides is not supported")
    return axes


def _by_output(weight: Array, groups: int) -> Array:
    """The weight ``C x O/groups x kernel`` as a convolution has it: ``O x C/groups x kernel``."""
    width, outs = len(weight) // groups, weight.shape[1]
    split = weight.reshape(groups, width, outs, *weight.shape[2:]).swapaxes(1, 2)
    found: Array = split.reshape(groups * outs, width, *weight.shape[2:])
    return found


def _phases(weight: Array, axes: list[Axis]) -> Array:
    """The kernels of all phases, ``O phases x C/groups x reach``."""
    rank = len(axes)
    taps, phases, places = (list(range(2 + k * rank, 2 + (k + 1) * rank)) for k in range(3))
    operands: list[Any] = [weight, [0, 1, *taps]]
    for axis, *labels in zip(axes, phases, places, taps, strict=True):
        operands += [axis.choice, labels]
    product: Array = np.einsum(*operands, [0, *phases, 1, *places])
    return product.reshape(-1, *product.shape[1 + rank :])


def _pads(axes: list[Axis]) -> Shape:
    begins = [max(0, -axis.reach[0]) for axis in axes]
    ends = [max(0, axis.steps + axis.reach[1] - axis.length) for axis in axes]
    return (*begins, *ends)


def _cropped(node: NodeContext, x: Value, axes: list[Axis]) -> Value:
    """Without the pixels in front of the first and behind the last that any output sees."""
    for index, axis in enumerate(axes, 1):
        nearest, farthest = axis.reach
        first, last = max(0, nearest), min(axis.length, axis.steps + farthest)
        if first >= last:
            raise Refused("ConvTranspose whose result depends only on padding is not supported")
        x = take_indices(node, x, index, range(first, last))
    return x


def _shuffled(node: NodeContext, x: Value, axes: list[Axis], outputs: int) -> Value:
    """Interleave the phases, which are channels, and drop what is beyond the output."""
    rank, strides = len(axes), [axis.stride for axis in axes]
    if prod(strides) > 1:
        steps = [axis.steps for axis in axes]
        x = node.part("split", Reshape((outputs, *strides, *steps)), x)
        perm = (0, *(a for k in range(rank) for a in (1 + rank + k, 1 + k)))
        x = node.part("turned", Transpose(perm), x)
        lengths = (axis.steps * axis.stride for axis in axes)
        x = node.part("shuffled", Reshape((outputs, *lengths)), x)
    for index, axis in enumerate(axes, 1):
        x = take_indices(node, x, index, range(axis.out))
    return x


def _grown(bias: Array, rank: int) -> Array:
    return bias.reshape(-1, *(1,) * rank)
