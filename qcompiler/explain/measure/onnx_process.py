"""A session of onnxruntime in a process of its own, whose crash costs a sentence."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from qcompiler.data import Array
from qcompiler.ir.execution.session import default_threads

from .onnx_child import receive, send

# The paths of this process, and not the current folder, which may hold modules of others.
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from qcompiler.explain.measure.onnx_child import main; main(sys.argv[2], int(sys.argv[3]))"
)


class ModelFailed(Exception):
    """onnxruntime refuses a model or its data; ``kind`` names its exception."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Declared:
    """An input or output as the model declares it."""

    name: str
    type: str = ""
    shape: tuple[Any, ...] = ()


class OnnxProcess:
    """Runs one model, with the methods of a session of onnxruntime. Raises ModelFailed."""

    def __init__(self, model: Path) -> None:
        given = json.dumps(sys.path), str(model), str(default_threads())
        command = [sys.executable, "-I", "-c", _START, *given]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        try:
            head, _ = self._answer()
        except BaseException:
            self._process.kill()
            self._end()
            raise
        self._inputs = [Declared(name, kind, tuple(axes)) for name, kind, axes in head["inputs"]]
        self._defaults = [
            Declared(name, kind, tuple(axes)) for name, kind, axes in head["defaults"]
        ]
        self._outputs = [Declared(name) for name in head["outputs"]]

    def get_inputs(self) -> list[Declared]:
        return self._inputs

    def get_overridable_initializers(self) -> list[Declared]:
        """Inputs that have values of their own, if none are given."""
        return self._defaults

    def get_outputs(self) -> list[Declared]:
        return self._outputs

    def run(self, outputs: None, feed: Mapping[str, Array]) -> list[Array]:
        """All outputs for a batch."""
        assert self._process.stdin
        with suppress(BrokenPipeError):  # the answer says why
            send(self._process.stdin, list(feed), list(feed.values()))
        return self._answer()[1]

    def __enter__(self) -> OnnxProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._process.kill()
        self._end()

    def _answer(self) -> tuple[Any, list[Array]]:
        assert self._process.stdout
        try:
            head, arrays = receive(self._process.stdout)
        except EOFError:
            raise ModelFailed("Crash", self._death()) from None
        if "failed" in head:
            self._end()
            raise ModelFailed(*head["failed"])
        return head, arrays

    def _death(self) -> str:
        self._end()
        status = self._process.returncode
        with suppress(ValueError):
            return f"it ends with {signal.Signals(-status).name}, a fault of onnxruntime"
        return f"it ends with status {status}"

    def _end(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                with suppress(OSError):
                    stream.close()
        self._process.wait()
