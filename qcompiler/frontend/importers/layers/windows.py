"""Windows that slide over images: what the attributes of convolutions and pools mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qcompiler.frontend.model.constant_folding import LIMIT
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.frontend.model.scope import Shape

_LONGEST = 1 << 20


@dataclass(frozen=True)
class Window:
    """A kernel and how it slides.

    ``pads`` are begins, then ends; ``counted`` those of them that an average may count: not what
    rounding up appends.
    """

    kernel: Shape
    strides: Shape
    dilations: Shape
    pads: Shape
    counted: Shape

    @property
    def spans(self) -> Shape:
        """Pixels from the first to the last tap."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    def counts(self, space: Shape, out: Shape, with_padding: bool) -> Array:
        """Number of taps of each window on pixels, or on pixels and padding."""
        total = np.ones((), np.int64)
        rank = len(space)
        for axis, length in enumerate(space):
            low, high = 0, length
            if with_padding:
                low, high = -self.counted[axis], length + self.counted[rank + axis]
            first = np.arange(out[axis], dtype=np.int64) * self.strides[axis] - self.pads[axis]
            taps, apart = self.kernel[axis], self.dilations[axis]
            before = np.clip(-((first - low) // apart), 0, taps)
            up_to = np.clip(-((first - high) // apart), 0, taps)
            total = total[..., None] * (up_to - before)
        return total


def window(node: NodeContext, space: Shape, kernel: Shape, ceil: bool = False) -> Window:
    """The window of a node; ``ceil`` rounds the size of its result up."""
    rank = len(space)
    strides = node.integers("strides") or (1,) * rank
    dilations = node.integers("dilations") or (1,) * rank
    if not len(kernel) == len(strides) == len(dilations) == rank:
        raise InvalidNode(f"has a kernel, strides or dilations that do not fit {rank} spatial axes")
    if min((*kernel, *strides, *dilations), default=1) < 1:
        raise InvalidNode("has a kernel, stride or dilation below 1")
    if max((*kernel, *strides, *dilations), default=1) > _LONGEST:
        raise Refused(f"{node.op_type} with a kernel longer than {_LONGEST} is not supported")
    plain = Window(kernel, strides, dilations, (0,) * (2 * rank), (0,) * (2 * rank))
    pads = _pads(node, space, plain)
    ends = _ceiled(space, plain, pads) if ceil and _explicit(node) else pads[rank:]
    for length, begin, end, taps in zip(space, pads, ends, kernel, strict=False):
        if (length + begin + end) * taps > LIMIT:
            raise Refused(f"{node.op_type} with so large a kernel is not supported")
    return Window(kernel, strides, dilations, (*pads[:rank], *ends), pads)


def _explicit(node: NodeContext) -> bool:
    return node.text("auto_pad", "NOTSET") in ("NOTSET", "")


def _pads(node: NodeContext, space: Shape, plain: Window) -> Shape:
    mode, rank = node.text("auto_pad", "NOTSET"), len(space)
    if mode == "VALID":
        return _agreeing(node, (0,) * (2 * rank))
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        total = [
            ((length - 1) // stride) * stride + span - length
            for length, stride, span in zip(space, plain.strides, plain.spans, strict=True)
        ]
        if min(total, default=0) < -1:
            raise InvalidNode(
                f"has auto_pad {mode} for strides larger than the kernel, which tools read in "
                "unlike ways: give pads in its place"
            )
        total = [max(0, n) for n in total]
        less, more = [n // 2 for n in total], [n - n // 2 for n in total]
        return _agreeing(node, (*less, *more) if mode == "SAME_UPPER" else (*more, *less))
    if not _explicit(node):
        raise InvalidNode(f"has auto_pad {mode}")
    pads = node.integers("pads") or (0,) * (2 * rank)
    if len(pads) != 2 * rank:
        raise InvalidNode(f"has {len(pads)} pads for {rank} spatial axes")
    if min(pads, default=0) < 0:
        raise Refused(f"{node.op_type} with negative pads is not supported")
    if max(pads, default=0) > _LONGEST:
        raise Refused(f"{node.op_type} with pads beyond {_LONGEST} is not supported")
    return pads


def _agreeing(node: NodeContext, pads: Shape) -> Shape:
    """Pads that auto_pad gives; InvalidNode if the node states others."""
    given = node.integers("pads")
    if given and any(given) and given != pads:
        mode = node.text("auto_pad", "NOTSET")
        raise InvalidNode(f"has pads {given}, but auto_pad {mode} gives {pads}: it is ambiguous")
    return pads


def _ceiled(space: Shape, plain: Window, pads: Shape) -> Shape:
    """End pads for a result that is rounded up; no window starts in the end padding."""
    ends = []
    for axis, (length, stride) in enumerate(zip(space, plain.strides, strict=True)):
        begin, end, span = pads[axis], pads[len(space) + axis], plain.spans[axis]
        out = -((span - length - begin - end) // stride) + 1
        if (out - 1) * stride >= length + begin:
            out -= 1
        ends.append(max(0, (out - 1) * stride + span - length - begin))
    return tuple(ends)
