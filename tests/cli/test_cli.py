"""The two commands, as a user types them: results, exit status, one sentence for every fault."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from qcompiler.backends.program.program import Program
from qcompiler.cli.compiling import qcompile
from qcompiler.cli.compiling.lowering_costs import estimated_costs
from qcompiler.cli.running import qrun
from qcompiler.frontend.import_model import import_model
from tests.support import onnx_models
from tests.support.random_networks import LOIHI

Result = tuple[int, str, str]

MODEL = """
<ir_version: 8, opset_import: ["" : 17]>
net (float[N, 1, 6, 6] image) => (float[N, 3] scores) {
  hidden = Conv <kernel_shape = [3, 3]> (image, w, b)
  active = Relu (hidden)
  pooled = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (active)
  flat = Flatten (pooled)
  scores = Gemm <transB = 1> (flat, v, c)
}
"""


def model(text: str = MODEL, **change: Any) -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    made = parser.parse_model(text)
    weights = {
        "w": rng.standard_normal((4, 1, 3, 3)),
        "b": rng.standard_normal(4) / 4,
        "v": rng.standard_normal((3, 16)),
        "c": rng.standard_normal(3),
    }
    for name, array in (weights | change).items():
        made.graph.initializer.append(numpy_helper.from_array(array.astype(np.float32), name))
    for index, node in enumerate(made.graph.node):
        node.name = f"{node.op_type}_{index}"
    return made


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with a model and data, which is also the current one."""
    monkeypatch.chdir(tmp_path)
    onnx.save(model(), tmp_path / "net.onnx")
    rng = np.random.default_rng(1)
    images = rng.random((20, 6, 6)).astype(np.float32)
    np.savez(tmp_path / "data.npz", images=images, labels=rng.integers(0, 3, 20))
    return tmp_path


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def command(line: str) -> Result:
        name, *arguments = line.split()
        main = {"qcompile": qcompile.main, "qrun": qrun.main}[name]
        try:
            status = main(arguments)
        except SystemExit as stopped:
            status = int(stopped.code or 0)
        out, err = capsys.readouterr()
        return status, out, err

    return command


KEYS = {
    *("skipped", "interrupted"),
    *("frames", "accuracy", "ann_accuracy", "agreement", "spikes_per_neuron"),
    *("synaptic_events_per_frame", "latency_steps", "first_spike_steps", "frame_interval_steps"),
    *("engine", "t_max", "saturated_fraction", "unproved_checks", "outputs"),
    *("energy_uj", "edp_ujs", "frame_us", "latency_us", "power_mw", "energy_cores"),
    "energy_against",
    *("neuron_updates_per_frame", "energy_model", "activity"),
}


@pytest.mark.parametrize("target", ["loihi", "reference"])
def test_compile_and_run(run: Any, folder: Path, target: str) -> None:
    status, out, err = run(f"qcompile net.onnx --target {target} --calibration data.npz")
    assert (status, err) == (0, "")
    assert f"written     net.{target}" in out
    status, out, err = run(f"qrun net.{target} data.npz --against net.onnx --json -o out.npz")
    assert (status, err) == (0, "")
    figures = json.loads(out)
    assert figures.keys() == KEYS
    assert figures["frames"] == 20
    assert figures["agreement"] >= 0.9
    with np.load("out.npz") as outputs:
        assert outputs["scores"].shape == (20, 3)
    files = {path.name for path in folder.iterdir()}
    assert files == {"data.npz", "net.onnx", f"net.{target}", "out.npz"}


def test_engines_give_the_same_figures(run: Any) -> None:
    run("qcompile net.onnx --calibration data.npz -q")
    fast = json.loads(run("qrun net.loihi data.npz --json")[1])
    steps = json.loads(run("qrun net.loihi data.npz --engine steps --json")[1])
    assert fast | {"engine": ""} == steps | {"engine": ""}


def test_labels_of_other_classes_are_refused(run: Any, folder: Path) -> None:
    run("qcompile net.onnx --calibration data.npz -q")
    with np.load("data.npz") as found:
        arrays = dict(found)
    name = next(name for name in arrays if name in ("labels", "y"))
    np.savez("other.npz", **{**arrays, name: arrays[name] + 3})
    status, _, err = run("qrun net.loihi other.npz")
    assert (status, err) == (
        1,
        "error: labels must lie between 0 and 2, the classes of the output, not 5\n",
    )
    table = np.column_stack([arrays["images"].reshape(20, -1), arrays[name] - 1])
    columns = ",".join([*(f"pixel{n}" for n in range(36)), "label"])
    np.savetxt("other.csv", table, "%g", ",", header=columns, comments="")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Program, "measure", None)  # nothing runs
        for data, label in (("other.npz", 5), ("other.csv", -1)):
            err = run(f"qrun net.loihi {data}")[2]
            assert f"between 0 and 2, the classes of the output, not {label}" in err
    np.savez("fewer.npz", **{**arrays, name: arrays[name][:7]})
    status, _, err = run("qrun net.loihi fewer.npz")
    assert status == 1
    assert "there are 7 labels for 20 inputs" in err
    status, _, err = run("qrun net.loihi data.npz --against none.onnx")
    assert (status, err) == (1, "error: there is no file none.onnx\n")


