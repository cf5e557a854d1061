"""What 8-bit integers alone lose: the model quantised by onnxruntime, beside the program.

onnxruntime's ``quantize_static`` gets the same frames to calibrate on, with weights per channel.
Where it loses as much as the program, the network suffers from few levels; where it loses much
less, the spikes do.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from qcompiler.backends.program.program import Program
from qcompiler.data import Data, Frames
from qcompiler.explain.measure.onnx_reference import run_outputs
from qcompiler.explain.measure.reference import Reference
from qcompiler.ir import CompileError
from qcompiler.ir.kernels import Array

from .against import OutputAgainst, compare_with_model
from .eight_bit_child import FAILED, FEED, MADE

_FRAMES = 64
_SECONDS = 300.0
# The paths of this process, and not the current folder, which may hold modules of others.
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from qcompiler.comparison.eight_bit_child import main; main(sys.argv[2], sys.argv[3])"
)


class _CannotQuantise(Exception):
    """Why onnxruntime does not quantise a model."""


@dataclass(frozen=True)
class EightBit:
    """Errors of the outputs of the model in 8 bits, and of the program, on the same frames.

    ``fitted`` says that the program's weights are fitted to these frames, so that it errs less on
    them than on others. ``failed`` says why there are none.
    """

    frames: int = 0
    quantised: tuple[OutputAgainst, ...] = ()
    program: tuple[OutputAgainst, ...] = ()
    failed: str = ""
    fitted: bool = False

    def lines(self) -> Iterator[str]:
        """Sentences for the terminal."""
        if self.failed:
            yield f"not known: {self.failed}"
            return
        frames = f"{self.frames} frames"
        if self.fitted:
            frames = f"{self.frames} calibration frames, to which its weights are fitted"
        for one, ours in zip(self.quantised, self.program, strict=True):
            name = f"{one.name}: " if len(self.program) > 1 else ""
            yield (
                f"{name}onnxruntime's quantize_static {_told(one)}; "
                f"this program {_told(ours)} ({frames})"
            )

    def to_dict(self) -> dict[str, Any]:
        """What is known as plain JSON."""
        if self.failed:
            return {"failed": self.failed}
        pairs = zip(self.quantised, self.program, strict=True)
        return {
            "frames": self.frames,
            "outputs": {a.name: {"8_bit": a.to_dict(), "program": b.to_dict()} for a, b in pairs},
        }


def eight_bit(program: Program, model: Path, data: Frames) -> EightBit:
    """Quantise the model on some of its data, and run it beside the program on the same.

    ``data`` are frames as the program takes them. Nothing is raised for a model that cannot be
    quantised: the result says why.
    """
    if program.states:
        return EightBit(failed="states go from frame to frame")
    some = data.spread(_FRAMES)
    try:
        outputs = _quantised_outputs(Path(model), some, program.manifest)
        real = run_outputs(Path(model), some, program.manifest)
        ours = program.measure(*some.arrays, count=False).outputs
    except _CannotQuantise as error:
        return EightBit(failed=f"onnxruntime's quantize_static does not take the model: {error}")
    except (CompileError, OSError) as error:
        return EightBit(failed=str(error).splitlines()[0])
    named = compare_with_model(ours, real, some.labels)
    other = _paired(outputs, real, tuple(ours), some.labels)
    both = [(other[one.name], one) for one in named if one.name in other]
    if not both:
        return EightBit(failed="the quantised model has other outputs")
    quantised, spiking = zip(*both, strict=True)
    return EightBit(len(some), quantised, spiking)


def _paired(
    outputs: dict[str, Array], real: dict[str, Array], names: tuple[str, ...], labels: Array | None
) -> dict[str, OutputAgainst]:
    """The quantised model beside its model, by the program's names of outputs."""
    renamed = dict(zip(real, names, strict=False)) if set(names) - real.keys() else {}
    return {
        renamed.get(one.name, one.name): one for one in compare_with_model(outputs, real, labels)
    }


def _quantised_outputs(model: Path, data: Data, manifest: dict[str, Any]) -> dict[str, Array]:
    """The outputs of the quantised model, which lives in a temporary folder."""
    with TemporaryDirectory(prefix="qcompiler-") as name:
        folder = Path(name)
        with Reference(model, manifest) as reference:
            for index, (feed, _, _) in enumerate(reference.feeds(data)):
                np.savez(folder / FEED.format(index), **_as_arguments(feed))
                (folder / f"{index}.json").write_text(json.dumps(list(feed)), encoding="utf-8")
        _quantise(model.resolve(), folder)
        return run_outputs(folder / MADE, data, manifest)


def _as_arguments(feed: dict[str, Array]) -> dict[str, Array]:
    """Arrays under names that any input may have."""
    return {f"arr_{index}": array for index, array in enumerate(feed.values())}


def _quantise(model: Path, folder: Path) -> None:
    """Write the quantised model in a process of its own, which may crash or take too long."""
    command = [sys.executable, "-I", "-c", _START, json.dumps(sys.path), str(model), str(folder)]
    places = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
    ended = "the process ends without a word"
    try:
        subprocess.run(
            command,
            cwd=folder,
            env=os.environ | places,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        ended = f"it takes more than {_SECONDS:.0f} s"
    if (failed := folder / FAILED).is_file():
        ended = failed.read_text(encoding="utf-8")
    if not (folder / MADE).is_file():
        raise _CannotQuantise(ended)


def _told(found: OutputAgainst) -> str:
    """An error, and how many predictions stay."""
    error = found.error.error if found.error else None
    parts = [] if error is None else [f"errs by {error:.1%} of the spread"]
    if found.agreement is not None:
        parts.append(f"gives {found.agreement:.1%} of the model's answers")
    return " and ".join(parts) or "gives the model's output, which is the same in all frames"
