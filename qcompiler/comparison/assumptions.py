"""What an import takes for granted, where the data tell whether it is so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from qcompiler.data import Data
from qcompiler.explain.measure.onnx_reference import run_outputs
from qcompiler.frontend.import_model import Imported
from qcompiler.ir import Diagnostic, InvalidModel

from .compared_outputs import spread_frames, values
from .errors.output_error import output_error

_ALIKE = 0.01  # of the spread of an output


def broken_assumptions(
    model: Any, imported: Imported, given: Data | None, manifest: Mapping[str, Any]
) -> Iterator[Diagnostic]:
    """Warnings on what was assumed of a model, unless its graph gives the same on the data.

    Without data, and for models that are no file, all of it is told.
    """
    if not imported.assumed:
        return
    error = None
    if given is not None and isinstance(model, str | Path):
        error = _worst_error(Path(model), imported, given, manifest)
    if error is not None and error <= _ALIKE:
        return
    for one in imported.assumed:
        found = "" if error is None else f"; outputs are off by {error:.0%} of their spread"
        yield replace(one, message=one.message + found)


def _worst_error(
    model: Path, imported: Imported, given: Data, manifest: Mapping[str, Any]
) -> float | None:
    """The largest error of an output as a share of its spread; None if it cannot be told."""
    graph = imported.graph
    places = spread_frames(graph, len(given))
    data = tuple(array[places] for array in given.arrays)
    try:
        theirs = run_outputs(model, replace(given, arrays=data, labels=None), manifest)
    except InvalidModel:
        return None
    floats = tuple(array.astype(np.float32) for array in data)
    ours = values(graph, floats, [value.name for value in graph.outputs])
    errors = [
        output_error(value.name, ours[value.name], right.reshape(ours[value.name].shape)).error
        for value, right in zip(graph.outputs, theirs.values(), strict=False)
        if right.size == ours[value.name].size
    ]
    return max((error for error in errors if error is not None), default=None)
