"""How many threads a session of onnxruntime takes."""

from __future__ import annotations

import pytest

from qcompiler.ir.execution.session import default_threads


@pytest.mark.parametrize(
    ("said", "threads"), [("1", 1), (" 12 ", 12), ("4,2", 4), ("", 0), ("all", 0), ("-1", 0)]
)
def test_the_environment_says_how_many(
    monkeypatch: pytest.MonkeyPatch, said: str, threads: int
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert default_threads() == threads


def test_without_a_word_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert default_threads() == 0
