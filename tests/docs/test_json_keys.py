"""The reference of the commands names every key of their JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.cli import test_cli

folder, run = test_cli.folder, test_cli.run
REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"


def documented() -> set[str]:
    """What stands in the first column of a table."""
    rows = re.findall(r"^\| (`[^|]+) \|", REFERENCE.read_text(encoding="utf-8"), re.MULTILINE)
    return {key for row in rows for key in re.findall(r"`(\w+)`", row)}


def test_every_key_is_described(run: Any) -> None:
    compiled = json.loads(run("qcompile net.onnx --calibration data.npz -o p --json")[1])
    assert {*compiled, *compiled["populations"][0]} <= documented()
    for options in ("--json", "--json --info", "--json --against net.onnx --explain"):
        data = "" if "info" in options else "data.npz"
        found = json.loads(run(f"qrun p {data} {options}")[1])
        assert {*found} <= documented()
        assert not options.endswith("explain") or "eight_bit" in found
