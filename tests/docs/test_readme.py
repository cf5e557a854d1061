"""The README, and the pages of the documentation, show what their commands print."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.shown import alike

ROOT = Path(__file__).parents[2]
CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)
BLOCKS = [
    block for block in CONSOLE.findall((ROOT / "README.md").read_text()) if "make " not in block
]
SCRIPTS = Path(sys.executable).parent
PAGES = [
    "explain",
    "reference/cli",
    pytest.param("reference/ir", marks=pytest.mark.data),
    pytest.param("explanation/schedule", marks=pytest.mark.data),
]


def commands(block: str) -> list[tuple[str, str]]:
    """The commands of a block, each with what is shown of its output."""
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
    copy_inputs(block, tmp_path, request)
    if "digits.loihi" in block and "qcompile" not in block:
        ran(commands(BLOCKS[0])[0][0], tmp_path).check_returncode()
    for command, shown in commands(block):
        found = ran(command, tmp_path)
        check(command, found.stdout + found.stderr, shown)


@pytest.mark.skipif(not (SCRIPTS / "qcompile").exists(), reason="the commands are not installed")
@pytest.mark.parametrize("page", PAGES)
def test_page(page: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """One block after the other, in one folder; they show no progress."""
    text = (ROOT / "docs" / f"{page}.md").read_text()
    copy_inputs(text, tmp_path, request)
    for block in CONSOLE.findall(text):
        if "--help" in block and sys.version_info[:2] != (3, 10):
            continue  # argparse words its help differently
        for command, shown in commands(block):
            check(command, ran(command, tmp_path).stdout, shown)


def copy_inputs(text: str, folder: Path, request: pytest.FixtureRequest) -> None:
    """What commands find in their folder."""
    paths = list((ROOT / "examples" / "digits").glob("digits*"))
    if "mnist" in text:
        paths += (request.getfixturevalue("data_dir") / "mnist").iterdir()
    for path in paths:
        shutil.copy(path, folder)


def ran(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What a command does, typed in a folder."""
    environment = os.environ | {
        "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "examples"),
        "COLUMNS": "100",
    }
    return subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def check(command: str, output: str, shown: str) -> None:
    """That a command prints what is shown."""
    printed = "".join(f"{line.rstrip()}\n" for line in output.splitlines())
    assert printed == shown or alike(printed, shown), f"{command}\n{printed}"
