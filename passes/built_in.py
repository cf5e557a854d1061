"""The built-in passes by name, in the order of the default pipeline."""

from collections.abc import Mapping

# Folders and names of classes, not classes: `pipeline.built_in` imports only the passes in use.
BUILT_IN: Mapping[str, str] = {
    "fold-batchnorm": "tensor.FoldBatchNorm",
    "fold-linear": "tensor.FoldLinear",
    "lower-magnitudes": "tensor.LowerMagnitudes",
    "split-fan-in": "tensor.SplitFanIn",
    "standardize": "tensor.Standardize",
    "assign-levels": "tensor.AssignLevels",
    "clip-outputs": "tensor.ClipOutputs",
    "split-inputs": "tensor.SplitInputs",
    "equalize": "tensor.Equalize",
    "split-ranges": "tensor.SplitRanges",
    "refine-outputs": "tensor.RefineOutputs",
    "normalize": "tensor.Normalize",
    "lower-activations": "tensor.LowerActivations",
    "quantize": "spiking.Quantize",
    "split-windows": "spiking.SplitWindows",
    "assign-windows": "spiking.AssignWindows",
    "choose-codes": "spiking.ChooseCodes",
    "insert-readout": "spiking.InsertReadout",
}
