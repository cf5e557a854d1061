"""Brian2 spikes where the reference does, neuron by neuron and step by step."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import qcompiler
from qcompiler.backends.brian2.target import BRIAN2
from qcompiler.backends.program.program import Program
from qcompiler.ir import Builder, Constant, Graph, ProgramError, Tensor
from qcompiler.ir.ann import Clip, Dense
from tests.support.alone import OTHERS, alone
from tests.support.random_networks import LOIHI, REFERENCE, compiled, random_network

needs_brian2 = pytest.mark.skipif(find_spec("brian2") is None, reason="Brian2 is not installed")
DIGITS = Path(__file__).parents[2] / "examples" / "digits"
NAME = "x\"\"\"'),) or __import__('os').mkdir('mark') #\n\\"
MODEL = """
<ir_version: 8, opset_import: ["" : 17]>
net (float[N, 4] x) => (float[N, 3] y)
<float[4, 3] w = {1, -2, 3, 4, 5, -6, 7, 8, 9, -1, 2, 3}> { h = MatMul (x, w) y = Relu (h) }
"""


def check(graph: Graph, x: Any) -> None:
    """Run frames on Brian2 and on the reference, and compare every spike."""
    program = Program(graph, BRIAN2, {})
    found, expected = (program.engine(name)(x, record=True) for name in ("brian2", "steps"))
    assert found.levels.keys() == expected.levels.keys()
    for name, levels in expected.levels.items():
        np.testing.assert_array_equal(found.levels[name], levels, err_msg=name)
    for ours, theirs in zip(found.outputs, expected.outputs, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@needs_brian2
@pytest.mark.parametrize("target", ["brian2", "loihi"])
def test_digits(target: str) -> None:
    """Programs of other targets run, too, and answer the same."""
    given: dict[str, Any] = {
        "calibration": DIGITS / "digits_calibration.npz",
        "scale_values": (16,),
    }
    program = qcompiler.compile(DIGITS / "digits.onnx", target=target, **given)
    images = np.load(DIGITS / "digits_test.npz")["images"][:4, None].astype(np.float32)
    check(program.graph, images)


@needs_brian2
@pytest.mark.parametrize("code", ["one-spike", "silent", "burst"])
@pytest.mark.parametrize("seed", [2, 5])
def test_networks_with_branches(seed: int, code: str) -> None:
    graph, rng = random_network(seed, branches=True), np.random.default_rng(seed)
    batch = rng.standard_normal((8, *graph.inputs[0].type.shape)).astype(np.float32)
    base = REFERENCE if seed == 5 else LOIHI.replace("assign-windows", "assign-windows{delay=5}")
    pipeline = base.replace(",insert-readout", f",choose-codes{{code={code}}},insert-readout")
    ran = compiled(graph, pipeline, calibration=(batch,), t_max=4 + seed)
    check(ran, np.concatenate([50 * batch[:1], 0 * batch[:1], batch[:1]]))


@needs_brian2
@pytest.mark.data
def test_mnist(data_dir: Path) -> None:
    mnist = data_dir / "mnist"
    given: dict[str, Any] = {"calibration": mnist / "mnist_train_2000.npz", "scale_values": (255,)}
    program = qcompiler.compile(mnist / "mnist_convnet.onnx", target="brian2", **given)
    images = np.load(mnist / "mnist_test_first5000.npz")["images"][:20, None]
    check(program.graph, images.astype(np.float32))


@needs_brian2
def test_nothing_may_be_sent() -> None:
    """No weight but zeros, and inputs that are silent."""
    build = Builder("nothing")
    weight, bias = Constant("w", np.zeros((3, 4), np.float32)), Constant("b", np.ones(3, "f4"))
    value = build.add(Dense(), build.input("x", Tensor((4,))), weight, bias, name="d")
    graph = build.build([build.add(Clip(0.0), value, name="y")])
    x = np.zeros((2, 4), np.float32)
    pipeline = REFERENCE.replace(",insert-readout", ",choose-codes{code=silent},insert-readout")
    check(compiled(graph, pipeline, calibration=(x + 1,), t_max=4), x)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program whose names are code, with data beside it."""
    folder = tmp_path_factory.mktemp("hostile")
    model = onnx.parser.parse_model(MODEL)
    names = {"h": NAME, "y": NAME + "y"}
    for node in model.graph.node:
        node.name = NAME + node.op_type
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    model.graph.output[0].name = names["y"]
    x = np.random.default_rng(0).random((5, 4)).astype(np.float32)
    np.save(folder / "x.npy", x)
    program = qcompiler.compile(model, calibration=(x,), target="brian2", t_max=4)
    program.save(folder / "net.brian2")
    return folder


@needs_brian2
def test_it_runs_alone_and_names_stay_text(hostile: Path) -> None:
    ran = alone(hostile / "net.brian2", str(hostile / "x.npy"), "-o", str(hostile / "out.npz"))
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("is largest") == 5 and "\n\\" not in ran.stdout
    assert not ran.stderr and not list(hostile.rglob("mark"))
    expected = qcompiler.load(hostile / "net.brian2").spikes(np.load(hostile / "x.npy"))
    with np.load(hostile / "out.npz") as found:
        assert set(found.files) == {name for name in expected if NAME in name}
        for name in found.files:
            np.testing.assert_array_equal(found[name], expected[name])


def test_a_missing_brian2_is_one_sentence(hostile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = alone(hostile / "net.brian2", str(hostile / "x.npy"), missing=(*OTHERS, "brian2"))
    assert ran.returncode == 1
    assert ran.stderr == "error: brian2; this needs numpy and Brian2: pip install brian2\n"
    monkeypatch.setitem(sys.modules, "brian2", None)
    program = qcompiler.load(hostile / "net.brian2")
    with pytest.raises(ProgramError, match=r"pip install 'qcompiler-snn\[brian2\]'"):
        program.run(np.load(hostile / "x.npy"), engine="brian2")


@needs_brian2
def test_settings_of_brian2_are_kept(hostile: Path) -> None:
    """In a process of its own: Brian2 changes how Python reports errors."""
    code = (
        "import numpy as np, qcompiler, brian2\n"
        "brian2.defaultclock.dt = 0.5 * brian2.ms\n"
        "brian2.prefs.codegen.target = 'cython'\n"
        "program = qcompiler.load('net.brian2')\n"
        "program.run(np.load('x.npy'), engine='brian2')\n"
        "assert brian2.prefs.codegen.target == 'cython'\n"
        "assert brian2.defaultclock.dt == 0.5 * brian2.ms\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=hostile)