def test_figures_for_people(run: Any) -> None:
    run("qcompile net.onnx --calibration data.npz -q")
    status, out, err = run("qrun net.loihi data.npz --against net.onnx --limit 5")
    assert (status, err) == (0, "")
    words = "accuracy", "agreement", "synaptic events", "largest output known at step", "every"
    for word in words:
        assert word in out
    assert "frames      5 on the fast engine" in out


def test_quiet_is_quiet_and_json_is_json(run: Any) -> None:
    assert run("qcompile net.onnx --calibration data.npz -q") == (0, "", "")
    status, out, _ = run("qcompile net.onnx --calibration data.npz --json")
    assert status == 0
    assert {"output", "neurons", "populations"} <= json.loads(out).keys()


def test_without_calibration_it_warns(run: Any) -> None:
    for line in ("qcompile net.onnx", "qcompile net.onnx -q", "qcompile net.onnx --emit snn"):
        status, _, err = run(line)
        assert status == 0
        assert err.startswith("warning: no --calibration") and err.count("warning") == 1
    status, out, _ = run("qcompile net.onnx --scale-values 255 --json")
    assert "for inputs from 0 to 255" in json.loads(out)["warnings"][0]


def test_emit_prints_and_writes_nothing(run: Any, folder: Path) -> None:
    before = sorted(folder.iterdir())
    status, tensor, _ = run("qcompile net.onnx --calibration data.npz --emit ir")
    assert status == 0
    assert "ann.conv" in tensor
    assert "snn." not in tensor
    status, spiking, _ = run("qcompile net.onnx --calibration data.npz --emit snn")
    assert "snn.population" in spiking
    assert sorted(folder.iterdir()) == before


def test_emit_shows_what_an_unfinished_pipeline_makes(run: Any) -> None:
    status, out, _ = run("qcompile net.onnx -q --passes fold-linear --emit ir")
    assert status == 0
    assert "ann.conv" in out
    status, out, _ = run("qcompile net.onnx -q --passes normalize,quantize --emit snn --json")
    assert status == 0
    assert "snn.neuron" in json.loads(out)["graph"]
    status, _, err = run("qcompile net.onnx -q --passes quantize --emit snn")
    assert status == 1
    assert "has no range" in err


def test_print_after(run: Any) -> None:
    _, _, err = run("qcompile net.onnx --calibration data.npz -q --print-after quantize")
    assert err.startswith("// after quantize")
    assert "snn.neuron" in err
    _, _, err = run("qcompile net.onnx --calibration data.npz -q --print-after all")
    assert err.count("// after") == 16
    status, _, err = run("qcompile net.onnx --print-after nothing -q")
    assert status == 1
    assert "no pass is named nothing" in err


def test_own_pipeline(run: Any) -> None:
    status, out, _ = run(f"qcompile net.onnx --calibration data.npz --passes {LOIHI.split()[0]} -q")
    assert status == 1  # the shell split the text: the brace is not closed
    status, out, _ = run(
        "qcompile net.onnx --calibration data.npz --target reference -v --passes "
        "fold-linear,normalize{method=percentile},quantize,assign-windows,insert-readout"
    )
    assert status == 0
    assert "normalize{method=percentile}," in out


@pytest.mark.parametrize("percent", ["nan", "inf", "-1", "0", "50", "101"])
def test_percentiles_are_above_50(run: Any, percent: str) -> None:
    status, _, err = run(f"qcompile net.onnx --calibration data.npz -q --percentile {percent}")
    assert status == 1
    assert "percentile must be above 50 and at most 100" in err


def test_a_percentile_of_calibration_data(run: Any) -> None:
    status, out, _ = run("qcompile net.onnx --calibration data.npz -v --percentile 99")
    assert status == 0
    assert "normalize{method=percentile percentile=99.0" in out
    status, _, err = run("qcompile net.onnx -q --percentile 99")
    assert status == 1
    assert err == "error: percentile needs calibration data: give --calibration\n"


