"""The README, and the pages of the documentation, show what their commands print."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.support.pages import ROOT, SCRIPTS, Walk, blocks, commands, examples, runs, workplace
from tests.support.shown import alike

# What blocks say where they need a package that an extra installs.
OPTIONAL = {"--engine brian2": "brian2", ".brian2/network.py": "brian2", "--target nir": "nir"}
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]

Walks: TypeAlias = Callable[[Path, int], Walk]


def needs(package: str) -> pytest.MarkDecorator:
    missing = find_spec(package) is None
    return pytest.mark.skipif(missing, reason=f"the package {package} is not installed")


def parameters() -> list[Any]:
    """Each console block of each page, with what it needs."""
    found = []
    for page in PAGES:
        shown = blocks(page.read_text(encoding="utf-8"))
        for index in (index for index, block in enumerate(shown) if runs(block)):
            block, marks = shown[index].text, [] if page == README else [pytest.mark.long]
            if "mnist" in block:
                marks.append(pytest.mark.data)
            if "--engine lava" in block or ".loihi/network.py" in block:
                marks.append(pytest.mark.lava)
            marks += [needs(package) for said, package in OPTIONAL.items() if said in block]
            if "--help" in block and sys.version_info[:2] != (3, 10):
                marks.append(pytest.mark.skip(reason="argparse words its help differently"))
            name = " ".join(commands(block)[0].line.split()[:2])
            found.append(pytest.param(page, index, marks=marks, id=f"{page.stem}: {name}"))
    return found


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> Walks:
    """The walk through a page that has not come to a block yet."""
    known: dict[Path, Walk] = {}

    def walk(page: Path, index: int) -> Walk:
        if page not in known or known[page].done > index:
            known[page] = Walk(page, tmp_path_factory.mktemp(page.stem))
        return known[page]

    return walk


@pytest.mark.skipif(not (SCRIPTS / "qcompile").exists(), reason="the commands are not installed")
@pytest.mark.parametrize(("page", "index"), parameters())
def test_console(page: Path, index: int, walks: Walks) -> None:
    """Blocks run one after the other, in one folder, as a reader types them."""
    for command, printed in walks(page, index).outputs(index):
        same = any(text == command.shown or alike(text, command.shown) for text in printed)
        assert same, f"{command.line}\n{printed[-1]}"


def test_python_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace(tmp_path))
    for block, printed in examples(blocks(README.read_text(encoding="utf-8"))):
        assert printed == block.text or alike(printed, block.text), printed
