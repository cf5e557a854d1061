"""What must hold of every rewrite of the tensor level, tried on random networks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import assume

import qcompiler
from qcompiler.ir import Graph, UnsupportedModel, evaluate, verify
from qcompiler.ir.ann import Clip
from qcompiler.passes.quantization.fusion_groups import FusionGroup
from qcompiler.passes.quantization.group_index import group_named
from qcompiler.passes.slicing.sliceable import ready
from tests.support.random_networks import LOIHI, compiled, random_batch, random_network
from tests.support.spiking import same_spikes

FOLDED = "fold-batchnorm,fold-linear"


def keeps_the_numbers(graph: Graph, rewritten: Graph, seed: int) -> None:
    """Hold a rewritten graph to the numbers of the one before, but for single precision."""
    verify(rewritten)
    batch = random_batch(graph, seed)
    (one,), (other,) = evaluate(graph, batch), evaluate(rewritten, batch)
    size = np.abs(one).max() + 1
    np.testing.assert_allclose(other, one, 1e-4, 1e-4 * size)


def engines_agree(rewrite: Callable[[Graph], Graph], text: str, seed: int) -> None:
    """Compile a rewritten network of random layers by a pipeline; compare every spike."""
    graph = compiled(random_network(seed, 5, branches=True), FOLDED)
    batch = random_batch(graph, seed)
    passes = text.replace(f"{FOLDED},", "").replace("normalize", "normalize,lower-activations")
    target = "loihi" if text is LOIHI else "reference"
    try:
        program = qcompiler.compile(
            rewrite(graph), calibration=batch, target=target, passes=passes, t_max=4
        )
    except UnsupportedModel:
        assume(False)  # weights of few levels that are too large: nothing to compare
    same_spikes(program, "fast", batch[:4])


def to_be_split(graph: Graph, name: str, low: float) -> tuple[Graph, FusionGroup, Clip, float]:
    """A graph with a clip at the end of a group, both, and ``low``, or the clip's if higher."""
    graph = ready(graph, name)
    group = group_named(graph, name)
    clip = group.clip.op if group.clip else None
    assert isinstance(clip, Clip)
    return graph, group, clip, low if clip.low is None else max(low, clip.low)
