"""Damaged manifests are one sentence in whatever reads them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qcompiler.cli.compiling import qcompile
from qcompiler.cli.running import qrun

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
ODD: tuple[Any, ...] = (None, 5, -1, "x", [], {}, [1], {"a": 1}, True, 1e400, 10**400)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program whose manifest has most keys."""
    place = tmp_path_factory.mktemp("manifests") / "digits"
    given = ["--calibration", str(DIGITS / "digits_calibration.npz"), "--calibration-frames", "40"]
    given += ["--scale-values", "16", "--max-drop", "90", "--effort", "0", "--slices", "1"]
    given += ["--target", "reference", "-q", "-o", str(place)]
    assert qcompile.main([str(DIGITS / "digits.onnx"), *given]) == 0
    path = place / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest |= {"rounding": [{"name": "a", "sums": 3, "otherwise": 1, "apart": False}]}
    manifest |= {"batch_axes": {"image": 0}, "input_shapes": {"image": ["N", 1, 8, 8]}}
    path.write_text(json.dumps(manifest), encoding="utf-8")
    return place


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places in a manifest; of lists and of names of values the first."""
    if path:
        yield path
    if isinstance(value, dict):
        inner = path[:1] in (("activity",), ("search",)) and len(value) > 3
        keys = [*value][:1] if inner and "levels" not in value and len(path) > 1 else [*value]
        for key in keys:
            yield from places(value[key], (*path, key))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*path, 0))


def changed(manifest: Any, path: tuple[Any, ...], value: Any) -> Any:
    found = json.loads(json.dumps(manifest))
    inside = found
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    return found


@pytest.mark.long
def test_damaged_manifests_are_one_sentence(
    program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = json.loads(program.joinpath("manifest.json").read_text(encoding="utf-8"))
    shutil.copytree(program, tmp_path / "digits")
    target, left = tmp_path / "digits" / "manifest.json", []
    for number, path in enumerate([*places(manifest)][::2]):
        value = ODD[number % len(ODD)]
        text = json.dumps(changed(manifest, path, value))
        target.write_text(text, encoding="utf-8")
        status = qrun.main([str(tmp_path / "digits"), "--info"])
        error = capsys.readouterr().err
        assert (status == 0) == (not error) and "bug" not in error, (path, value, error)
        assert error.count("\n") <= 1
        if not status:
            left.append((path, text))
    data = [str(DIGITS / "digits_test.npz"), "--limit", "3"]
    report = ["--report", str(tmp_path / "r.html")]
    other = ["--against", str(DIGITS / "digits.onnx")]
    for number, (path, text) in enumerate(left[:: max(1, len(left) // 4)]):
        target.write_text(text, encoding="utf-8")
        more = report if number % 2 else other
        qrun.main([str(tmp_path / "digits"), *data, *more, "-q"])
        assert "bug" not in capsys.readouterr().err, (path, text)


def test_the_damaged_key_is_named(
    program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = json.loads(program.joinpath("manifest.json").read_text(encoding="utf-8"))
    shutil.copytree(program, tmp_path / "digits")
    text = json.dumps(manifest | {"calibration_images": "many"})
    tmp_path.joinpath("digits", "manifest.json").write_text(text, encoding="utf-8")
    for more in (["--info"], [str(DIGITS / "digits_test.npz")]):
        assert qrun.main([str(tmp_path / "digits"), *more]) == 1
        said = "has a damaged manifest.json, in its calibration_images: compile the model again"
        assert said in capsys.readouterr().err
