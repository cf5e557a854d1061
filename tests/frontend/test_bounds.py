"""Memory and time are bounded before they are spent."""

from __future__ import annotations

import os
import threading
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

import qcompiler
from qcompiler import data
from qcompiler.data.frames import numpy_files
from qcompiler.frontend.import_model import import_model
from qcompiler.frontend.model import folding_limits
from qcompiler.ir import CompileError, DataError, InvalidModel, PipelineError, UnsupportedModel
from qcompiler.ir.formats.attributes import fits
from qcompiler.ir.ops import plain
from tests.support.onnx_models import model

IMAGE = "float[N,3,16,16] x"
LAYERS = "h = Conv<pads=[1,1,1,1]>(x, w) r = Relu(h) f = Flatten(r) y = Gemm(f, v)"
NETWORK = model(IMAGE, LAYERS, w=(8, 3, 3, 3), v=(2048, 5))


def doublings(count: int) -> onnx.ModelProto:
    body = "".join(f"c{i + 1} = Concat<axis=0>(c{i}, c{i}) " for i in range(count))
    body += f"m = ReduceMax<keepdims=0>(c{count}) y = Add(x, m)"
    return model("float[N,6] x", body, c0=np.ones(1, np.float32))


def test_constants_take_little_more_than_their_bytes() -> None:
    tracemalloc.start()
    start = time.process_time()
    import_model(doublings(22))  # 16 MiB, and as much for all before it
    assert tracemalloc.get_traced_memory()[1] < 128 << 20
    assert time.process_time() - start < 5
    tracemalloc.stop()


@pytest.mark.parametrize("what", ["_MOST_BYTES", "_MOST_WORK"])
def test_constants_are_bounded_in_all(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding_limits, what, 1 << 16)
    import_model(doublings(10))
    with pytest.raises(UnsupportedModel, match="would compute constants") as caught:
        import_model(doublings(18))
    assert "Concat" in str(caught.value)


def nested(levels: int, weight: int = 0) -> onnx.ModelProto:
    """Functions, each of which calls the next one twice."""
    functions = []
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    for level in range(levels):
        last = level == levels - 1
        made = [("Relu", "") if last else (f"f{level + 1}", "local")] * 2
        nodes = [
            helper.make_node(op, [one], [other], domain=domain, doc_string="." * weight)
            for (op, domain), one, other in zip(made, "xm", "my", strict=True)
        ]
        functions.append(helper.make_function("local", f"f{level}", ["x"], ["y"], nodes, opsets))
    inputs = [helper.make_tensor_value_info("x", 1, ["N", 4])]
    outputs = [helper.make_tensor_value_info("y", 1, None)]
    calls = [helper.make_node("f0", ["x"], ["y"], domain="local")]
    graph = helper.make_graph(calls, "g", inputs, outputs)
    return helper.make_model(graph, functions=functions, opset_imports=opsets, ir_version=9)


def test_functions_are_bounded_before_they_expand() -> None:
    import_model(nested(6))
    for proto in (nested(40), nested(14, 1 << 18), nested(18)):
        start = time.process_time()
        with pytest.raises(InvalidModel, match="functions expand to"):
            import_model(proto)
        assert time.process_time() - start < 5


def test_results_and_inputs_have_few_axes() -> None:
    """Else numpy refuses them, on the way."""
    for inputs, body in (
        ("float[N,6] x", "y = Unsqueeze(x, s)"),
        (f"float[N{',2' * 25}] x", "y = Relu(x)"),
    ):
        with pytest.raises(UnsupportedModel, match="more than 24 axes"):
            import_model(model(inputs, body, s=np.arange(1, 70)))


@pytest.mark.parametrize(
    ("bounds", "what"),
    [
        ({"max_neurons": 2000}, "2,821 neurons and 65,536 synapses, more than the bound of 2,000"),
        ({"max_memory": 0.001}, "GB of memory, more than the bound of 0.001 GB"),
    ],
)
def test_large_networks_are_refused_with_their_figures(bounds: Any, what: str) -> None:
    with pytest.raises(UnsupportedModel) as caught:
        qcompiler.compile(NETWORK, **bounds)
    (finding,) = caught.value.diagnostics
    assert what in finding.message and finding.nodes in (("h_node",), ("y_node",))
    assert finding.help and next(iter(bounds)) in finding.help


@pytest.mark.parametrize("bound", [0, -1, "many", float("nan"), float("inf"), [1]])
def test_bounds_are_positive_numbers(bound: Any) -> None:
    for name in ("max_neurons", "max_memory"):
        with pytest.raises(PipelineError, match=r"must be a (positive )?number"):
            qcompiler.compile(NETWORK, **{name: bound})


def test_default_bounds_are_generous() -> None:
    qcompiler.compile(NETWORK, target="reference", max_neurons=None, max_memory=None)


def ends(call: Callable[[], Any]) -> CompileError:
    """The error that a call raises, in time."""
    found: list[CompileError] = []

    def run() -> None:
        try:
            call()
        except CompileError as error:
            found.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(60)
    (error,) = found
    return error


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_and_devices_are_no_files(tmp_path: Path) -> None:
    inputs = (("x", (6,)),)
    for name in ("pipe.onnx", "pipe.npy", "pipe.npz"):
        os.mkfifo(tmp_path / name)
        path = tmp_path / name
        for source in (path, Path("/dev/zero")):
            model_error = ends(partial(import_model, source))
            data_error = ends(partial(data.read, source, inputs))
            assert "not a regular file" in str(model_error)
            assert isinstance(data_error, DataError) and "not a regular file" in str(data_error)


