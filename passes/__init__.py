"""Passes: functions from graph to graph, one file each, named as the pass."""

from collections.abc import Mapping

from .base import Pass
from .pipeline import Pipeline, Watcher

# Names of classes, so that naming a pass does not import every other: see `pipeline.built_in`.
BUILT_IN: Mapping[str, str] = {
    "fold-batchnorm": "FoldBatchNorm",
    "fold-linear": "FoldLinear",
    "allot": "Allot",
    "clip-outputs": "ClipOutputs",
    "split-inputs": "SplitInputs",
    "equalize": "Equalize",
    "split-ranges": "SplitRanges",
    "normalize": "Normalize",
    "lower-activations": "LowerActivations",
    "quantize": "Quantize",
    "assign-windows": "AssignWindows",
    "insert-readout": "InsertReadout",
}

__all__ = ["BUILT_IN", "Pass", "Pipeline", "Watcher"]
