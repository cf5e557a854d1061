"""What `explain` is given is looked at first, so that a sentence says what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qcompiler.backends.program.program import Program
from qcompiler.ir import DataError, Diagnostic, InvalidModel, ProgramError


def check_given(program: Any, model: Any, data: Any) -> None:
    """A CompileError for what is no program, no path of a model, or no frames with their labels."""
    if not isinstance(program, Program):
        help_ = "qcompiler.compile and qcompiler.load give programs"
        raise ProgramError(Diagnostic(f"explain takes a program, not {_kind(program)}", help=help_))
    if not isinstance(model, str | Path):
        help_ = "save the model with onnx.save and give its path"
        text = f"explain takes the path of the model, not {_kind(model)}"
        raise InvalidModel(Diagnostic(text, help=help_))
    if not hasattr(data, "spread"):
        help_ = "wrap arrays, one for each input: qcompiler.data.Data((images,), labels)"
        raise DataError(Diagnostic(f"explain takes Data, not {_kind(data)}", help=help_))
    if data.labels is not None and len(data.labels) != len(data):
        text = f"there are {len(data.labels):,} labels for {len(data):,} frames"
        raise DataError(Diagnostic(text, help="give one label for each frame, or none"))


def _kind(given: Any) -> str:
    return type(given).__name__
