"""The built-in passes, by name."""

from collections.abc import Mapping

# Names of classes, so that naming a pass does not import every other: see `pipeline.built_in`.
BUILT_IN: Mapping[str, str] = {
    "fold-batchnorm": "FoldBatchNorm",
    "fold-linear": "FoldLinear",
    "assign-levels": "AssignLevels",
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
