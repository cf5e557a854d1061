"""Encoders of categories, imputers and labels of scikit-learn's pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

import qcompiler
from qcompiler.frontend.import_model import check_model, import_model
from qcompiler.ir import UnsupportedModel, evaluate, parse, show
from tests.support.onnx_models import run_onnx

ML = "ai.onnx.ml"
Array = NDArray[Any]


def node(op_type: str, reads: str, writes: str, **attributes: Any) -> onnx.NodeProto:
    """A node of scikit-learn's domain, or, for casts and layers, of ONNX's own."""
    domain = "" if op_type in ("Cast", "Concat", "MatMul", "Relu") else ML
    names = reads.split(), writes.split()
    return helper.make_node(op_type, *names, name=op_type, domain=domain, **attributes)


def model(
    nodes: list[onnx.NodeProto], kind: int = TensorProto.FLOAT, width: int = 1, **weights: Array
) -> onnx.ModelProto:
    """A model of one input ``x``, whose last node gives the outputs."""
    given = helper.make_tensor_value_info("x", kind, [None, width])
    outputs = [helper.make_tensor_value_info(name, 0, None) for name in nodes[-1].output]
    for output in outputs:
        output.ClearField("type")
    held = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "table", [given], outputs, held)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(ML, 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def one_hot(*categories: int, reads: str = "x") -> onnx.NodeProto:
    return node("OneHotEncoder", reads, "y", cats_int64s=categories, zeros=1)


def expect(proto: onnx.ModelProto, x: Array) -> None:
    """The imported graph gives what onnxruntime does."""
    integers = proto.graph.input[0].type.tensor_type.elem_type == TensorProto.INT64
    wanted = run_onnx(proto, {"x": x.astype(np.int64 if integers else np.float32)})
    found = evaluate(import_model(proto).graph, x.astype(np.float32))
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


STRINGS = numpy_helper.from_array(np.array(["a", "b"], object))
CATEGORIES = {"in a row": (0, 1, 2, 3), "apart": (9, 1, 5, 2), "below zero": (-3, 0), "one": (7,)}
KINDS = (TensorProto.FLOAT, TensorProto.INT64)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CATEGORIES)
def test_one_hot_is_exact_for_integers_without_a_category_too(name: str, kind: int) -> None:
    expect(model([one_hot(*CATEGORIES[name])], kind), np.arange(-6, 13)[:, None])


def test_one_hot_of_several_elements_and_behind_a_cast() -> None:
    x = np.random.default_rng(0).integers(-1, 5, (30, 3))
    expect(model([one_hot(0, 1, 3)], width=3), x)
    cast = node("Cast", "x", "i", to=TensorProto.INT64)
    expect(model([cast, one_hot(0, 1, 3, reads="i")], width=3), x)


def test_categories_far_apart_have_steps_half_way() -> None:
    keys = (10_000, 10_700, 12_100)
    proto = model([one_hot(*keys)])
    near = np.array([[key + off] for key in keys for off in (-150, 0, 150)], np.float32)
    (found,) = evaluate(import_model(proto).graph, near)
    np.testing.assert_allclose(found[:, 0], np.repeat(np.eye(3), 3, axis=0), atol=1e-3)


ENCODERS: dict[str, dict[str, Any]] = {
    "integers": {"keys_int64s": (0, 2, 5), "values_int64s": (2, 0, 1), "default_int64": -1},
    "real numbers": {"keys_floats": (0.5, 1.0, 4.0), "values_floats": (2.0, 0.0, 1.0)},
    "to real numbers": {"keys_int64s": (3, 1), "values_floats": (0.5, 2), "default_float": 9.0},
    "a key twice": {"keys_int64s": (3, 1, 3), "values_floats": (0.5, 2.0, 4.0)},
}


@pytest.mark.parametrize("name", ENCODERS)
def test_label_encoder(name: str) -> None:
    attributes = ENCODERS[name]
    whole = "values_int64s" in attributes
    kind = TensorProto.INT64 if "keys_int64s" in attributes else TensorProto.FLOAT
    nodes = [node("LabelEncoder", "x", "c" if whole else "y", **attributes)]
    nodes += [node("Cast", "c", "y", to=TensorProto.FLOAT)] if whole else []
    keys = [*next(iter(attributes.values())), 7, 8]
    expect(model(nodes, kind), np.array(keys)[:, None])


def test_label_encoder_of_tensors() -> None:
    tensors = {"keys": np.array([3, 1]), "values": np.array([0.5, 2.0]), "default": np.array([9.0])}
    for dtype, kind in ((np.float32, TensorProto.FLOAT), (np.int64, TensorProto.INT64)):
        tensors["keys"] = tensors["keys"].astype(dtype)
        attributes = {
            f"{name}_tensor": numpy_helper.from_array(
                array if name == "keys" else array.astype(np.float32)
            )
            for name, array in tensors.items()
        }
        proto = model([node("LabelEncoder", "x", "y", **attributes)], kind)
        proto.opset_import[1].version = 4
        expect(proto, np.arange(6)[:, None])


@pytest.mark.parametrize("threshold", [0.0, 1.5])
def test_binarizer_is_a_step(threshold: float) -> None:
    proto = model([node("Binarizer", "x", "y", threshold=threshold)], width=2)
    expect(proto, np.array([[0, 1.5], [-1, 2], [1, 1.25]]))


@pytest.mark.parametrize(("kind", "last"), [(TensorProto.FLOAT, 0.25), (TensorProto.INT64, 2)])
@pytest.mark.parametrize("norm", ["L1", "L2"])
def test_normalizer_is_a_product(norm: str, kind: int, last: float) -> None:
    proto = model([node("Normalizer", "x", "y", norm=norm)], kind, width=3)
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    x = np.array([[0, 0, 0], [-3, 1, 2], [1, last, 5]], dtype)
    (found,) = evaluate(import_model(proto, None, True).graph, x)
    np.testing.assert_allclose(found, run_onnx(proto, {"x": x})[0], atol=1e-6)


def test_a_row_of_zeros_costs_a_normalizer_no_accuracy() -> None:
    proto = model([node("Normalizer", "x", "y", norm="L1")], width=3)
    x = np.random.default_rng(3).uniform(0.2, 2, (100, 3)).astype(np.float32)
    none = np.zeros((1, 3), np.float32)
    errors = []
    for data in (x, np.concatenate((x, none))):
        program = qcompiler.compile(
            proto, target="reference", calibration=data, t_max=64, allow_products=True
        )
        errors.append(np.sqrt(np.mean((program.run(x) - run_onnx(proto, {"x": x})[0]) ** 2)))
    assert not np.any(program.run(none))
    assert errors[1] < 1.2 * errors[0]  # the first segment is wider, from 0 on


@pytest.mark.parametrize("indices", [[2, 0], [[2, 0]]])
def test_columns_are_extracted(indices: list[Any]) -> None:
    proto = model([node("ArrayFeatureExtractor", "x i", "y")], width=4, i=np.array(indices))
    expect(proto, np.arange(8).reshape(2, 4))


def test_one_hot_compiles_to_levels_that_are_exact() -> None:
    weight = np.random.default_rng(1).standard_normal((4, 3)).astype(np.float32)
    flat = helper.make_node("Reshape", ["y", "shape"], ["f"], name="Reshape")
    nodes = [one_hot(1, 2, 5, 9), flat, node("MatMul", "f w", "z")]
    proto = model(nodes, TensorProto.INT64, w=weight, shape=np.array([-1, 4]))
    x = np.repeat([1, 2, 5, 9], 20)[:, None]
    program = qcompiler.compile(proto, target="reference", calibration=x)
    (wanted,) = run_onnx(proto, {"x": x})
    step = (wanted.max() - min(wanted.min(), 0)) / 63
    assert np.abs(program.run(x) - wanted).max() <= step
    kinds = [row.kind for row in program.report().populations]
    assert len(kinds) - kinds.count("input") == 3  # steps, and two pieces of the layer


def test_sigmoids_take_no_levels_from_the_label() -> None:
    """The label is the largest score, also where its sigmoids saturate."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((800, 4)).astype(np.float32)
    given: dict[str, Any] = {
        "coefficients": 20 * rng.standard_normal(12),
        "intercepts": 20 * rng.standard_normal(3),
    }
    right = {}
    for post in ("NONE", "LOGISTIC"):
        given |= {"classlabels_ints": (0, 1, 2), "post_transform": post}
        proto = model([node("LinearClassifier", "x", "label scores", **given)], width=4)
        expect(proto, x)
        wanted, _ = run_onnx(proto, {"x": x})
        program = qcompiler.compile(proto, target="reference", calibration=x[:200], t_max=16)
        right[post] = np.mean(program.run(x)[0] == wanted)
        assert not program.warnings  # neither output errs beyond what its levels explain
    assert right["LOGISTIC"] >= right["NONE"] - 0.01  # eight frames


