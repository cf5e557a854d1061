"""What the host does behind the spikes: softmax and argmax, and what arranges their results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import qcompiler
from qcompiler.cli.running import qrun
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import UnsupportedModel
from tests.support.onnx_models import ints, model, run_onnx
from tests.support.spiking import same_spikes
from tests.support.surrounded import before_layers

_LAYER = "c = Conv<pads=[1,1,1,1]>(x, w) h = Relu(c) "
_DENSE = _LAYER + "f = Flatten(h) z = Gemm(f, v) "
_PIXELS = _LAYER + "z = Conv(h, u) "
_HEADS = (
    _LAYER + "a = Conv(h, u) at = Transpose<perm=[0,2,3,1]>(a) ar = Reshape(at, rows)"
    " b = Conv<strides=[2,2]>(h, u) bt = Transpose<perm=[0,2,3,1]>(b) br = Reshape(bt, rows) "
)
ENDS = {
    "one class": _DENSE + "p = Softmax<axis=1>(z) y = Gather<axis=1>(p, one)",
    "some classes": _DENSE + "p = LogSoftmax<axis=1>(z) y = Slice(p, from, to, axis)",
    "softmax beside its logits": _DENSE + "p = Softmax<axis=1>(z) y = Concat<axis=1>(p, z)",
    "largest classes": _DENSE + "p = Softmax<axis=1>(z) y, i = TopK<axis=1>(p, three)",
    "channels last": _PIXELS + "p = Softmax<axis=1>(z) y = Transpose<perm=[0,2,3,1]>(p)",
    "pixels in a row": _PIXELS + "p = Softmax<axis=1>(z) y = Reshape(p, flat)",
    "map of classes": (
        _PIXELS + "p = Softmax<axis=1>(z) t = Transpose<perm=[0,2,3,1]>(p)"
        " y = ArgMax<axis=3, keepdims=0>(t)"
    ),
    "heads joined before": _HEADS + "k = Concat<axis=1>(ar, br) y = Softmax<axis=2>(k)",
    "heads joined behind": (
        _HEADS + "p = Softmax<axis=2>(ar) q = Softmax<axis=2>(br) k = Concat<axis=1>(p, q)"
        " y = Slice(k, from, to, last)"
    ),
}
_WEIGHTS: dict[str, Any] = {
    **{"w": (6, 2, 3, 3), "v": (96, 4), "u": (3, 6, 1, 1)},
    **{"one": np.array(1), "from": ints(1), "to": ints(3), "axis": ints(1), "last": ints(2)},
    **{"three": ints(3), "rows": ints(0, -1, 3), "flat": ints(0, -1)},
}


def network(name: str) -> tuple[Any, Any]:
    """A model with random weights, and data."""
    body = ENDS[name]
    words = set(body.replace("(", " ").replace(")", " ").replace(",", " ").split())
    given = {key: value for key, value in _WEIGHTS.items() if key in words}
    batch = np.random.default_rng(4).standard_normal((60, 2, 4, 4)).astype(np.float32)
    proto = model("float[N,2,4,4] x", body, 13, **given)
    if "ArgMax" in body:
        proto.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    return proto, batch


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize(("target", "effort"), [("reference", 1), ("loihi", 1), ("reference", 0)])
def test_compiled(name: str, target: str, effort: int) -> None:
    proto, batch = network(name)
    program = qcompiler.compile(proto, target=target, calibration=batch, effort=effort, t_max=64)
    (wanted,) = run_onnx(proto, {"x": batch})
    found: Any = program.run(batch)
    assert found.shape == wanted.shape
    if wanted.dtype.kind == "f":
        missed = np.square(found - wanted).sum() / np.square(wanted - wanted.mean()).sum()
        assert missed <= 0.05  # of the variance, as for trained networks
    else:
        assert np.mean(found == wanted) >= 0.9
    same_spikes(program, "fast", batch[:2])


_CODED = (
    _DENSE + "p = Softmax<axis=1>(z) q = QuantizeLinear(p, qs, qz) d = DequantizeLinear(q, qs, qz)"
)
QUANTISED_ENDS = {
    "int8": _DENSE + "p = Softmax<axis=1>(z) y = QuantizeLinear(p, qs, qz)",
    "uint8": _CODED + " y = QuantizeLinear(d, qs, uz)",
}


@pytest.mark.parametrize(("name", "target"), [("int8", "loihi"), ("uint8", "reference")])
def test_codes_of_probabilities(
    name: str, target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As TFLite's classifiers end, whose inputs and outputs are integers."""
    rng, scale = np.random.default_rng(4), np.float32(1 / 256)
    batch = rng.standard_normal((60, 2, 4, 4)).astype(np.float32)
    codes = {"qs": scale, "qz": np.int8(-128), "uz": np.uint8(0)}
    used = {key: value for key, value in codes.items() if key in QUANTISED_ENDS[name]}
    weights: dict[str, Any] = {"w": (6, 2, 3, 3), "v": (96, 4), **used}
    proto = model("float[N,2,4,4] x", QUANTISED_ENDS[name], 13, **weights)
    kinds = onnx.TensorProto.INT8, onnx.TensorProto.UINT8
    proto.graph.output[0].type.tensor_type.elem_type = kinds[name == "uint8"]
    (wanted,) = run_onnx(proto, {"x": batch})
    program = qcompiler.compile(proto, target=target, calibration=batch, t_max=64)
    found: Any = program.run(batch)
    assert np.sqrt(np.mean(np.square(found - wanted))) < 0.25 * wanted.std()
    assert np.mean(found.argmax(axis=1) == wanted.argmax(axis=1)) >= 0.9
    same_spikes(program, "fast", batch[:2])

    onnx.save(proto, tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", batch)
    program.save(tmp_path / "p")
    given = [str(tmp_path / part) for part in ("p", "x.npy")]
    assert qrun.main([*given, "--against", str(tmp_path / "m.onnx"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["agreement"] >= 0.9
    assert told["outputs"]["y"]["error"] < 0.25


@pytest.mark.parametrize("name", ["one class", "channels last", "heads joined behind"])
def test_searched(name: str) -> None:
    proto, batch = network(name)
    program = qcompiler.compile(proto, target="reference", calibration=batch, max_drift=90)
    (wanted,) = run_onnx(proto, {"x": batch})
    assert np.shape(program.run(batch)) == wanted.shape
    assert program.manifest["search"]


@pytest.mark.parametrize("name", ["one class", "some classes", "heads joined behind"])
def test_layers_behind_are_refused(name: str) -> None:
    """Importing refuses them already, but graphs can come from elsewhere."""
    proto, batch = network(name)
    graph = before_layers(import_model(proto).graph)
    for effort in (0, 1):
        with pytest.raises(UnsupportedModel, match="behind softmax"):
            qcompiler.compile(graph, target="reference", calibration=batch, effort=effort)
    with pytest.raises(UnsupportedModel, match="behind softmax"):
        qcompiler.compile(graph, target="reference")
