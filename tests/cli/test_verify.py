"""A program can be built again from its model and data, and differences are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.cli import test_cli

folder, run = test_cli.folder, test_cli.run
OPTIONS = (
    "",
    "--t-max 8 --effort 0 --scale-values 2 --target reference",
    "--max-drift 100 --effort 0 --input-shape image=N,1,6,6",
)


@pytest.mark.parametrize("options", OPTIONS)
def test_the_same_things_build_the_same_program(options: str, run: Any, folder: Path) -> None:
    images = np.random.default_rng(0).random((48, 6, 6), np.float32)
    np.savez("data.npz", images=images, labels=np.arange(48) % 3)
    assert run(f"qcompile net.onnx --calibration data.npz -q -o p {options}")[0] == 0
    status, out, err = run("qcompile --verify p net.onnx data.npz")
    assert (status, out, err) == (0, "the same program, to the last bit\n", "")


def test_a_program_without_data(run: Any) -> None:
    assert run("qcompile net.onnx -q -o p --target reference")[0] == 0
    assert run("qcompile --verify p net.onnx --json")[:2] == (
        0,
        '{"same": true, "differences": []}\n',
    )


def test_differences_are_told(run: Any, folder: Path) -> None:
    assert run("qcompile net.onnx --calibration data.npz --effort 0 -q -o p")[0] == 0
    data = np.load("data.npz")
    np.savez("other.npz", images=data["images"] * 2, labels=data["labels"])
    status, out, _ = run("qcompile --verify p net.onnx other.npz")
    assert status == 1
    assert "the data are not those" in out and "the networks differ, first at" in out
    assert "another file" not in out
    onnx.save(test_cli.model(v=np.ones((3, 16))), "net.onnx")
    status, out, _ = run("qcompile --verify p net.onnx data.npz")
    assert status == 1 and "the model is another file" in out and "networks differ" in out


def test_versions_are_told(run: Any, folder: Path) -> None:
    assert run("qcompile net.onnx --calibration data.npz --effort 0 -q -o p")[0] == 0
    path = folder / "p" / "manifest.json"
    manifest = json.loads(path.read_text())
    assert manifest["built_with"]["versions"]["numpy"] == np.__version__
    assert len(manifest["built_with"]["data"]["sha256"]) == 64
    manifest["built_with"]["versions"]["numpy"] = "0.1"
    path.write_text(json.dumps(manifest))
    status, out, _ = run("qcompile --verify p net.onnx data.npz")
    assert status == 1 and out == f"it was built with numpy 0.1, not {np.__version__}\n"


@pytest.mark.parametrize("spoilt", [None, 5, {}, {"options": {"tell": 1}}, {"options": 5}])
def test_a_manifest_that_does_not_say(spoilt: Any, run: Any, folder: Path) -> None:
    assert run("qcompile net.onnx --calibration data.npz --effort 0 -q -o p")[0] == 0
    path = folder / "p" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"built_with": spoilt}))
    status, out, err = run("qcompile --verify p net.onnx data.npz")
    assert (status, out) == (1, "") and "does not say how the program was built" in err


def test_wrong_use(run: Any) -> None:
    assert run("qcompile --verify p")[0] == 1
    assert run("qcompile --verify a b c d")[0] == 2