def test_outputs_go_to_regular_files_only(run: Any, folder: Path) -> None:
    run("qcompile net.onnx --calibration data.npz -q")
    for where in ("/dev/null", ".", "data.npz"):
        status, _, err = run(f"qrun net.loihi data.npz -q -o {where}")
        assert status == 1
        assert "choose another -o" in err
    assert not Path("/dev/null").is_file()


def test_an_incomplete_pipeline_gets_a_sentence(run: Any, folder: Path) -> None:
    status, _, err = run("qcompile net.onnx --calibration data.npz --passes normalize,quantize")
    assert status == 1
    assert "has no window" in err
    assert "assign-windows" in err
    assert not (folder / "net.loihi").exists()


def test_check_names_every_node(run: Any) -> None:
    status, out, _ = run("qcompile net.onnx --check")
    assert status == 0
    for name in ("Conv_0", "Relu_1", "MaxPool_2", "Flatten_3", "Gemm_4"):
        assert name in out
    assert re.search(r"about [\d,]+ neurons at t_max 16", out)
    status, out, _ = run("qcompile net.onnx --check --json")
    assert json.loads(out)["refused"] == 0


def test_functions_of_a_cell_are_told_once() -> None:
    body = "y, h = GRU<hidden_size=2>(x, w, r)"
    proto = onnx_models.model("float[3,N,4] x", body, w=(1, 6, 4), r=(1, 6, 2))
    (text,) = estimated_costs(import_model(proto, allow_products=True).graph, 16).values()
    assert text.count("line segments") == 1


@pytest.mark.long
def test_functions_say_their_segments(run: Any, folder: Path) -> None:
    onnx.save(model(MODEL.replace("Relu (hidden)", "Sigmoid (hidden)")), folder / "smooth.onnx")
    status, out, _ = run("qcompile smooth.onnx --check")
    assert status == 0
    assert "line segments; their number and error need --calibration" in out
    compiled = "qcompile smooth.onnx --calibration data.npz"
    status, out, _ = run(f"{compiled} --check --json")
    (how,) = [node["how"] for node in json.loads(out)["nodes"] if node["becomes"] == "lowered"]
    told = re.match(r"(\d+) line segments, ([\d,]+) neurons, error up to ([\d.]+)%", how)
    assert told is not None
    segments, neurons, error = told.groups()
    fit = re.search(r"(\d+) segments from .* error ([\d.]+)%", run(f"{compiled} -v")[2])
    assert fit is not None and fit.groups() == (segments, error)
    assert int(neurons.replace(",", "")) % int(segments) == 0
    assert "segments" not in run(compiled)[2]
    status, out, err = run(f"{compiled} --activation-error 1e-7 -q --json")
    assert status == 0
    assert "warning: %active: 64 segments" in err
    assert "%active: 64 segments" in json.loads(out)["warnings"][0]


def test_check_and_compile_refuse_all_nodes_at_once(run: Any, folder: Path) -> None:
    text = MODEL.replace("Relu (hidden)", "Tan (hidden)").replace("Flatten", "Det")
    onnx.save(model(text), folder / "odd.onnx")
    status, out, _ = run("qcompile odd.onnx --check")
    assert status == 1
    assert out.count("refused") >= 2
    status, _, err = run("qcompile odd.onnx")
    assert status == 1
    assert "Tan_1" in err
    assert "Det_3" in err
    assert not (folder / "odd.loihi").exists()


def test_list(run: Any) -> None:
    status, out, _ = run("qcompile --list")
    assert status == 0
    for name in ("loihi", "reference", "fold-batchnorm", "insert-readout", "steps", "lava"):
        assert name in out
    kinds = {"targets", "passes", "engines", "readers"}
    assert kinds == json.loads(run("qcompile --list --json")[1]).keys()


@pytest.mark.parametrize("command", ["qcompile", "qrun"])
def test_help_and_version(run: Any, command: str) -> None:
    assert "Exit status" in run(f"{command} --help")[1]
    assert run(f"{command} --version")[1].startswith(command)


@pytest.mark.parametrize(
    "line",
    [
        "qcompile",
        "qcompile net.onnx --t-max x",
        "qcompile net.onnx --scale-values a",
        "qrun a",
        "qrun a b --limit 0",
        "qrun a b --engine quick",
        "qcompile net.onnx --target quick",
        "qcompile net.onnx -q -v",
    ],
)
def test_wrong_usage_is_2(run: Any, line: str) -> None:
    assert run(line)[0] == 2


