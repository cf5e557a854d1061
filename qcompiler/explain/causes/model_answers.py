"""Which frames an ONNX model answers right, as data and preprocessing change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from qcompiler.data import Array, Data
from qcompiler.explain.measure.reference import Reference
from qcompiler.frontend.import_model import Preprocessing
from qcompiler.ir import InvalidModel

from .answers import right_of


class ModelAnswers:
    """A model with labelled data, in one process of onnxruntime until it fails, then in another."""

    def __init__(self, model: Path, data: Data, labels: Array, manifest: Mapping[str, Any]) -> None:
        self._model, self._data, self._labels = model, data, labels
        self._manifest = manifest
        self._running: Reference | None = None

    def __enter__(self) -> ModelAnswers:
        return self

    def __exit__(self, *error: Any) -> None:
        if self._running is not None:
            self._running.__exit__(*error)
        self._running = None

    def __call__(self, x: Array, before: Preprocessing) -> Array | None:
        """Which frames are right; None if its output is no classes or not finite."""
        try:
            if self._running is None:
                self._running = Reference(self._model, self._manifest)
            self._running.before = before
            outputs = self._running.run(replace(self._data, arrays=(x,)))
        except InvalidModel:
            self.__exit__(None, None, None)
            return None
        return right_of(next(iter(outputs.values())), self._labels)
