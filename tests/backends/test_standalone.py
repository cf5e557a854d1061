"""The module that a program for Loihi takes along: what it says, and that it runs on its own."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.backends.brian2.standalone import BRIAN2
from qcompiler.backends.loihi.lava import lava_network
from qcompiler.backends.loihi.netlist import netlist
from qcompiler.backends.loihi.netlist.build_netlist import build_netlist
from qcompiler.backends.loihi.standalone import command_line, emitter
from qcompiler.backends.loihi.standalone.lava_template import LAVA
from qcompiler.backends.loihi.standalone.module_template import Template
from qcompiler.backends.program.program import Program
from qcompiler.ir import Graph
from tests.support.alone import alone, imported

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
TEMPLATES = [pytest.param(LAVA, id="lava"), pytest.param(BRIAN2, id="brian2")]


@pytest.fixture(scope="module")
def program() -> Program:
    return qcompiler.compile(
        DIGITS / "digits.onnx",
        calibration=DIGITS / "digits_calibration.npz",
        scale_values=(16,),
        t_max=4,
        slices=2,  # still few processes of Lava
        code="silent",  # with markers
    )


@pytest.fixture(scope="module")
def folder(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("programs") / "digits.loihi"
    program.save(path)
    return path


def same_rows(ours: Any, theirs: Any, arrays: dict[str, Any]) -> None:
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        for name, value in vars(one).items():
            written = getattr(other, name)
            if isinstance(value, np.ndarray):
                np.testing.assert_array_equal(arrays[written], value)
            else:
                assert written == value


def test_the_table_is_the_netlist(program: Program, folder: Path) -> None:
    netlist, module = build_netlist(program.graph), imported(folder / "network.py")
    arrays = module.read_arrays(folder)
    for part in ("sources", "populations", "synapses", "outputs"):
        same_rows(getattr(netlist, part), getattr(module.NETWORK, part), arrays)
    assert (netlist.interval, netlist.latency) == (module.NETWORK.interval, module.NETWORK.latency)


def test_weights_are_stored_once(program: Program, folder: Path) -> None:
    with np.load(folder / "netlist.npz") as own, np.load(folder / "arrays.npz") as shared:
        assert not any(name in shared for name in own.files)
    text = (folder / "network.py").read_text()
    for constant in program.graph.constants:
        if constant.name.endswith(":W"):
            assert repr(f"#{constant.name}") in text


def test_outputs_that_are_all_silent_left_at_no_step(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    group = netlist.Population("y", (2,), True, 1, 0, 3, 6, coding="silent")
    monkeypatch.setattr(command_line, "NETWORK", netlist.Netlist(populations=(group,)))
    steps = np.array([[-1, -1], [-1, 5]])
    command_line._print_result(netlist.Output(("y",), 1.0, 2, 3), {"y": steps})
    silent, other = capsys.readouterr().out.splitlines()
    assert silent == "frame 0: y[0] = -2 is largest, and silent"
    assert other == "frame 1: y[1] = -1 is largest, its spike left at step 5"


def test_names_of_onnx_nodes_are_in_the_module(folder: Path) -> None:
    (population, *_) = imported(folder / "network.py").NETWORK.populations
    assert (
        population.label == "preprocessing + /conv1/Conv + /norm1/BatchNormalization + /relu1/Relu"
    )


def test_processes_of_digits_have_names_of_their_own(program: Program) -> None:
    graph = build_netlist(program.graph)
    assert len({row.input for row in graph.sources}) < len(graph.sources)
    labels = lava_network._labels(graph)
    assert len({*labels.values()}) == len(labels)


@pytest.mark.parametrize("template", TEMPLATES)
def test_its_text_is_in_the_form_of_ours(tmp_path: Path, template: Template) -> None:
    path = tmp_path / "network.py"
    path.write_text(template.source(), encoding="utf-8")
    for command in (["check"], ["format", "--check"]):
        options = ["--config", str(Path(__file__).parents[2] / "pyproject.toml")]
        ran = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *options, str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("template", TEMPLATES)
def test_its_parts_share_no_name(template: Template) -> None:
    defined = []
    for node in ast.parse(template.source()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            defined.append(node.name)
        elif isinstance(node, ast.Assign):
            defined += map(ast.unparse, node.targets)
    assert "NETWORK" in defined and len(defined) == len(set(defined))


def hostile(graph: Graph, mark: Path) -> netlist.Netlist:
    name = f"x\"\"\"'),) or __import__('os').mkdir({str(mark)!r}) #\n\\"
    given = build_netlist(graph)
    groups = tuple(replace(g, name=name, origin=(name,)) for g in given.populations)
    return replace(given, populations=groups, synapses=())


def test_names_cannot_carry_code(program: Program, tmp_path: Path) -> None:
    malicious = hostile(program.graph, tmp_path / "mark")
    space = dict(vars(netlist))
    exec(emitter.netlist_source(malicious), space)
    assert space["NETWORK"].populations == malicious.populations
    assert not (tmp_path / "mark").exists()


@pytest.mark.lava
@pytest.mark.parametrize("options", [(), ("--floating",)], ids=["fixed", "floating"])
def test_it_runs_alone_and_elsewhere(
    program: Program, folder: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    copy = tmp_path / "else where"
    shutil.copytree(folder, copy)
    images = np.load(DIGITS / "digits_test.npz")["images"][:2]
    np.save(tmp_path / "x.npy", images)
    ran = alone(copy, str(tmp_path / "x.npy"), "-o", str(tmp_path / "out.npz"), *options)
    assert ran.returncode == 0, ran.stderr
    expected = program.spikes(images[:, None].astype(np.float32))
    populations = {group.name for group in build_netlist(program.graph).populations}
    with np.load(tmp_path / "out.npz") as found:
        assert set(found.files) == populations & expected.keys()
        for name in found.files:
            np.testing.assert_array_equal(found[name], expected[name])
    assert "is largest" in ran.stdout


@pytest.mark.lava
def test_a_simulation_starts_no_processes(
    program: Program, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lava.magma.core.run_configs import Loihi2SimCfg

    module = imported(folder / "network.py")
    monkeypatch.setattr(module, "MultiProcessRunner", None)
    images = np.load(DIGITS / "digits_test.npz")["images"][:1]
    spikes = module.run({"image": images}, Loihi2SimCfg(select_tag="fixed_pt"))
    for name, steps in program.spikes(images[:, None].astype(np.float32)).items():
        np.testing.assert_array_equal(spikes.get(name, steps), steps)


@pytest.mark.lava
def test_adapters_take_the_place_of_the_ends(folder: Path) -> None:
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.io.sink import RingBuffer as Sink
    from lava.proc.io.source import RingBuffer as Source

    module = imported(folder / "network.py")
    made: dict[str, Any] = {}

    def source(name: str, spikes: Any) -> Any:
        made[name] = Source(data=spikes)
        return made[name].s_out

    def sink(name: str, neurons: int, steps: int) -> Any:
        made[name] = Sink(shape=(neurons,), buffer=steps)
        return made[name].a_in

    images = np.load(DIGITS / "digits_test.npz")["images"][:1]
    config = Loihi2SimCfg(select_tag="fixed_pt")
    network = module.build({"image": images}, config, source, sink)
    assert set(made) == {row.name for row in (*module.NETWORK.sources, *module.NETWORK.populations)}
    network.processes[0].run(RunSteps(num_steps=network.steps), config)
    try:
        groups = {group.name: group for group in module.NETWORK.populations}
        spikes = {n: made[n].data.get() for n in groups if n.startswith("scores:")}
        assert len(spikes) > 1
        assert sum(sent.sum() for sent in spikes.values()) > 0
        for name, sent in spikes.items():
            group = groups[name]
            counts = sent[:, : group.close + 1].sum(axis=1)  # of this frame
            assert (counts == 1).all() if group.coding == "one-spike" else counts.max() <= 1
    finally:
        network.processes[0].stop()


def test_bad_input_is_one_sentence(folder: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 5)))
    np.save(tmp_path / "nan.npy", np.full((2, 8, 8), np.nan))
    for path in ("x.npy", "nan.npy", "nothing.npy"):
        ran = alone(folder, str(tmp_path / path))
        assert ran.returncode == 1
        assert ran.stderr.splitlines()[-1].startswith("error: ")
        assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("missing", ["numpy", "lava"])
def test_what_is_missing_is_one_sentence(folder: Path, tmp_path: Path, missing: str) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 8, 8)))
    ran = alone(folder, str(tmp_path / "x.npy"), missing=(missing,))
    needs = "this needs Python 3.10, numpy and lava-nc 0.10.0"
    assert ran.returncode == 1
    assert ran.stderr == f"error: {missing}; {needs}\n"