def spoil(folder: Path, what: str) -> str:
    """Write a broken input; return the command that meets it."""
    whole = model().SerializeToString()
    files: dict[str, bytes] = {
        "empty file": b"",
        "text file": b"hello, I am no model\n" * 20,
        "truncated model": whole[: len(whole) // 2],
        "NaN weights": model(w=np.full((4, 1, 3, 3), np.nan)).SerializeToString(),
        "infinite weights": model(b=np.full(4, np.inf)).SerializeToString(),
        "unsupported operator": model(MODEL.replace("Relu (", "Tan (")).SerializeToString(),
        "integer model": model(MODEL.replace("float[N, 1", "int64[N, 1")).SerializeToString(),
        "unbound shape": model(MODEL.replace("1, 6, 6]", "1, H, W]")).SerializeToString(),
    }
    if what in files:
        (folder / "bad.onnx").write_bytes(files[what])
        return "qcompile bad.onnx -o out"
    arrays: dict[str, Any] = {
        "wrong calibration": np.zeros((3, 5, 5)),
        "empty calibration": np.zeros((0, 6, 6)),
        "NaN calibration": np.full((3, 6, 6), np.nan),
    }
    if what in arrays:
        np.savez(folder / "bad.npz", images=arrays[what])
        return "qcompile net.onnx --calibration bad.npz -o out"
    (folder / "file").write_text("")
    return {
        "missing model": "qcompile none.onnx -o out",
        "missing calibration": "qcompile net.onnx --calibration none.npz -o out",
        "model is a folder": "qcompile . -o out",
        "output below a file": "qcompile net.onnx -o file/out -q",
        "output is a file": "qcompile net.onnx -o file -q",
        "t_max of 1": "qcompile net.onnx --t-max 1 -o out -q",
        "no weight bits": "qcompile net.onnx --weight-bits 1 -o out -q",
        "scale of 0": "qcompile net.onnx --scale-values 0 -o out -q",
        "means of other channels": "qcompile net.onnx --mean-values 1,2,3 -o out -q",
        "no program": "qrun none data.npz",
        "program is a folder": "qrun . data.npz",
    }[what]


@pytest.mark.parametrize(
    "what",
    [
        "empty file",
        "text file",
        "truncated model",
        "NaN weights",
        "infinite weights",
        "unsupported operator",
        "integer model",
        "unbound shape",
        "wrong calibration",
        "empty calibration",
        "NaN calibration",
        "missing model",
        "missing calibration",
        "model is a folder",
        "output below a file",
        "output is a file",
        "t_max of 1",
        "no weight bits",
        "scale of 0",
        "means of other channels",
        "no program",
        "program is a folder",
    ],
)
def test_bad_input_gets_one_clear_sentence(run: Any, folder: Path, what: str) -> None:
    line = spoil(folder, what)
    before = sorted(folder.iterdir())
    status, out, err = run(line)
    assert status == 1, err
    assert out == ""
    messages = [text for text in err.splitlines() if not text.startswith("warning")]
    assert messages[0].startswith("error: "), err
    assert sum(text.startswith("error: ") for text in messages) == 1
    assert "Traceback" not in err
    assert "bug in qcompiler" not in err
    assert sorted(folder.iterdir()) == before


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_rights_gets_a_sentence(run: Any, folder: Path) -> None:
    (folder / "locked").mkdir(mode=0o500)
    status, _, err = run("qcompile net.onnx -q -o locked/out")
    assert status == 1
    assert "Permission denied" in err


def test_interrupt_leaves_nothing(folder: Path) -> None:
    """Ctrl-C while the pipeline runs: one sentence, exit status 1, nothing written."""
    (folder / "slow.py").write_text(
        "import time\n"
        "from dataclasses import dataclass\n"
        "from qcompiler.passes import Pass\n"
        "@dataclass(frozen=True)\n"
        "class Slow(Pass):\n"
        "    name = 'slow'\n"
        "    def __call__(self, graph):\n"
        "        print('ready', flush=True)\n"
        "        for _ in range(600):\n"  # a signal just before one long sleep waits for its end
        "            time.sleep(0.1)\n"
        "        return graph\n"
    )
    command = [
        sys.executable,
        "-m",
        "qcompiler.cli.compiling.qcompile",
        "net.onnx",
        "-q",
        "--passes",
        "slow:Slow",
    ]
    path = os.pathsep.join([str(folder), str(Path(__file__).parents[2])])
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert err == "error: interrupted; nothing was written\n"
    assert not (folder / "net.loihi").exists()


def test_verbose_shows_the_traceback(run: Any, folder: Path) -> None:
    (folder / "bad.onnx").write_bytes(b"")
    assert "Traceback" in run("qcompile bad.onnx -v")[2]
