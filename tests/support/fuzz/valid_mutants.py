"""Models that are valid again after they were changed: other nodes, weights, attributes, opsets.

A mutant is a function of its seed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from tests.support.onnx_models import model
from tests.support.operator_cases import CASES, FLAT, IMAGE

# Elementwise operators, which fit between any two nodes; o, h and n are constants.
_BETWEEN = (
    *("Relu", "Sigmoid", "Tanh", "Neg", "Abs", "Softplus", "LeakyRelu", "Elu", "HardSigmoid"),
    *("Exp", "Identity", "Selu", "Softsign", "Erf", "Sqrt", "Reciprocal", "Log", "Sign", "Floor"),
    *("Add h", "Sub h", "Mul h", "Mul n", "Div n", "Max h", "Min h", "Max n", "Min n", "Add o"),
)
_CONSTANTS = {"o": 1.0, "h": 0.5, "n": -2.0}
_SCALES = (0.0, -1.0, 1e-3, 0.1, 3.0, 10.0, 100.0)
_NETWORKS = (
    (
        IMAGE,
        "c = Conv<pads=[1,1,1,1]>(x, w, b) r = Relu(c)"
        " p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r) f = Flatten(p) y = Gemm(f, v)",
        {"w": (4, 3, 3, 3), "b": (4,), "v": (64, 5)},
    ),
    (
        FLAT,
        "h = Gemm(x, w) k = Sigmoid(h) a = Concat<axis=1>(h, k) l = Gemm(a, v) r = Relu(l)"
        " s = Add(r, a) y = Gemm(s, u)",
        {"w": (6, 5), "v": (10, 10), "u": (10, 3)},
    ),
    (
        IMAGE,
        "c = Conv<pads=[1,1,1,1]>(x, w) r = Relu(c) d = Conv<pads=[1,1,1,1], group=4>(r, g)"
        " s = Add(r, d) t = Clip(s, z, k) q = GlobalAveragePool(t) f = Flatten(q) y = Gemm(f, v)",
        {
            "w": (4, 3, 3, 3),
            "g": (4, 1, 3, 3),
            "v": (4, 4),
            "z": np.float32(0),
            "k": np.float32(2),
        },
    ),
)


def mutant(seed: int) -> onnx.ModelProto:
    """A model for a seed; valid by onnx's checker, unless a change makes it fail there."""
    chance = random.Random(seed)
    proto = _base(chance)
    for _ in range(chance.choice((0, 1, 1, 2, 3))):
        found = changed(chance, proto.SerializeToString())
        proto = proto if found is None else onnx.ModelProto.FromString(found)
    return proto


def changed(chance: random.Random, content: bytes) -> bytes | None:
    """The model with one change; None if it is none, or not valid afterwards."""
    try:
        proto = onnx.ModelProto.FromString(content)
        chance.choice((_insert, _insert, _insert, _rescale, _attribute, _opset))(chance, proto)
        onnx.checker.check_model(proto)
        onnx.shape_inference.infer_shapes(proto, check_type=True, strict_mode=True)
    except Exception:  # of kinds that depend on the version of onnx
        return None
    found: bytes = proto.SerializeToString()
    return found


def _base(chance: random.Random) -> onnx.ModelProto:
    if chance.random() < 0.5:
        inputs, body, weights = chance.choice(_NETWORKS)
        return model(inputs, body, chance.choice((13, 17, 18)), **weights)
    one = CASES[chance.choice(sorted(CASES))]
    opsets = [opset for opset in (9, 11, 13, 17, 18) if one.oldest <= opset <= one.newest]
    return model(one.inputs, one.body, (opsets or [one.oldest])[-1], **one.weights)


def _insert(chance: random.Random, proto: onnx.ModelProto) -> None:
    """Put an elementwise operator behind an input or a result, for all or for the output."""
    graph = proto.graph
    floats = [*(one.name for one in graph.input), *(n.output[0] for n in graph.node if n.output)]
    name, made = chance.choice(floats), f"mutant{len(graph.node)}"
    operator, _, constant = chance.choice(_BETWEEN).partition(" ")
    at = next((i + 1 for i, node in enumerate(graph.node) if name in node.output), 0)
    outputs = {one.name for one in graph.output}
    source = name
    if name in outputs:
        source = f"{made}_before"
        graph.node[at - 1].output[list(graph.node[at - 1].output).index(name)] = source
        made = name
    for node in graph.node:
        for place, read in enumerate(node.input):
            if read == name and name not in outputs:
                node.input[place] = made
            elif read == name:
                node.input[place] = source
    inputs = [source]
    if constant:
        inputs.append(f"constant_{constant}")
        if inputs[-1] not in {one.name for one in graph.initializer}:
            value = np.array(_CONSTANTS[constant], np.float32)
            graph.initializer.append(numpy_helper.from_array(value, inputs[-1]))
    graph.node.insert(at, helper.make_node(operator, inputs, [made], name=f"{made}_node"))


def _rescale(chance: random.Random, proto: onnx.ModelProto) -> None:
    """Multiply the weights of a layer, or those of one channel."""
    floats = [one for one in proto.graph.initializer if one.data_type == TensorProto.FLOAT]
    if not floats:
        return
    one = chance.choice(floats)
    array = numpy_helper.to_array(one).copy()
    place = ... if array.ndim == 0 or chance.random() < 0.5 else chance.randrange(len(array))
    array[place] = array[place] * np.float32(chance.choice(_SCALES))
    one.CopyFrom(numpy_helper.from_array(array, one.name))


def _attributes(proto: onnx.ModelProto) -> Iterator[AttributeProto]:
    for node in proto.graph.node:
        yield from node.attribute


def _attribute(chance: random.Random, proto: onnx.ModelProto) -> None:
    """Change a number in an attribute."""
    if not (known := list(_attributes(proto))):
        return
    one = chance.choice(known)
    if one.type == AttributeProto.INT:
        one.i += chance.choice((-1, 1, 2))
    elif one.type == AttributeProto.FLOAT:
        one.f *= chance.choice((-1.0, 0.0, 2.0, 0.5))
    elif one.type == AttributeProto.INTS and one.ints:
        one.ints[chance.randrange(len(one.ints))] += chance.choice((-1, 1))


def _opset(chance: random.Random, proto: onnx.ModelProto) -> None:
    proto.opset_import[0].version = chance.choice((11, 13, 15, 17, 18, 20))
