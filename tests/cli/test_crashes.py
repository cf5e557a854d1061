"""A crash of onnxruntime in `qrun --against` costs a sentence, not the process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from qcompiler.data import Data
from qcompiler.explain.causes.model_answers import ModelAnswers
from qcompiler.explain.measure import onnx_process
from qcompiler.explain.measure.onnx_reference import run_outputs
from qcompiler.frontend.import_model import Preprocessing
from qcompiler.ir import InvalidModel
from tests.cli import test_cli
from tests.support.onnx_models import model

folder, run = test_cli.folder, test_cli.run
NETWORK = model("float[N,6] x", "y = Relu(x) z = Neg(x)", outputs="y z")
DATA = np.random.default_rng(0).standard_normal((5, 6)).astype(np.float32)
SPOILT = {
    "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)": "it ends with SIGSEGV, a fault",
    "import os; os._exit(3)": "it ends with status 3",
    "print('no message')": "it ends with status 0",
}


def test_outputs_are_those_of_the_model(tmp_path: Path) -> None:
    onnx.save(NETWORK, tmp_path / "net.onnx")
    found = run_outputs(tmp_path / "net.onnx", Data((DATA,)), {})
    np.testing.assert_array_equal(found["y"], np.maximum(DATA, 0))
    np.testing.assert_array_equal(found["z"], -DATA)


@pytest.mark.parametrize("start", SPOILT)
def test_a_crash_is_a_sentence(start: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    onnx.save(NETWORK, tmp_path / "net.onnx")
    monkeypatch.setattr(onnx_process, "_START", start)
    with pytest.raises(InvalidModel) as caught:
        run_outputs(tmp_path / "net.onnx", Data((DATA,)), {})
    assert SPOILT[start] in str(caught.value) and "net.onnx" in str(caught.value)


def test_a_crash_in_a_later_batch(tmp_path: Path) -> None:
    onnx.save(NETWORK, tmp_path / "net.onnx")
    with onnx_process.OnnxProcess(tmp_path / "net.onnx") as session:
        assert session.run(None, {"x": DATA})[0].shape == (5, 6)
        session._process.kill()
        session._process.wait()
        with pytest.raises(onnx_process.ModelFailed, match="SIGKILL"):
            session.run(None, {"x": np.zeros((100_000, 6), np.float32)})


def test_a_model_that_failed_answers_other_data(tmp_path: Path) -> None:
    onnx.save(NETWORK, tmp_path / "net.onnx")
    labels, given = np.arange(5), Preprocessing(scale=(2.0,))
    wanted = np.maximum(DATA, 0).argmax(axis=1) == labels
    with ModelAnswers(tmp_path / "net.onnx", Data((DATA,)), labels, {}) as right:
        for before in (given, Preprocessing()):
            assert right(DATA[:, :3], before) is None
            for factor in (1, 3):
                found = right(factor * DATA, before)
                assert found is not None
                np.testing.assert_array_equal(found, wanted)


def test_failures_of_the_model_say_why(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(NETWORK, path)
    with pytest.raises(InvalidModel, match="Got invalid dimensions"):
        run_outputs(path, Data((DATA[:, :3],)), {})
    path.write_bytes(b"no model")
    with pytest.raises(InvalidModel, match="is not an ONNX file"):
        run_outputs(path, Data((DATA,)), {})


def test_modules_in_the_current_folder_are_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx.save(NETWORK, tmp_path / "net.onnx")
    (tmp_path / "numpy.py").write_text("open('run', 'w')")
    monkeypatch.chdir(tmp_path)
    run_outputs(tmp_path / "net.onnx", Data((DATA,)), {})
    assert not (tmp_path / "run").exists()


def test_the_command_says_so(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("qcompile net.onnx --calibration data.npz --effort 0 -q -o p")[0] == 0
    monkeypatch.setattr(onnx_process, "_START", next(iter(SPOILT)))
    status, out, err = run("qrun p data.npz --against net.onnx")
    assert (status, out) == (1, "")
    assert err.count("error:") == 1 and "SIGSEGV" in err


def test_what_onnxruntime_computes_wrongly_is_a_warning(run: Any) -> None:
    pool = "kernel_shape=[3,3], strides=[2,2], ceil_mode=1, count_include_pad=1"
    body = f"p = AveragePool<{pool}>(x) f = Flatten(p) y = Gemm(f, v)"
    onnx.save(model("float[N,1,6,6] x", body, v=(9, 3)), "pool.onnx")
    assert run("qcompile pool.onnx --calibration data.npz --effort 0 -q -o p")[0] == 0
    status, _, err = run("qrun p data.npz --against pool.onnx")
    assert status == 0
    assert "warning: onnxruntime is known to compute AveragePool" in err and "p_node" in err
