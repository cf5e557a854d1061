"""Networks at the limits of Loihi's axons: kept within them, or refused before the work."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import onnx
import pytest

import qcompiler
from qcompiler.backends.chip import Chip
from qcompiler.backends.loihi.mapping.chips import LOIHI_2
from qcompiler.backends.loihi.target import lava_target
from qcompiler.compilation.core_limits import exceeded_core_limits
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import Graph, UnsupportedModel
from qcompiler.passes import Pass, Pipeline
from qcompiler.passes.tensor.standardize import Standardize
from qcompiler.registry import find_pass
from tests.support.onnx_models import ints, model, run_onnx

POOL = "p = GlobalAveragePool(r)"
GATE = f"c = Conv<pads=[1,1,1,1]>(x, w) r = Relu(c) {POOL}"
EXCITE = f"{GATE} a = Conv(p, u) b = Relu(a) d = Conv(b, v) s = Sigmoid(d) m = Mul(r, s)"
IMAGE, SMALL = "float[N,3,16,16] x", "float[N,3,15,15] x"
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "excitation": (IMAGE, f"{EXCITE} y = Conv<strides=[4,4]>(m, z)", {"z": (2, 16, 4, 4)}),
    "dense layer": (IMAGE, f"{GATE} f = Flatten(p) y = Gemm(f, g)", {"g": (16, 5)}),
    "slices": (SMALL, f"{GATE} f = Flatten(p) y = Gemm(f, g)", {"g": (16, 5)}),
    "leaky": (
        SMALL,
        f"c = Conv<pads=[1,1,1,1]>(x, w) r = LeakyRelu(c) {POOL} f = Flatten(p) y = Gemm(f, g)",
        {"g": (16, 5)},
    ),
    "pool by itself": (
        "float[N,16,16,16] x",
        "r = Relu(x) p = AveragePool<kernel_shape=[16,16]>(r) f = Flatten(p) y = Gemm(f, g)",
        {"g": (16, 5)},
    ),
}
SHARED: dict[str, Any] = {"w": (16, 3, 3, 3), "u": (4, 16, 1, 1), "v": (16, 4, 1, 1)}


def proto_of(name: str) -> onnx.ModelProto:
    inputs, body, weights = CASES[name]
    read: dict[str, Any] = {
        weight: shape for weight, shape in SHARED.items() if f" {weight})" in body
    }
    return model(inputs, body, **read, **weights)


def data(proto: onnx.ModelProto, count: int) -> np.ndarray[Any, Any]:
    shape = [axis.dim_value for axis in proto.graph.input[0].type.tensor_type.shape.dim[1:]]
    return np.random.default_rng(3).uniform(0, 1, (count, *shape)).astype(np.float32)


@pytest.mark.parametrize("name", CASES)
def test_fan_in_stays_within_a_core(name: str) -> None:
    proto = proto_of(name)
    batch = data(proto, 24)
    program = qcompiler.compile(proto, calibration=batch, target="loihi", allow_products=True)
    (wanted,) = run_onnx(proto, {"x": batch})
    found = program.run(batch)
    assert isinstance(found, np.ndarray)
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.9
    same = qcompiler.compile(proto, calibration=batch, target="reference", allow_products=True)
    assert "fan_in" not in same.manifest["pipeline"]


def fat(length: int, kept: int = 1 << 20, pool: bool = False) -> onnx.ModelProto:
    """A dense layer of so many inputs, all but the first ``kept`` of which have no weight."""
    weight = np.random.default_rng(0).uniform(0.5, 1, (length // (2 if pool else 1), 8))
    weight[kept:] = 0
    body = "h = Gemm(f, w) r = Relu(h) y = Gemm(r, v)"
    shape, front = (
        ("N,1,L", "q = MaxPool<kernel_shape=[2], strides=[2]>(x)") if pool else ("N,L", "")
    )
    flat = "f = Flatten(q)" if pool else "f = Identity(x)"
    inputs = f"float[{shape.replace('L', str(length))}] x"
    return model(inputs, f"{front} {flat} {body}", w=weight.astype(np.float32), v=(8, 3))


def test_a_layer_beyond_the_axons_is_refused_before_the_work() -> None:
    body = "c = Conv(x, w) r = Relu(c) f = Flatten(r) y = Gemm(f, g)"  # of one channel
    proto, seen = model("float[N,1,68,68] x", body, w=(1, 1, 66, 66), g=(9, 2)), list[str]()
    begin = time.process_time()
    with pytest.raises(UnsupportedModel, match=r"at least 4356 input axons.* has 4096") as caught:
        qcompiler.compile(
            proto,
            calibration=data(proto, 100),
            target="loihi",
            watch=lambda step, graph: seen.append(step.name),
        )
    assert not seen and time.process_time() - begin < 30
    (finding,) = caught.value.diagnostics
    assert finding.nodes == ("c_node", "r_node")
    assert "pool before the layer, or prune it" in (finding.help or "")
    qcompiler.compile(proto, calibration=data(proto, 8), target="reference")


def test_layers_beyond_the_axons_are_split() -> None:
    seen: list[str] = []
    for proto in (fat(5000), fat(5000, pool=True), fat(5000, kept=4000)):
        program = qcompiler.compile(proto, calibration=data(proto, 8), target="loihi")
        seen.append(" ".join(node.result.name for node in program.graph.nodes))
    assert [":partial1" in names for names in seen] == [True, False, False]


def test_passes_run_once_for_limits_and_program(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    seen: list[str] = []
    quick = Standardize.__call__

    def counted(step: Standardize, graph: Graph) -> Graph:
        ran.append(step.name)
        return quick(step, graph)

    monkeypatch.setattr(Standardize, "__call__", counted)
    proto = fat(40)
    program = qcompiler.compile(
        proto,
        calibration=data(proto, 20),
        target="loihi",
        watch=lambda step, graph: seen.append(step.name),
    )
    assert ran == ["standardize"]
    steps = Pipeline.parse(program.manifest["pipeline"], find_pass)
    assert seen == [step.name for step in steps.passes]


def findings(chip: Chip, passes: str = "") -> list[str]:
    """What is told of a layer of 512 channels at one place behind one of 4."""
    backend = lava_target("narrow", chip)
    weights: dict[str, Any] = {"w": (64, 4), "s": ints(-1, 4, 1, 1), "v": (512, 4, 1, 1)}
    proto = model("float[N,64] x", "h = Gemm(x, w) k = Reshape(h, s) y = Conv(k, v)", **weights)
    steps = Pipeline.parse(passes or backend.pipeline, find_pass)
    found = exceeded_core_limits(import_model(proto).graph, steps, backend)
    return [finding.message for finding in found]


def test_axons_that_lead_to_many_cores_and_what_is_not_judged() -> None:
    few = replace(LOIHI_2, neurons_per_core=32, output_axons_per_core=15)
    (message,) = findings(few)
    assert message == "one neuron of %h needs at least 16 output axons, a core of Loihi 2 has 15"
    assert not findings(replace(few, output_axons_per_core=16))
    pruned = f"fold-linear,normalize,{__name__}:Prune,quantize"
    assert not findings(few, pruned) and findings(few, pruned.replace(f"{__name__}:Prune,", ""))


@dataclass(frozen=True)
class Prune(Pass):
    """A pass that might make the network smaller."""

    name: ClassVar[str] = "prune"

    def __call__(self, graph: Graph) -> Graph:
        return graph
