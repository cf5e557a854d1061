"""The built-in passes by name, in the order of the default pipeline."""

from collections.abc import Mapping

# Names of classes, not classes: `pipeline.built_in` imports only the passes in use.
BUILT_IN: Mapping[str, str] = {
    "fold-batchnorm": "FoldBatchNorm",
    "fold-linear": "FoldLinear",
    "standardize": "Standardize",
    "assign-levels": "AssignLevels",
    "clip-outputs": "ClipOutputs",
    "split-inputs": "SplitInputs",
    "equalize": "Equalize",
    "split-ranges": "SplitRanges",
    "refine-outputs": "RefineOutputs",
    "normalize": "Normalize",
    "lower-activations": "LowerActivations",
    "quantize": "Quantize",
    "split-windows": "SplitWindows",
    "assign-windows": "AssignWindows",
    "choose-codes": "ChooseCodes",
    "insert-readout": "InsertReadout",
}