def test_labels_are_looked_up_on_the_host(tmp_path: Path) -> None:
    weight = np.random.default_rng(2).standard_normal((3, 4)).astype(np.float32)
    classifier = node(
        "LinearClassifier",
        "x",
        "label scores",
        classlabels_ints=(-1, 4, 10),
        coefficients=weight.ravel().tolist(),
        intercepts=(0.1, 0.0, -0.1),
    )
    proto = model([classifier], width=4)
    x = np.random.default_rng(3).standard_normal((50, 4)).astype(np.float32)
    expect(proto, x)
    graph = import_model(proto).graph
    constants = {constant.name: constant.data for constant in graph.constants}
    assert show(parse(show(graph), constants)) == show(graph)
    program = qcompiler.compile(proto, target="reference", calibration=x)
    program.save(tmp_path / "p")
    label, scores = qcompiler.load(tmp_path / "p").run(x)
    np.testing.assert_array_equal(label, np.array([-1, 4, 10])[scores.argmax(axis=1)])


def classifiers(between: list[onnx.NodeProto], reads: str) -> onnx.ModelProto:
    """A classifier, nodes that read its probabilities, and a classifier that reads theirs."""
    numbers = [0.5, -1.0, 1.0, 0.5, -0.5, 2.0, 1.0, 1.0, -2.0]
    given = {"coefficients": numbers, "intercepts": [0.1, 0.0, 0.2], "classlabels_ints": [0, 1, 2]}
    first = node("LinearClassifier", "x", "l p", post_transform="SOFTMAX", **given)
    last = node("LinearClassifier", reads, "label y", post_transform="NONE", **given)
    last.name = "last"
    return model([first, *between, last], width=3)


