"""The outputs of a trained classifier on calibration data."""

from __future__ import annotations

import numpy as np

from qcompiler.ir import DataError, Graph, UnsupportedModel
from qcompiler.ir.kernels import Array
from qcompiler.passes.calibration.data import check, run_precisely
from qcompiler.passes.calibration.snap import snapped_range
from qcompiler.passes.quantization.logits import until_logits
from qcompiler.passes.tensor.clip_outputs import ClipOutputs

_FEWEST_IMAGES = 40
_TAIL = 0.1  # percent of images whose winner, or runner-up, may lie beyond the clipped outputs


def reference_outputs(graph: Graph, data: tuple[Array, ...]) -> Array:
    """Outputs of the real network, ``images x classes``."""
    check(graph, data)
    if len(graph.outputs) != 1:
        raise UnsupportedModel(
            f"the search needs a classifier with one output; this model has {len(graph.outputs)}"
        )
    if len(data[0]) < _FEWEST_IMAGES:
        raise DataError(
            f"the search needs at least {_FEWEST_IMAGES} calibration images, not {len(data[0])}"
        )
    cut = until_logits(graph)
    found = run_precisely(cut, data)
    if found[0].size < 2:
        raise UnsupportedModel("the search needs an output with several elements, one per class")
    return found.reshape(len(found), -1)


def clip_of(real: Array, away: float) -> ClipOutputs:
    """Outputs from the smallest winner to the largest runner-up: beyond, nothing is decided."""
    ordered = np.sort(real, axis=1)
    ends = np.percentile(ordered[:, -1], _TAIL), np.percentile(ordered[:, -2], 100 - _TAIL)
    return ClipOutputs(*snapped_range((float(min(ends)) - away, float(max(ends)) + away)))
