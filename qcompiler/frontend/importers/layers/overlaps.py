"""Importer of Col2Im: windows added up to an image, which a transposed convolution does."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.ir import Value
from qcompiler.ir.view import Reshape

from .transposed_conv import conv_transpose

_MOST = 1 << 24  # weights, nearly all of which are 0


def col2im(node: NodeContext) -> Value:
    """Col2Im: each channel of the windows is one tap of a kernel."""
    x = node.activation()
    space, kernel = (
        node.fixed_integers(index, what) or ()
        for index, what in ((1, "size of the image"), (2, "size of the windows"))
    )
    rank, shape = len(space), x.type.shape
    strides = node.integers("strides") or (1,) * rank
    dilations = node.integers("dilations") or (1,) * rank
    pads = node.integers("pads") or (0,) * (2 * rank)
    each = len(kernel) == len(strides) == len(dilations) == rank and len(pads) == 2 * rank
    if not rank or not each or min(*space, *kernel, *strides, *dilations) < 1 or min(pads) < 0:
        raise InvalidNode(f"has windows of {kernel} that do not fit an image of {space}")
    taps = prod(kernel)
    free = [
        n + b + e - (k - 1) * d - 1
        for n, b, e, k, d in zip(space, pads[:rank], pads[rank:], kernel, dilations, strict=True)
    ]
    strides = tuple(min(s, max(n, 0) + 1) for s, n in zip(strides, free, strict=True))
    windows = tuple(n // s + 1 for n, s in zip(free, strides, strict=True))
    if len(shape) != 2 or shape[0] % taps or shape[1] != prod(windows) or min(windows) < 1:
        raise InvalidNode(f"has samples of shape {shape} for windows of {kernel} at {windows}")
    image = prod(n + b + e for n, b, e in zip(space, pads[:rank], pads[rank:], strict=True))
    if max(shape[0] * taps, image) > _MOST:
        raise Refused("Col2Im with so large windows is not supported")
    blocks = node.part("windows", Reshape((shape[0], *windows)), x)
    each_tap = np.tile(np.eye(taps, dtype=np.float32), (shape[0] // taps, 1))
    weight = each_tap.reshape(shape[0], 1, *kernel)
    known = KnownArray((weight,) * len(node.scope.probes), f"{node.name}.taps")
    attributes = {
        "strides": strides,
        "dilations": dilations,
        "pads": pads,
        "group": shape[0] // taps,
        "output_padding": tuple(n % s for n, s in zip(free, strides, strict=True)),
    }
    return conv_transpose(replace(node, inputs=(blocks, known), attributes=attributes))
