"""The NIR file of a program: read back equal, and spike for spike the reference."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import qcompiler
from qcompiler.backends.loihi.netlist.build_netlist import build_netlist
from qcompiler.backends.loihi.netlist.netlist import Synapses
from qcompiler.backends.loihi.netlist.synapse_matrices import synapse_triples
from qcompiler.backends.nir import projections
from qcompiler.backends.nir.frame_inputs import frame_inputs
from qcompiler.backends.nir.nir_graph import FrameGraph
from qcompiler.backends.nir.square_kernels import square_kernel
from qcompiler.backends.nir.target import NIR
from qcompiler.backends.program.program import Program
from qcompiler.ir import CompileError, DataError, InvalidGraph, ProgramError
from tests.support.onnx_models import model
from tests.support.random_networks import REFERENCE, compiled, random_network

needs_nir = pytest.mark.skipif(find_spec("nir") is None, reason="the package nir is not installed")
DIGITS = Path(__file__).parents[2] / "examples" / "digits"
MODEL = """
<ir_version: 8, opset_import: ["" : 17]>
net (float[N, 4] x) => (float[N, 3] y)
<float[4, 3] w = {1, -2, 3, 4, 5, -6, 7, 8, 9, -1, 2, 3}> { h = MatMul (x, w) y = Relu (h) }
"""


@pytest.fixture(scope="module")
def digits() -> Program:
    return qcompiler.compile(
        DIGITS / "digits.onnx",
        calibration=DIGITS / "digits_calibration.npz",
        scale_values=(16,),
        target="nir",
    )


def saved(program: Program, folder: Path) -> Any:
    """The graph of a program, as the package nir reads it."""
    import nir

    program.save(folder / "net.nir")
    return nir.read(folder / "net.nir" / "network.nir")


def check(program: Program, x: Any, folder: Path) -> None:
    """Simulate the file, frame by frame, and compare every spike with the reference."""
    from tests.support.nir_simulator import simulate

    graph, frame = saved(program, folder), FrameGraph(build_netlist(program.graph))
    expected = program.spikes(x)
    (value,) = program.graph.inputs
    for number, sample in enumerate(x):
        given = frame_inputs(program.graph, {value.name: sample})
        spikes = simulate(graph, given, int(graph.metadata["steps"]))
        for name in expected.keys() & frame.groups.keys():
            sent = spikes[frame.names[name]].reshape(frame.netlist.latency, -1)
            first = np.where(sent.any(axis=0), sent.argmax(axis=0), -1)
            np.testing.assert_array_equal(first, expected[name][number].ravel(), err_msg=name)


@needs_nir
def test_what_is_no_frame_gets_a_sentence(digits: Program) -> None:
    image = np.zeros((1, 8, 8), np.float32)
    two = np.stack([image, image])
    given: tuple[tuple[Any, Any, type[CompileError], str], ...] = (
        (digits, {"image": image}, InvalidGraph, "give program.graph"),
        (digits.graph, image, DataError, "arrays of one frame in a mapping by name: image"),
        (digits.graph, {}, DataError, "in a mapping by name: image"),
        (
            digits.graph,
            {"image": two},
            DataError,
            "give the arrays of one frame",
        ),
        (digits.graph, {"image": image + np.nan}, DataError, "contain NaN"),
    )
    for graph, inputs, kind, sentence in given:
        with pytest.raises(kind, match=sentence):
            frame_inputs(graph, inputs)


@needs_nir
def test_digits(digits: Program, tmp_path: Path) -> None:
    images = np.load(DIGITS / "digits_test.npz")["images"][:2, None].astype(np.float32)
    check(digits, images, tmp_path)


@needs_nir
@pytest.mark.parametrize(("seed", "code"), [(6, "one-spike"), (2, "silent"), (2, "burst")])
def test_networks_with_branches(seed: int, code: str, tmp_path: Path) -> None:
    graph, rng = random_network(seed, branches=True), np.random.default_rng(seed)
    batch = rng.standard_normal((8, *graph.inputs[0].type.shape)).astype(np.float32)
    pipeline = REFERENCE.replace(",insert-readout", f",choose-codes{{code={code}}},insert-readout")
    ran = compiled(graph, pipeline, calibration=(batch,), t_max=4 + seed)
    check(Program(ran, NIR, {}), np.concatenate([50 * batch[:1], batch[:1]]), tmp_path)


@needs_nir
def test_the_file_is_read_back_equal(digits: Program, tmp_path: Path) -> None:
    written, found = FrameGraph(build_netlist(digits.graph)).graph(), saved(digits, tmp_path)
    assert sorted(found.edges) == sorted(written.edges)
    assert found.nodes.keys() == written.nodes.keys()
    assert found.metadata == written.metadata
    for name, node in written.nodes.items():
        ours, theirs = node.to_dict(), found.nodes[name].to_dict()
        assert ours.keys() == theirs.keys()
        for field, value in ours.items():
            pairs = value.items() if isinstance(value, dict) else [(None, value)]
            for key, entry in pairs:
                read = theirs[field] if key is None else theirs[field][key]
                np.testing.assert_array_equal(read, entry, err_msg=f"{name}, {field}")


@pytest.mark.parametrize("seed", range(40))
def test_square_kernels_are_the_same_synapses(seed: int) -> None:
    """Asymmetric pads, dilations, strides, groups, and channels that a view has chosen."""
    rng = np.random.default_rng(seed)
    rank, groups = int(rng.integers(1, 3)), int(rng.integers(1, 3))
    shape = (2 * groups, *(int(n) for n in rng.integers(5, 9, rank)))
    taps, strides, dilations = (tuple(int(n) for n in rng.integers(1, 4, rank)) for _ in range(3))
    taps = tuple(
        min(k, (n - 1) // d + 1) for k, n, d in zip(taps, shape[1:], dilations, strict=True)
    )
    pads = tuple(int(n) for n in rng.integers(0, 3, 2 * rank))
    weights = rng.integers(-9, 10, (2 * groups, 2, *taps))
    places = np.arange(np.prod(shape)).reshape(shape)
    order = places[rng.permutation(shape[0])] if seed % 2 else None
    given: dict[str, Any] = {
        "strides": strides,
        "pads": pads,
        "dilations": dilations,
        "groups": groups,
    }
    row = Synapses("a", "b", "kernel", weights, shape, order, **given)
    found = square_kernel(row, shape)
    if found is None:
        assert len(set(taps)) > 1 or rank > 1 or any(s > 1 for s in strides)
        return
    assert len(set(found.weight.shape[2:])) == 1
    outs = tuple(
        (n + before + behind - (k - 1) * d - 1) // s + 1
        for n, before, behind, k, d, s in zip(
            shape[1:], pads[:rank], pads[rank:], taps, dilations, strides, strict=True
        )
    )
    same: dict[str, Any] = {
        "strides": found.strides,
        "pads": 2 * found.padding,
        "dilations": found.dilations,
    }
    other = Synapses("a", "b", "kernel", found.weight, shape, **same)
    matrices = []
    for each in (row, other):
        matrices.append(np.zeros((2 * groups * int(np.prod(outs)), places.size)))
        pre, post, weight = synapse_triples(each, (2 * groups, *outs))
        np.add.at(matrices[-1], (post, pre), weight)
    np.testing.assert_array_equal(matrices[0], matrices[1])


@needs_nir
def test_names_stay_text(tmp_path: Path) -> None:
    name = "../a/b'\"\n\0é" + "x" * 300
    model = onnx.parser.parse_model(MODEL)
    model.graph.node[1].name = name
    x = np.random.default_rng(0).random((5, 4)).astype(np.float32)
    program = qcompiler.compile(model, calibration=(x,), target="nir", t_max=4)
    assert all(node.replace("_", "").isalnum() for node in saved(program, tmp_path).nodes)


@needs_nir
def test_an_output_that_the_host_reads_twice(tmp_path: Path) -> None:
    """Halves of one output change places on the host: each decodes the same spikes."""
    model = onnx.parser.parse_model(
        MODEL.replace(
            "y = Relu (h)",
            "r = Relu (h) a, b = Split <axis = 1> (r, s) y = Concat <axis = 1> (b, a)",
        ).replace("<float[4, 3]", "<int64[2] s = {1, 2}, float[4, 3]")
    )
    x = np.random.default_rng(0).random((5, 4)).astype(np.float32)
    program = qcompiler.compile(model, calibration=(x,), target="nir", t_max=4)
    check(program, x[:2], tmp_path)


@needs_nir
def test_a_matrix_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    program = qcompiler.compile(model("float[N,4] x", "y = MatMul(x, w)", w=(4, 3)))
    monkeypatch.setattr(projections, "_MOST_WEIGHTS", 10)
    with pytest.raises(ProgramError, match="compile for another target"):
        FrameGraph(build_netlist(program.graph)).graph()


def test_a_missing_package_is_one_sentence(
    digits: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nir", None)
    with pytest.raises(ProgramError, match=r"pip install 'qcompiler-snn\[nir\]'"):
        digits.save(tmp_path / "net.nir")
    assert not list(tmp_path.iterdir())
