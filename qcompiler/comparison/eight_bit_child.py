"""The child process in which onnxruntime quantises a model to 8 bits: see `eight_bit`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

MADE, FAILED, FEED = "quantised.onnx", "failed.txt", "{}.npz"
_PER_CHANNEL = 13  # the first opset in which weights of each channel have a scale
_QUANTISED = ("QuantizeLinear", "DequantizeLinear", "QLinear", "ConvInteger", "MatMulInteger")


def _feeds(folder: Path) -> Iterator[dict[str, Any]]:
    """The batches to calibrate on."""
    for index in range(len(list(folder.glob(FEED.format("*"))))):
        names = json.loads((folder / f"{index}.json").read_text(encoding="utf-8"))
        with np.load(folder / FEED.format(index), allow_pickle=False) as archive:
            yield {name: archive[f"arr_{at}"] for at, name in enumerate(names)}


def _quantise(path: str, folder: Path) -> None:
    import onnx.version_converter
    from onnxruntime.quantization import CalibrationDataReader, quantize_static

    class Batches(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = _feeds(folder)

        def get_next(self) -> dict[str, Any] | None:
            return next(self.left, None)

    model = onnx.load(path)
    if any(node.op_type.startswith(_QUANTISED) for node in model.graph.node):
        raise ValueError("it is quantised already")
    opset = max(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    if opset < _PER_CHANNEL:
        model = onnx.version_converter.convert_version(model, _PER_CHANNEL)
    quantize_static(model, folder / "made.onnx", Batches(), per_channel=True)
    (folder / "made.onnx").replace(folder / MADE)  # whole, or not there


def main(path: str, name: str) -> None:
    """Quantise the model at a path with the batches in a folder, and write it there."""
    folder = Path(name)
    try:
        _quantise(path, folder)
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        (folder / FAILED).write_text(lines[0], encoding="utf-8")
