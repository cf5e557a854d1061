"""How many threads a session of onnxruntime takes, and work in some of them."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from qcompiler.ir.execution.session import default_threads
from qcompiler.ir.execution.threads import in_threads


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


@pytest.mark.parametrize(("said", "runs"), [("1", 1), ("3", 3), ("99", 7)])
def test_each_item_is_worked_on_once(monkeypatch: pytest.MonkeyPatch, said: str, runs: int) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    meeting = threading.Barrier(runs)

    def work(items: slice) -> list[int]:
        meeting.wait(timeout=60)  # all run at once
        return [*range(items.start, items.stop)]

    found = in_threads(work, 7)
    assert len(found) == runs
    np.testing.assert_array_equal(np.concatenate(found), np.arange(7))


def test_no_items_are_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert in_threads(lambda items: items, 0) == [slice(0, 0)]


def test_errors_in_threads_are_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")

    def work(items: slice) -> None:
        if items.start:
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        in_threads(work, 4)
