"""Which Python `make` installs with."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NEW, OLD = "#!/bin/sh\nexit 0\n", "#!/bin/sh\nexit 1\n"  # what a check of the version says

INSTALL = "PY=none", "STAMP=none-installed", "none-installed"  # as if there were no .venv

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="needs make")


def made(folder: Path, pythons: dict[str, str], *arguments: str) -> str:
    """What make prints where only these Pythons are on the PATH."""
    for name, text in pythons.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    for name in ("sh", "find", "cksum", "cut", "test", "echo"):
        (folder / name).symlink_to(str(shutil.which(name)))
    command = [str(shutil.which("make")), "-C", str(ROOT), "--no-print-directory", *arguments]
    return subprocess.run(command, env={"PATH": str(folder)}, capture_output=True, text=True).stdout


@pytest.mark.parametrize(
    ("pythons", "chosen"),
    [
        ({"python3.14": NEW}, "python3.14"),
        ({"python3": OLD, "python3.11": NEW, "python3.13": NEW}, "python3.13"),
        ({"python3": NEW, "python3.14": NEW}, "python3"),
        ({"python3": NEW, "python3.10": NEW}, "python3.10"),
    ],
)
def test_a_python_is_found(tmp_path: Path, pythons: dict[str, str], chosen: str) -> None:
    printed = made(tmp_path, pythons, "-n", *INSTALL)
    assert f"|| {chosen} -m venv .venv" in printed


def test_without_a_python_make_says_how_to_give_one(tmp_path: Path) -> None:
    printed = made(tmp_path, {"python3": OLD}, *INSTALL)
    assert printed.strip() == (
        "No Python from 3.10 on is on the PATH: give one with make PYTHON=/path/to/python."
    )
