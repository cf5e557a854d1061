"""Files that every reader has refused once, or has choked on: each works or is refused, soon."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from qcompiler.ir import CompileError
from tests.support.fuzz import corpus, targets
from tests.support.fuzz.differential import GOOD, alone
from tests.support.fuzz.valid_mutants import mutant

MOST_BYTES = 300_000  # of the corpus


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("corpus")


@pytest.mark.parametrize("kind", targets.TARGETS)
def test_the_corpus_is_read_or_refused(kind: str, folder: Path) -> None:
    found = [path for path in corpus.entries() if corpus.kind_of(path) == kind]
    assert found
    for path in found:
        with suppress(CompileError):
            targets.run(kind, path.read_bytes(), folder)


def test_whole_files_are_read(folder: Path) -> None:
    for kind, content in corpus.whole(folder):
        if kind != "model":
            targets.run(kind, content, folder)


def test_the_corpus_is_small() -> None:
    paths = list(corpus.CORPUS.iterdir())
    assert paths == [path for path in paths if corpus.kind_of(path) in targets.TARGETS]
    assert sum(path.stat().st_size for path in paths) < MOST_BYTES


def test_mutants_are_functions_of_their_seeds() -> None:
    found = [mutant(seed) for seed in range(30)]
    assert len({proto.SerializeToString() for proto in found}) > 20
    assert mutant(7).SerializeToString() == found[7].SerializeToString()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="each mutant has a process of its own")
@pytest.mark.parametrize("seed", [3, 4, 5, 167])  # `make fuzz` runs more
def test_engines_and_onnxruntime_agree_on_mutants(seed: int) -> None:
    assert alone(seed) in GOOD


def test_fuzzing_without_atheris_says_so(tmp_path: Path) -> None:
    (tmp_path / "atheris.py").write_text("raise ImportError")
    command = [sys.executable, "-m", "tests.support.fuzz.guided", "0"]
    root = Path(__file__).parents[2]
    path = {"PYTHONPATH": f"{tmp_path}:{root}"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root, env=path)
    assert done.returncode == 0, done.stderr
    assert "pip install '.[fuzz]'" in done.stdout and "mutants work" in done.stdout