def test_a_classifier_behind_probabilities_reads_spikes() -> None:
    """As StackingClassifier is exported."""
    proto = classifiers([], "p")
    x = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
    kinds = {one.name: one.kind for one in check_model(proto)}
    assert kinds == {"LinearClassifier": "compiled", "last": "host"}
    program = qcompiler.compile(proto, target="reference", calibration=x, t_max=64)
    label, scores = run_onnx(proto, {"x": x})
    found, ours = program.run(x)
    assert np.abs(ours - scores).max() < 0.1 * np.ptp(scores)
    assert np.mean(found == label) > 0.9


def test_what_reads_scores_of_a_classifier_reads_spikes() -> None:
    """As CalibratedClassifierCV is exported: a layer, and functions of its scores."""
    given = {"coefficients": [0.5, -1.0, -0.5, 1.0], "intercepts": [0.1, -0.1]}
    first = node("LinearClassifier", "x", "l s", classlabels_ints=[0, 1], **given)
    take = node("ArrayFeatureExtractor", "s i", "t")
    proto = model([first, take, helper.make_node("Sigmoid", ["t"], ["y"], "last")], width=2)
    proto.graph.initializer.append(numpy_helper.from_array(np.array([1]), "i"))
    x = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    assert {one.kind for one in check_model(proto)} == {"compiled"}
    expect(proto, x)
    program = qcompiler.compile(proto, target="reference", calibration=x, t_max=64)
    (wanted,) = run_onnx(proto, {"x": x})
    assert np.abs(program.run(x) - wanted).max() < 0.05


