"""The README shows what its commands print."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.shown import alike

ROOT = Path(__file__).parent.parent
BLOCKS = [
    block
    for block in re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    if "make " not in block
]
SCRIPTS = Path(sys.executable).parent


def commands(block: str) -> list[tuple[str, str]]:
    """The commands of a block, each with what the README shows of its output."""
    parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def parameter(block: str) -> Any:
    marks = []
    if "mnist" in block:
        marks.append(pytest.mark.data)
    if "--engine lava" in block or "network.py" in block:
        marks.append(pytest.mark.lava)
    if "--help" in block and sys.version_info[:2] != (3, 10):
        marks.append(pytest.mark.skip(reason="argparse words its help differently"))
    name = " ".join(commands(block)[0][0].split()[:2])
    return pytest.param(block, marks=marks, id=name)


@pytest.mark.skipif(not (SCRIPTS / "qcompile").exists(), reason="the commands are not installed")
@pytest.mark.parametrize("block", [parameter(block) for block in BLOCKS])
def test_readme(block: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    for path in (ROOT / "examples" / "digits").glob("digits*"):
        shutil.copy(path, tmp_path)
    if "mnist" in block:
        for path in (request.getfixturevalue("data_dir") / "mnist").iterdir():
            shutil.copy(path, tmp_path)
    environment = os.environ | {
        "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "examples"),
        "COLUMNS": "100",
    }
    if "digits.loihi" in block and "qcompile" not in block:
        compile_first = commands(BLOCKS[0])[0][0]
        subprocess.run(compile_first, shell=True, cwd=tmp_path, env=environment, check=True)
    for command, shown in commands(block):
        ran = subprocess.run(
            command,
            shell=True,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        printed = "".join(f"{line.rstrip()}\n" for line in (ran.stdout + ran.stderr).splitlines())
        assert printed == shown or alike(printed, shown), f"{command}\n{printed}"
