"""Development tools are pinned with hashes: all that pyproject.toml names."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
PINNED = sorted((ROOT / "requirements").glob("dev-*.txt"))


def named(text: str) -> str:
    """The name of a requirement, as registries compare them."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", text.strip())[0]).lower()


@pytest.mark.parametrize("path", PINNED, ids=lambda path: path.stem)
def test_every_dependency_is_pinned_with_hashes(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    assert all(
        re.fullmatch(r"[\w.-]+==\S+( *;[^#]*?)?( +--hash=sha256:[0-9a-f]{64})+ *", x) for x in lines
    )
    pinned = {named(line.partition("==")[0]) for line in lines}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["dev"], "setuptools"]
    for extra in re.split(r"[\[\],]", extras["dev"][0])[1:-1]:
        wanted += extras[extra]
    old = path.stem.endswith("3.10")
    wanted = [one for one in wanted if old or "python_version" not in one]
    wanted += extras["loihi"] if old else []
    assert {named(one) for one in wanted} - {"qcompiler-snn"} <= pinned
    assert "http" not in path.read_text(encoding="utf-8")


def test_there_are_pins_for_the_oldest_python_and_a_new_one() -> None:
    assert PINNED[0].stem == "dev-3.10" and len(PINNED) == 2
