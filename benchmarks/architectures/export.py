"""Write every architecture as an ONNX file with data; needs torch, onnxscript and transformers.

    python -m benchmarks.architectures.export FOLDER [NAME ...]

FOLDER gets ``NAME.onnx`` and ``NAME.npz``: 256 samples for calibration and 64 others, by input. A
name may end in ``@dynamo`` or ``@torchscript``, the exporter (default: the first that works).
"""

from __future__ import annotations

import inspect
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch

from . import convolutional, dense, generative, perceptrons, sequences, tables, transformers
from .building import TABLE, Architecture

FILES = convolutional, dense, generative, perceptrons, sequences, tables, transformers
CALIBRATION, FRESH = 256, 64


def write(one: Architecture, exporter: str, path: Path) -> None:
    """Export one architecture; raises what the exporter raises."""
    module = one.module()
    rng = np.random.default_rng(3)
    names = list(inspect.signature(module.forward).parameters)[: len(one.inputs)]
    if "input" in names:  # that of Sequential
        names = ["x"]
    given = one.tensors(np.random.default_rng(2), 3)
    if exporter == "dynamo":
        shapes = tuple({0: torch.export.Dim.DYNAMIC} for _ in given)
        how = {"dynamo": True, "dynamic_shapes": shapes, "verbose": False}
    else:
        how = {"dynamo": False, "dynamic_axes": {name: {0: "N"} for name in names}}
    torch.onnx.export(module, given, path, input_names=names, external_data=False, **how)
    proto = onnx.load(path)
    nodes = [*proto.graph.node, *(n for f in proto.functions for n in f.node)]
    for held in (proto, proto.graph, *nodes, *proto.graph.value_info, *proto.graph.initializer):
        del held.metadata_props[:]
        held.doc_string = ""
    onnx.save(proto, path)
    data = {
        name: i.sample(rng, CALIBRATION + FRESH) for name, i in zip(names, one.inputs, strict=True)
    }
    parts = {name: (x[:CALIBRATION], x[CALIBRATION:]) for name, x in data.items()}
    calibration = {name: pair[0] for name, pair in parts.items()}
    fresh = {f"fresh:{name}": pair[1] for name, pair in parts.items()}
    np.savez_compressed(path.with_suffix(".npz"), **calibration, **fresh)


def main(folder: Path, names: list[str]) -> None:
    """Write those of these names, or all."""
    warnings.simplefilter("ignore")
    folder.mkdir(parents=True, exist_ok=True)
    for given in names or TABLE:
        name, _, asked = given.partition("@")
        for exporter in [asked] if asked else ["torchscript", "dynamo"]:
            try:
                write(TABLE[name], exporter, folder / f"{given}.onnx")
            except Exception as error:  # exporters raise almost anything
                reason = str(error).partition("\n")[0][:200]
                print(f"{given}: {exporter}: {type(error).__name__}: {reason}")
                continue
            print(f"{given}: {exporter}", flush=True)
            break


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
