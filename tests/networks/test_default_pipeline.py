"""Every operator at default settings, between layers: it compiles, or is refused with a reason.

Importing is tested elsewhere; here passes see it, with calibration data, at every effort.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import Any
from zlib import crc32

import numpy as np
import onnx
import pytest

import qcompiler
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import CompileError, DataError, Graph, UnsupportedModel
from qcompiler.ir.ann import ArgMax, Softmax
from qcompiler.ir.prologue import split_prologue
from qcompiler.ir.types import size
from tests.frontend.test_onnx_backend import array, as_trained, joins, model_cases, node_cases
from tests.support.onnx_models import ints, model, run_onnx
from tests.support.operator_cases import CASES
from tests.support.spiking import same_spikes
from tests.support.surrounded import before_layers, behind_layers

# Which 24ths of the operators a part has; the first is short, and runs on every version of Python.
_PARTS = (range(1), range(1, 12), range(12, 24))
_SETTINGS = [("reference", 1), ("loihi", 1), ("reference", 0), ("loihi", 0), ("reference", 2)]
_MOST = 500  # elements of all tensors of a case
_ORDINARY = 1e4
_IMAGES = 40
# What random data may not be: beyond the domain of a logarithm, or too steep for weights.
_DATA = (DataError, UnsupportedModel)

_SUM = " s = ReduceSum<keepdims=0>(m, axis) "
_HEADS = (
    "c = Conv(x, w) h = Relu(c) a = Conv(h, u) ar = Reshape(a, rows)"
    " b = Conv<strides=[2,2]>(h, u) br = Reshape(b, rows) j = Concat<axis=2>(ar, br) "
)
# name: input, nodes
NETWORKS = {
    "distance": ("float[N,4] x", f"d = Sub(x, four) m = Mul(d, d){_SUM}y = Sqrt(s)"),
    "a number that gets a gain": (
        "float[N,4] x",
        f"m = Mul(x, four){_SUM}t = Mul(s, k) r = Relu(t) y = Add(r, k)",
    ),
    "functions of a number": (
        "float[N,4] x",
        f"m = Relu(x){_SUM}t = Tanh(s) g = Sigmoid(s) y = Add(t, g)",
    ),
    "a number before a layer": (
        "float[N,4] x",
        f"m = Mul(x, four){_SUM}t = Relu(s) e = Unsqueeze(t, axis) y = MatMul(e, out)",
    ),
    "heads that are split": (
        "float[N,3,4,4] x",
        _HEADS + "p, q = Split<axis=1>(j, sizes) t = Sigmoid(q) y = Concat<axis=1>(t, p)",
    ),
    "padded branches before a function": (
        "float[N,3,4,4] x",
        "c = Conv(x, w) a, b = Split<axis=1>(c, halves) ap = Pad(a, below) bp = Pad(b, above)"
        " s = Add(ap, bp) y = Tanh(s)",
    ),
    "a pooled branch before a function": (
        "float[N,3,4,4] x",
        "c = Conv(x, w) h = Relu(c) a = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1]>(h)"
        " b = Conv(x, w) s = Add(a, b) y = Sigmoid(s)",
    ),
}
WEIGHTS: dict[str, Any] = {
    **{"four": np.array([0.3, 0.2, 0.5, 0.6], np.float32), "axis": ints(1)},
    **{"k": np.float32(2.5), "out": (1, 3), "w": (4, 3, 1, 1), "u": (4, 4, 1, 1)},
    **{"rows": ints(0, 4, -1), "sizes": ints(3, 1), "halves": ints(2, 2)},
    **{"below": ints(0, 1, 0, 0, 0, 0, 1, 0), "above": ints(0, 0, 1, 0, 0, 1, 0, 0)},
}


def imported(part: int) -> Iterator[tuple[str, Graph, list[float]]]:
    """ONNX's own cases and ours, if they are imported: with the size of the numbers of inputs."""
    for case in chain(node_cases(), model_cases()):
        if not _belongs(case[0].removeprefix("test_").partition("_")[0], part):
            continue
        if "_expanded" in case[0]:
            continue  # the operators that it consists of have cases of their own
        if sum(np.size(value) for value in case[3] if isinstance(value, np.ndarray)) > _MOST:
            continue  # importing it takes long, too
        given = len(case[1].graph.input)
        for data in [1, given] if joins(case) else [1] if given else []:
            sizes = [_largest(value) for value in case[2][:data]]
            graphs = (_imported(as_trained(case, free, data)) for free in (True, False))
            if graph := next(filter(None, graphs), None):
                yield case[0], graph, sizes
    for name, one in CASES.items():
        if not _belongs(name, part):
            continue
        opset = max(one.oldest, min(one.newest, 17))
        if graph := _imported(model(one.inputs, one.body, opset, **one.weights)):
            yield name, graph, [1.0]


