"""Kernels that read channels of zeros besides those of their sources, to read them by four."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .byte_kernel import ByteKernel


def filled_up(kernel: ByteKernel, number: int) -> ByteKernel | None:
    """The kernel with a multiple of so many channels; None if it has that, or each has its own.

    Which levels are multiplied by the zeros does not matter.
    """
    outputs, channels, *taps = kernel.shape
    missing = -channels % number
    if not missing or kernel.op.groups > 1:
        return None
    zeros = np.zeros((outputs, missing, *taps), np.int8)
    *weights, weight = kernel.weights
    *sources, source = kernel.sources
    if source.channels is None:
        weights, sources = [*weights, weight], [*sources, source]
        weight, source = zeros, replace(source, factor=1, channels=(0,) * missing)
    else:
        weight = np.concatenate([weight, zeros], 1)
        source = replace(source, channels=source.channels + (0,) * missing)
    return replace(kernel, weights=(*weights, weight), sources=(*sources, source))