def test_a_small_file_of_many_numbers_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez_compressed(tmp_path / "bomb.npz", x=np.zeros((1000, 1000), np.float32))
    monkeypatch.setattr(numpy_files, "machine_memory", lambda: 1e6)
    with pytest.raises(DataError, match="holds 4,000,128 bytes of arrays, more than"):
        data.read(tmp_path / "bomb.npz", (("x", (1000,)),))
    assert (tmp_path / "bomb.npz").stat().st_size < 10_000


@pytest.mark.parametrize("name", ["a\0b.npz", "loop.npz", "text.npz"])
def test_data_files_that_cannot_be_read(name: str, tmp_path: Path) -> None:
    (tmp_path / "loop.npz").symlink_to(tmp_path / "loop.npz")
    (tmp_path / "text.npz").write_text("no archive")
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as archive:
        archive.writestr("x.txt", "text")
    with pytest.raises(DataError):
        data.read(tmp_path / name, (("x", (6,)),))


def test_long_formulas_are_shortened() -> None:
    names = ["x", *(f"e{index}" for index in range(60)), "y"]
    body = " ".join(f"{y} = Exp({x})" for x, y in pairwise(names))
    with pytest.raises(UnsupportedModel, match=r"exp \[...\]' is not finite") as caught:
        qcompiler.compile(model("float[N,4] x", body))
    assert len(caught.value.diagnostics[0].message) < 400


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("b = Relu(a) y = MatMul(b, v)", "too wide for levels"),
        ("y = MatMul(a, v)", "holds NaN or infinite"),
    ],
)
def test_products_of_huge_weights_are_refused(body: str, reason: str) -> None:
    """Without warnings of numpy; they once made the ranges of functions infinite."""
    w, v = (np.full(shape, 3e38, np.float32) for shape in ((4, 3), (3, 2)))
    with pytest.raises(CompileError, match=reason):
        qcompiler.compile(model("float[N,4] x", f"a = MatMul(x, w) {body}", w=w, v=v))


CROP = 'coordinate_transformation_mode="tf_crop_and_resize", mode="linear"'


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("c = Greater(x, h) y = Where(c, x, h)", "too far from zero"),
        ("y = Add(x, h)", "too far from zero"),
        ("y = Mul(x, h)", "too wide for levels"),
        ("y = Pow(h, x)", "too steep for weights"),
        ("y = Resize(x, , s)", "to more than"),
        (f"y = Resize<{CROP}>(x, r, t)", "far outside of the image"),
        ('y = Resize<mode="cubic", cubic_coeff_a=1e38>(x, , t)', "NaN or infinite"),
        ("y = BatchNormalization<epsilon=-1e38>(x, o, o, o, o)", "positive epsilon"),
        ("y = BatchNormalization<epsilon=-1.0>(x, o, o, o, o)", "positive epsilon"),
        ("y = BatchNormalization(x, g, o, o, z)", "single precision"),
        ("y = LayerNormalization<epsilon=-1.0>(x, o)", "negative epsilon"),
    ],
)
def test_huge_constants_are_refused(body: str, reason: str) -> None:
    """With one sentence that is no bug, and without warnings of numpy."""
    numbers = {"h": 1e38, "g": [3e38], "o": [1], "z": [0], "s": [1, 1, 1e38], "t": [1, 1, 2]}
    numbers |= {"r": [0, 0, 1e38, 1, 1, 1]}
    given: dict[str, Any] = {name: np.array(one, np.float32) for name, one in numbers.items()}
    with pytest.raises(CompileError, match=reason) as caught:
        qcompiler.compile(model("float[N,1,4] x", body, **given), t_max=8)
    assert len(caught.value.diagnostics) <= 3  # a heading, a scale and a shift
    assert any(one.nodes == ("y_node",) for one in caught.value.diagnostics)


@pytest.mark.parametrize(
    ("inputs", "body", "reason"),
    [
        ("float[N,20000] x", "y = CumSum(x, a)", "CumSum reads 20000 values of a channel"),
        ("float[N,20000,2] x", "y = LRN<size=19999>(x)", "LRN reads 19999 values of a channel"),
        ("float[N,1,64,64] x", 'y = Resize<mode="linear">(x, , s)', "Resize with more than"),
    ],
)
def test_work_beyond_limits_is_no_fault_of_the_file(inputs: str, body: str, reason: str) -> None:
    weights: dict[str, Any] = {"a": np.array(1), "s": np.array([1, 1, 56, 56], np.float32)}
    with pytest.raises(UnsupportedModel, match=reason) as caught:
        import_model(model(inputs, body, **weights), allow_products=True)
    (finding,) = caught.value.diagnostics
    assert finding.nodes == ("y_node",) and finding.help


def test_a_million_indices_take_no_time() -> None:
    """Checked as a whole: one by one they took a second each time that a pass had run."""
    indices = tuple(range(1 << 20))
    begun = time.process_time()
    assert fits(plain(indices), tuple[int, ...])
    assert time.process_time() - begun < 0.5  # a tenth of it here
    assert not fits((*indices, 1 << 41), tuple[int, ...])
    assert not fits((*indices, True), tuple[int, ...])
