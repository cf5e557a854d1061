"""Who may import whom, and what the public names are."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import qcompiler
import qcompiler.ir

ROOT = Path(__file__).parent.parent
ALLOWED = {
    "ir": {"ir"},
    "passes": {"ir", "passes"},
    "backends": {"ir", "backends"},
    "qcompiler": {"ir", "passes", "backends", "qcompiler"},
}
FILES = [path for folder in ALLOWED for path in sorted((ROOT / folder).glob("*.py"))]


def imported(path: Path) -> Iterator[str]:
    """Folders that a file imports from, its own for relative imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level < 2, f"{path.name} imports from above its folder"
            names = [node.module or ""] if not node.level else [f"qcompiler.{path.parent.name}"]
        else:
            continue
        for name in names:
            top, _, rest = name.partition(".")
            assert top not in {"ir", "passes", "backends"}, f"{path.name} imports bare {name}"
            if top == "qcompiler":
                folder = rest.split(".")[0]
                yield folder if folder in ALLOWED else "qcompiler"


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_layers(path: Path) -> None:
    assert set(imported(path)) <= ALLOWED[path.parent.name]


def absolute_imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""


def test_only_the_lava_backend_imports_lava() -> None:
    naming = {p.name for p in FILES for name in absolute_imports(p) if name.startswith("lava")}
    assert naming == {
        "command.py",
        "executor.py",
        "lava.py",
        "lava_network.py",
        "processes.py",
        "runner.py",
        "runtime.py",
    }


def test_the_ground_is_light() -> None:
    code = (
        "import sys, qcompiler.ir\n"
        "heavy = {'onnx', 'onnxruntime', 'networkx', 'lava', 'rich', 'scipy'} & set(sys.modules)\n"
        "ours = {m for m in sys.modules if m.startswith('qcompiler.') and '.ir' not in m}\n"
        "bare = {'ir', 'passes', 'backends'} & set(sys.modules)\n"
        "assert not (heavy or ours or bare), (heavy, ours, bare)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize("module", [qcompiler, qcompiler.ir], ids=lambda module: module.__name__)
def test_public_names_exist_and_are_sorted(module: object) -> None:
    names = list(module.__all__)  # type: ignore[attr-defined]
    assert names == sorted(names)
    assert all(getattr(module, name) is not None for name in names)