def _belongs(name: str, part: int) -> bool:
    return crc32(name.encode()) % 24 in _PARTS[part]


def _imported(proto: onnx.ModelProto) -> Graph | None:
    try:
        return import_model(proto, allow_products=True).graph
    except CompileError:
        return None


def _largest(value: Any) -> float:
    """The largest magnitude of real numbers, if it is an ordinary one; else 1."""
    if not isinstance(value, np.ndarray | np.generic | onnx.TensorProto):
        return 1.0
    numbers = array(value)
    if numbers.dtype.kind not in "fiu":
        return 1.0
    found = float(np.abs(numbers.astype(np.float64)).max(initial=0))
    return found if 0 < found < _ORDINARY else 1.0


def networks(part: int) -> dict[str, Graph]:
    """A network around every operator that is imported, one for those that differ in attributes."""
    found: dict[str, Graph] = {}
    seen: set[tuple[Any, ...]] = set()
    for name, graph, sizes in imported(part):
        values = [*graph.inputs, *(node.result for node in graph.nodes)]
        if not graph.nodes or sum(size(v.type) for v in values) > _MOST:
            continue
        operators = tuple((type(node.op), getattr(node.op, "formula", "")) for node in graph.nodes)
        if operators in seen:
            continue
        seen.add(operators)
        if split_prologue(graph)[0] is not None:
            continue  # of indices, which no layer gives
        graph = behind_layers(graph, sizes)
        ends = any(isinstance(node.op, Softmax | ArgMax) for node in graph.nodes)
        found[name] = graph if ends else before_layers(graph)
    return found


@pytest.mark.parametrize(
    "part", [0, *(pytest.param(part, marks=pytest.mark.long) for part in range(1, len(_PARTS)))]
)
def test_operators_between_layers(part: int) -> None:
    rng = np.random.default_rng(part)
    failures, refused, compiled = [], Counter[type[CompileError]](), 0
    for index, (name, graph) in enumerate(networks(part).items()):
        target, effort = _SETTINGS[index % len(_SETTINGS)]
        data = {
            value.name: rng.standard_normal((_IMAGES, *value.type.shape)).astype(np.float32)
            for value in graph.inputs
        }
        try:
            program = qcompiler.compile(graph, target=target, calibration=data, effort=effort)
            program.report()
            same_spikes(program, "fast", *(x[:2] for x in data.values()))
            compiled += 1
        except _DATA as error:
            refused[type(error)] += 1
        except Exception as error:
            failures.append(
                f"{name} for {target}, effort {effort}: {type(error).__name__}: {error}"
            )
    assert not failures, "\n".join(failures)
    assert all(count < 0.1 * compiled for count in refused.values())


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("target", "effort"), [("reference", 1), ("loihi", 1), ("reference", 0)])
def test_network(name: str, target: str, effort: int) -> None:
    inputs, body = NETWORKS[name]
    words = set(body.replace("(", " ").replace(")", " ").replace(",", " ").split())
    given = {key: value for key, value in WEIGHTS.items() if key in words}
    proto = model(inputs, body, 13, **given)
    shape = [int(size) for size in inputs[: inputs.index("]")].split(",")[1:]]
    batch = np.random.default_rng(4).uniform(0, 1, (60, *shape)).astype(np.float32)
    program = qcompiler.compile(
        proto, target=target, calibration=batch, effort=effort, t_max=64, allow_products=True
    )
    assert program.report().neurons
    found, (wanted,) = np.asarray(program.run(batch)), run_onnx(proto, {"x": batch})
    assert found.shape == wanted.shape
    missed = np.square(found - wanted).sum() / np.square(wanted - wanted.mean()).sum()
    assert missed <= 0.05  # of the variance, as for trained networks
    same_spikes(program, "fast", batch[:2])
