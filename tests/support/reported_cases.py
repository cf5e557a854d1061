"""Small networks from reports, beside onnxruntime and beside their own form in 8 bits."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import qcompiler
from qcompiler import data
from qcompiler.api import inputs_of
from qcompiler.backends.program.program import Program
from qcompiler.comparison.compared_outputs import compared_outputs
from qcompiler.comparison.errors.level_errors import LevelCounts, values_in_levels
from qcompiler.frontend.import_model import Preprocessing, import_model
from qcompiler.passes.tensor.fold_batchnorm import FoldBatchNorm
from tests.support.onnx_models import Array

# By case: options that it needs
OPTIONS: Mapping[str, dict[str, Any]] = {
    "dims_of_one_name": {"input_shapes": {"x": ("N", 3, 4, 8)}},
    "gru_state_input": {"allow_products": True},
    "open_shape_silu": {"input_shapes": {"x": ("N", 3, 4, 4)}},
    "products_flag_given": {"allow_products": True},
    "refused_product_hswish": {"allow_products": True},
    "sequence_first": {"allow_products": True},
    "squeeze_excite_loihi": {"allow_products": True},
    "wrong_gate_near_one": {"allow_products": True},
}


class ReportedCase:
    """A model, its data, and what onnxruntime makes of them, frame by frame."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path, self.archive = (folder / "cases" / f"{name}.{kind}" for kind in ("onnx", "npz"))
        self.options = OPTIONS.get(name, {})
        self.arrays = dict(np.load(self.archive))
        graph = onnx.load(self.path).graph
        ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in graph.input}
        frames = range(len(next(iter(self.arrays.values()))))
        self.feeds = [
            {key: a[i : i + 1] if a.ndim == ranks[key] else a[i] for key, a in self.arrays.items()}
            for i in frames
        ]
        self.wanted = self.run(self.path)

    def run(self, path: Path) -> dict[str, Array]:
        """The outputs of a model by name, ``frames x elements``."""
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        names = {given.name for given in session.get_inputs()}
        rows = [session.run(None, {k: v for k, v in f.items() if k in names}) for f in self.feeds]
        return {
            output.name: np.stack([np.asarray(row[at]).reshape(-1) for row in rows])
            for at, output in enumerate(session.get_outputs())
        }

    @cached_property
    def compiled(self) -> tuple[Program, list[str]]:
        """The program with 64 levels, and its warnings."""
        return self.compile()

    def compile(self, **options: Any) -> tuple[Program, list[str]]:
        """The same with other options."""
        given = {"target": "reference", "t_max": 64, **self.options, **options}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            program = qcompiler.compile(self.path, calibration=self.archive, **given)
        return program, [str(one.message) for one in caught]

    def errors(self, found: Mapping[str, Array]) -> list[float]:
        """The root mean square error of each output over its spread."""
        return [
            error(found[name].reshape(right.shape), right) for name, right in self.wanted.items()
        ]

    def errors_of(self, program: Program) -> list[float]:
        """Those of a program."""
        read = data.read(self.archive, inputs_of(program.graph))
        return self.errors(program.measure(*read.arrays).outputs)

    def errors_in_8_bits(self) -> list[float]:
        """Those of the same model after onnxruntime's static quantisation."""
        quantization = pytest.importorskip("onnxruntime.quantization")
        batches = self.feeds

        class Reader(quantization.CalibrationDataReader):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                self.left = iter(batches)

            def get_next(self) -> Any:
                return next(self.left, None)

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "int8.onnx"
            quantization.quantize_static(str(self.path), str(path), Reader())
            return self.errors(self.run(path))

    @cached_property
    def errors_at_256_levels(self) -> list[float]:
        """Those in 8 bits, or with 256 levels for all values where these are larger."""
        levels = self.errors_of_levels(self.compiled[0], 256)
        return [max(pair) for pair in zip(self.errors_in_8_bits(), levels, strict=True)]

    def errors_of_levels(self, program: Program, levels: int = 0) -> list[float]:
        """Those of the model with all values in the levels of a program, or in this many."""
        imported = import_model(
            self.path,
            Preprocessing(),
            self.options.get("allow_products", False),
            self.options.get("input_shapes"),
        )
        graph = FoldBatchNorm()(imported.graph)
        read = data.read(self.archive, inputs_of(graph))
        frames = tuple(array.astype(np.float32) for array in read.arrays)
        compared, _ = compared_outputs(graph, program, frames)
        counts = LevelCounts.of(program)
        if levels:
            counts = LevelCounts(dict.fromkeys(counts.inputs, levels), levels, levels)
        found = values_in_levels(graph, counts, frames, [one.value for one in compared])
        assert found is not None
        return [error(a, one.theirs) for a, one in zip(found, compared, strict=True)]


def error(found: Array, wanted: Array) -> float:
    """The root mean square error over the standard deviation of all elements over frames."""
    spread = np.sqrt(wanted.var(axis=0, dtype=np.float64).mean())
    return float(np.sqrt(np.mean((found - wanted) ** 2, dtype=np.float64)) / (spread or 1.0))
