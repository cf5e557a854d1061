"""Golden files: a pipeline in the RUN line, a graph, and what must be printed, as CHECK lines.

A constant is written ``const #w: f32[2x3] = fill 1.5``: every element.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from qcompiler.ir import CompileError, Constant, parse, show
from qcompiler.ir.kernels import Array
from qcompiler.passes import Pipeline

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.qir"))
_CONST = re.compile(r"const #(\S+): ([fi]32)\[([\dx]*)\] = fill (\S+)")


def constant(found: re.Match[str]) -> Constant:
    shape = tuple(map(int, found[3].split("x"))) if found[3] else ()
    kind = np.float32 if found[2] == "f32" else np.int32
    return Constant(found[1], np.full(shape, float(found[4]), kind))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    constants = [constant(found) for found in _CONST.finditer(text)]
    arrays: dict[str, Array] = {c.name: c.data for c in constants}
    digests = iter(constants)

    def digest(found: re.Match[str]) -> str:
        made = next(digests)
        return f"const #{made.name}: {made.type} = {made.digest}"

    source = _CONST.sub(digest, text)
    run = re.search(r"// RUN: (.*)", text)
    assert run
    try:
        printed = show(Pipeline.parse(run[1]).run(parse(source, arrays, path.name)))
    except CompileError as error:
        printed = str(error)
    checked = subprocess.run(
        [sys.executable, "-m", "filecheck", str(path)],
        input=printed,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, f"{checked.stderr or checked.stdout}\n{printed}"
