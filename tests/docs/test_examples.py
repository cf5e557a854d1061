"""The examples run, each where its framework is installed."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.ir import PipelineError, UnsupportedModel

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = runpy.run_path(str(EXAMPLES / "make_notebooks.py"))
NEEDED = {
    "sklearn": ("sklearn", "skl2onnx"),
    "pytorch": ("torch", "onnxscript", "sklearn"),
    "transformer": ("torch", "onnxscript", "sklearn"),
    "keras": ("keras", "tensorflow", "tf2onnx", "sklearn"),
}


# What Jupyter does with the cells of code, in the order of the notebook.
RUN_NOTEBOOK = """
import json, sys
names = {"__name__": "__main__"}
for cell in json.load(open(sys.argv[1], encoding="utf-8"))["cells"]:
    if cell["cell_type"] == "code":
        exec("".join(cell["source"]), names)
"""


@pytest.mark.parametrize("framework", NEEDED)
def test_training_to_spikes(framework: str, tmp_path: Path) -> None:
    if missing := [name for name in NEEDED[framework] if find_spec(name) is None]:
        pytest.skip(f"needs {', '.join(missing)}")
    path = EXAMPLES / framework / f"digits_{framework}.ipynb"
    run = [sys.executable, "-c", RUN_NOTEBOOK, str(path)]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    trained, spiking = (float(found) for found in re.findall(r"([\d.]+)%", done.stdout))
    assert trained > 90 and abs(trained - spiking) < 2  # of 500 images
    with np.load(tmp_path / "digits_test.npz") as data:
        (program,) = (*tmp_path.glob("*.loihi"), *tmp_path.glob("*.reference"))
        assert qcompiler.load(program).measure(data["x"][:10]).counters.frames


@pytest.mark.parametrize("framework", NEEDED)
def test_readmes_say_how_to_run(framework: str) -> None:
    text = EXAMPLES.joinpath(framework, "README.md").read_text(encoding="utf-8")
    assert f"python digits_{framework}.py" in text and f"`digits_{framework}.ipynb`" in text


@pytest.mark.parametrize("script", NOTEBOOKS["SCRIPTS"], ids=lambda path: path.stem)
def test_notebooks_are_made_from_the_scripts(script: Path) -> None:
    """So that running one is running the other."""
    text = script.read_text(encoding="utf-8")
    made = json.loads(script.with_suffix(".ipynb").read_text(encoding="utf-8"))
    held = [(cell["cell_type"], "".join(cell["source"])) for cell in made["cells"]]
    assert held == NOTEBOOKS["cells"](text)
    assert not any(cell.get("outputs") for cell in made["cells"])
    pytest.importorskip("nbformat")
    assert NOTEBOOKS["notebook"](text) == script.with_suffix(".ipynb").read_text(encoding="utf-8")


@pytest.fixture
def step(tmp_path: Path) -> Any:
    """Run the step of a build server on a job; gives its status and answer."""
    unbuilt = shutil.ignore_patterns("build")  # where the demo may write just now
    shutil.copytree(EXAMPLES / "digits", tmp_path / "digits", ignore=unbuilt)
    folder = tmp_path / "embedding"
    folder.mkdir()
    for name in ("build_step.py", "job.json"):
        shutil.copy(EXAMPLES / "embedding" / name, folder)

    def answer(**changes: Any) -> tuple[int, dict[str, Any]]:
        job = json.loads(folder.joinpath("job.json").read_text(encoding="utf-8")) | changes
        done = subprocess.run(
            [sys.executable, "build_step.py"],
            input=json.dumps(job),
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ,
        )
        assert not done.stderr
        assert folder.joinpath("digits.loihi").is_dir() == (done.returncode == 0)
        return done.returncode, json.loads(done.stdout)

    return answer


@pytest.mark.long
def test_a_build_step_answers_in_json(step: Any) -> None:
    status, found = step(require={"accuracy": 0.999, "cores": 1})
    assert status == 1 and found["status"] == "beyond limits" and len(found["broken"]) == 2
    status, found = step(options={"t_max": 1})
    assert status == 1 and found["kind"] and found["findings"][0]["message"]
    status, found = step(options={"passes": "os:path"})
    assert status == 2 and "passes" not in found["message"].split("may be")[1]
    assert step(test="none.npz")[0] == step(model=3, extra=1)[0] == 2
    status, found = step()
    assert status == 0 and found["report"]["accuracy"] > 0.98


def test_from_torch_without_torch_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(PipelineError, match="needs PyTorch: pip install torch"):
        qcompiler.from_torch(None, None)


@pytest.mark.filterwarnings("ignore")
def test_from_torch_names_inputs_and_faults() -> None:
    torch = pytest.importorskip("torch")

    class Sum(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = torch.nn.Linear(5, 4), torch.nn.Linear(3, 4)

        def forward(self, left: Any, right: Any) -> Any:
            return torch.relu(self.one(left) + self.two(right))

    class Branches(torch.nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, x: Any) -> Any:
            return torch.relu(x) if float(x.sum()) > 0 else x.numpy().tolist()

    module, given = Sum(), (torch.rand(40, 5), torch.rand(40, 3))
    program = qcompiler.from_torch(module, given, calibration=given, target="reference")
    assert [value.name for value in program.graph.inputs] == ["left", "right"]
    assert module.training
    found: Any = program.run(*(one.numpy() for one in given))
    wanted = module(*given).detach().numpy()
    assert np.abs(found - wanted).max() < 0.1 * np.ptp(wanted)
    with pytest.raises(UnsupportedModel, match="cannot export Sum"):
        qcompiler.from_torch(module, given[:1])
    with pytest.raises(UnsupportedModel) as caught:
        qcompiler.from_torch(Branches(), torch.rand(4, 5))
    assert "first axis" not in str(caught.value)
    with pytest.raises(PipelineError, match="must be a batch"):
        qcompiler.from_torch(module, 3)
    with pytest.raises(UnsupportedModel) as caught:
        qcompiler.from_torch(torch.nn.Linear(5, 4), torch.rand(5))
    assert "\n   = help: the first axis of example, (5,), counts samples" in str(caught.value)
    assert not caught.value.diagnostics[0].message.endswith(":")
    with pytest.raises(UnsupportedModel, match='returns its input "input" unchanged'):
        qcompiler.from_torch(torch.nn.Identity(), torch.rand(4, 5))


@pytest.mark.filterwarnings("ignore")
def test_from_torch_in_threads_says_nothing(capfd: Any) -> None:
    torch = pytest.importorskip("torch")
    modules = [torch.nn.Linear(5, 4) for _ in range(3)]

    def program(module: Any) -> Any:
        return qcompiler.from_torch(module, torch.rand(40, 5), target="reference")

    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(program, modules))
    assert repr(found[0]).startswith("<Program for reference: ")
    x = torch.rand(2, 5)
    for module, one in zip(modules, found, strict=True):
        assert np.abs(one.run(x) - module(x).detach().numpy()).max() < 0.5
    assert capfd.readouterr().err == ""


def test_the_demo_ends_with_its_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    path = tmp_path / "demo.py"
    path.write_bytes((EXAMPLES / "digits" / "demo.py").read_bytes())
    given = spec_from_file_location("demo", path)
    assert given is not None and given.loader is not None
    demo = module_from_spec(given)
    given.loader.exec_module(demo)
    ran: list[tuple[str, ...]] = []
    monkeypatch.chdir(tmp_path)
    for name, stub in (
        ("compile_network", lambda: None),
        ("run_engine", lambda *options: ran.append(options)),
        ("results", lambda *_: {}),
        ("same_outputs", lambda *_: True),
        ("can_report", lambda: True),
        ("why_no_lava", lambda: "a test"),
    ):
        monkeypatch.setattr(demo, name, stub)
    assert demo.main() == 0
    assert ran[0] == ("fast", "--against", "digits.onnx", "--report", "build/report.html")
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.endswith(str((tmp_path / "build" / "report.html").resolve()))
