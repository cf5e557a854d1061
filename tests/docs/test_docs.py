"""The Python of the documentation runs, page by page, and prints what the pages show.

No program of a page warns, but for one that is told what its errors come from.
"""

from __future__ import annotations

import io
import re
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from qcompiler import CompileWarning
from tests.support.pages import is_guide, workplace
from tests.support.shown import alike

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
WARN = ("explain",)
_BLOCK = re.compile(r"```(python|text)\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if page.stem == "simulators":
        pytest.importorskip("nir")
    monkeypatch.chdir(tmp_path)
    for name in ("examples", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.syspath_prepend(tmp_path)
    if is_guide(page):
        monkeypatch.chdir(workplace(tmp_path / "guide"))
    known: dict[str, Any] = {"__name__": "__main__"}
    printed = ""
    for kind, block in _BLOCK.findall(page.read_text(encoding="utf-8")):
        if kind == "text":
            if printed:
                assert printed == block or alike(printed, block), printed
            printed = ""
        else:
            output = io.StringIO()
            with redirect_stdout(output), warnings.catch_warnings():
                warnings.simplefilter("ignore" if page.stem in WARN else "error", CompileWarning)
                exec(compile(block, page.name, "exec", dont_inherit=True), known)
            printed = output.getvalue()
