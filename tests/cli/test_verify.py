"""A program can be built again from its model and data, and differences are told."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import qcompiler
from qcompiler import registry
from qcompiler.api import verify_program
from qcompiler.ir import DataError, ProgramError
from qcompiler.passes import Pipeline
from tests.cli import test_cli
from tests.support import onnx_models
from tests.support.error_bound import PASSES

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


def test_data_that_are_left_out_are_told(run: Any, folder: Path) -> None:
    images = np.random.default_rng(0).random((48, 6, 6), np.float32)
    np.savez("data.npz", images=images)
    for options in ("--effort 0", "--max-drift 100 --effort 0"):
        assert run(f"qcompile net.onnx --calibration data.npz -q -o p {options}")[0] == 0
        status, _, err = run("qcompile --verify p net.onnx")
        assert status == 1 and "was compiled with calibration data: give them" in err
        assert "help: qcompile --verify DIR MODEL.onnx DATA" in err


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


NETWORK = onnx_models.model("float[N,4] x", "h = Gemm(x, w) y = Relu(h)", w=(4, 3))
DATA = np.random.default_rng(0).random((64, 4), np.float32)
CLASSES = np.arange(64) % 3


@pytest.fixture
def verified(tmp_path: Path) -> Any:
    """Compile from Python with options, and verify with others; gives the differences."""

    def call(again: dict[str, Any], **options: Any) -> tuple[str, ...]:
        given: dict[str, Any] = {"target": "reference", "effort": 0, "t_max": 8} | options
        qcompiler.compile(NETWORK, calibration=DATA, **given).save(tmp_path / "p")
        return verify_program(tmp_path / "p", NETWORK, DATA, **again)

    return call


def test_a_pipeline_as_an_object(verified: Any) -> None:
    """It leaves no option open, so that those of `compile` do not fill it."""
    made = Pipeline.parse(PASSES, registry.find_pass, {"t_max": 4})
    assert verified({}, passes=made, weight_bits=6) == ()
    assert verified({}, passes=PASSES, weight_bits=6) == ()
    own = made.given({"calibration": (DATA[:9],)})
    with pytest.raises(ProgramError, match=r"does not hold normalize\.calibration"):
        verified({}, passes=own)


def test_passes_of_modules_are_named_again(verified: Any, tmp_path: Path) -> None:
    """A program never names code that is run."""
    text = PASSES.replace("quantize", "qcompiler.passes.spiking.quantize:Quantize")
    for passes in (text, Pipeline.parse(text, registry.find_pass)):
        assert verified({"passes": text}, passes=passes) == ()
    verified({"passes": PASSES}, passes=PASSES)
    path = tmp_path / "p" / "manifest.json"
    for hostile in ("antigravity:x", {"pipeline": "antigravity:x"}):
        manifest = json.loads(path.read_text())
        manifest["built_with"]["options"]["passes"] = hostile
        path.write_text(json.dumps(manifest))
        with pytest.raises(ProgramError, match="give its pipeline again with --passes"):
            verify_program(tmp_path / "p", NETWORK, DATA)
    assert "antigravity" not in sys.modules


@pytest.mark.long
def test_labels_beside_the_data(verified: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "l.npy", CLASSES.astype(np.uint8))
    search = {"t_max": None, "max_drop": 90}
    for again in (CLASSES, list(CLASSES), tmp_path / "l.npy"):
        assert verified({"labels": again}, labels=CLASSES) == ()
    assert verified({"labels": CLASSES}, labels=CLASSES, **search) == ()
    with pytest.raises(DataError, match="needs labels"):
        verified({}, labels=CLASSES, **search)
    assert "it was compiled with labels (--labels)" in verified({}, labels=CLASSES)
    assert "it was compiled without labels (--labels)" in verified({"labels": CLASSES})
    other = verified({"labels": CLASSES[::-1]}, labels=CLASSES)
    assert "the labels are not those that it was compiled with" in other


def test_wrong_use(run: Any) -> None:
    assert run("qcompile --verify p")[0] == 1
    assert run("qcompile --verify a b c d")[0] == 2