def test_a_classifier_behind_an_index_is_refused_by_the_check() -> None:
    cast = node("Cast", "i", "c", to=TensorProto.FLOAT)
    index = helper.make_node("ArgMax", ["p"], ["i"], "index", axis=1)
    proto = classifiers([index, cast, node("Concat", "c c c", "k", axis=1)], "k")
    refused = [one for one in check_model(proto) if one.kind == "refused"]
    assert [one.name for one in refused] == ["index"]
    assert "inside the network" in (refused[0].reason or "")


def test_imputer_has_nothing_to_do() -> None:
    imputer = node("Imputer", "x", "i", imputed_value_floats=[1.0], replaced_value_float=np.nan)
    expect(model([imputer, node("Relu", "i", "y")]), np.arange(-2, 3)[:, None])


CAST = node("Cast", "x", "i", to=TensorProto.INT64)
REFUSED: dict[str, tuple[list[onnx.NodeProto], str, str]] = {
    "strings": (
        [node("OneHotEncoder", "x", "y", cats_strings=["a", "b"])],
        "OneHotEncoder of strings",
        "OrdinalEncoder",
    ),
    "strings as values": (
        [node("LabelEncoder", "x", "y", keys_floats=[1.0], values_strings=["a"])],
        "LabelEncoder of strings",
        "OrdinalEncoder",
    ),
    "many": ([one_hot(*range(3000))], "3000 categories", "merge rare categories"),
    "sentinel": (
        [node("Imputer", "x", "y", imputed_value_floats=[1.0], replaced_value_float=-1.0)],
        "Imputer of other values than NaN",
        "outside the network",
    ),
    "truncated": (
        [CAST, node("Cast", "i", "y", to=TensorProto.FLOAT)],
        "real numbers cast to integers",
        "decoded outputs",
    ),
    "string labels": (
        [
            node(
                "LinearClassifier",
                "x",
                "y z",
                classlabels_strings=["a", "b"],
                coefficients=[1.0, -1.0],
                intercepts=[0.0, 0.0],
            )
        ],
        "labels that are strings",
        "'nocl': True",
    ),
    "labels of a network": (
        [
            helper.make_node("ArgMax", ["x"], ["i"], name="i", axis=1, keepdims=0),
            node("ArrayFeatureExtractor", "names i", "y"),
        ],
        "labels that are strings",
        "LabelEncoder",
    ),
    "transformed": (
        [node("LinearRegressor", "x", "y", coefficients=[1.0], post_transform="SOFTMAX")],
        "LinearRegressor with post_transform SOFTMAX",
        "set its post_transform to NONE",
    ),
    "several labels": (
        [node("Binarizer", "x", "b", threshold=0.5), node("Cast", "b", "y", to=TensorProto.INT64)],
        "Cast to integers is not supported at an output",
        "end the model before the cast",
    ),
    "tensors of strings": (
        [node("LabelEncoder", "x", "y", keys_tensor=STRINGS, values_tensor=STRINGS)],
        "LabelEncoder of strings",
        "map strings to integers",
    ),
    "neighbours": (
        [
            helper.make_node("TopK", ["x", "k"], ["v", "i"]),
            node("ArrayFeatureExtractor", "k i", "y"),
        ],
        "ArrayFeatureExtractor is only supported for one label",
        "in place of KNeighborsClassifier",
    ),
    "bins": (
        [
            helper.make_node("ArgMax", ["x"], ["i"], "bins", axis=1),
            node("Cast", "i", "c", to=TensorProto.FLOAT),
            node("Relu", "c", "y"),
        ],
        "ArgMax inside the network",
        "in front of the network, apply it to the inputs, and export the rest",
    ),
    "samples": ([node("Normalizer", "x", "y", norm="L2")], "after a softmax", "outside the"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    nodes, reason, help_ = REFUSED[name]
    width = 3 if name in ("neighbours", "bins") else 1
    with pytest.raises(UnsupportedModel) as caught:
        import_model(model(nodes, 1, width, names=np.array(["a", "b"]), k=np.array([2])))
    (finding,) = caught.value.diagnostics
    assert reason in finding.message and finding.nodes
    assert help_ in (finding.help or "")
