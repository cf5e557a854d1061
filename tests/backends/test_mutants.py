"""Mutated models and programs work, or are refused: no other exception, no crash, no hang."""

from __future__ import annotations

import json
import subprocess
import sys

COUNT = 120  # `make fuzz` runs more


def test_mutants_are_refused_or_work() -> None:
    command = [sys.executable, "-m", "tests.support.mutants", "0", str(COUNT)]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    counts = json.loads(found.stdout)
    assert counts.pop("wrong") == {}
    assert sum(counts.values()) == 2 * COUNT
    assert all("fine" in name or "refused" in name for name in counts)
