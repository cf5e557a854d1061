"""What a backend is, and the two built-in ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from qcompiler.ir import Diagnostic, Graph, Invariant
from qcompiler.ir.integer import layers, weight_of
from qcompiler.ir.invariants import READ_OUT, SCHEDULED, SPIKING, within

_PIPELINE = "fold-batchnorm,fold-linear,normalize,{quantize},{windows},insert-readout"


@dataclass(frozen=True)
class Backend:
    """A target: the passes that lower a network to it, and what the result must satisfy.

    ``pipeline`` is text for `Pipeline.parse`; ``requires`` is checked on the final graph.
    """

    name: str
    description: str
    pipeline: str
    requires: tuple[Invariant, ...]


def _even_weights(graph: Graph) -> Iterator[Diagnostic]:
    for layer in layers(graph):
        for synapse in layer.synapses:
            weight = weight_of(synapse)
            if np.any(weight & 1) or not -254 <= weight.min() <= weight.max() <= 254:
                yield Diagnostic(
                    f"weights into %{layer.node.result.name} are not even or beyond +-254",
                    layer.node.origin,
                    "compile with --weight-bits 8 or fewer, and with quantize{even=true}",
                )


EVEN_WEIGHTS = Invariant("even-weights", _even_weights)

REFERENCE = Backend(
    "reference",
    "the integer network, run by the steps and fast engines",
    _PIPELINE.format(quantize="quantize", windows="assign-windows"),
    (SPIKING, SCHEDULED, READ_OUT, within((1 << 23) - 1, "potentials within 24 bits")),
)

# Weights: 8 bits with mixed signs are even. Membranes: 24 bits, of which weights count from the
# seventh (Lava's LIF shifts its input by 6), so +-131071 in units of weights. A synapse delays by
# up to 63 steps.
LOIHI = Backend(
    "loihi",
    "Intel's Loihi, as a graph of stock Lava processes",
    _PIPELINE.format(
        quantize="quantize{even=true potential=131071}", windows="assign-windows{delay=63}"
    ),
    (SPIKING, SCHEDULED, READ_OUT, EVEN_WEIGHTS, within(131071, "potentials within 24 bits")),
)

BUILT_IN = {backend.name: backend for backend in (LOIHI, REFERENCE)}
