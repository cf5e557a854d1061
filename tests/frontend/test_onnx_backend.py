"""ONNX's own test cases: each is exact, or refused with a reason.

The first input of a case is the data; the others become initialisers, as in a trained model. What
joins values is tried with data in all of its inputs as well.
"""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnx.version_converter
import pytest
from onnx import numpy_helper

from qcompiler.frontend.import_model import import_model
from qcompiler.ir import InvalidModel, Tensor, UnsupportedModel, evaluate, verify

Array = np.ndarray[Any, Any]
Case = tuple[str, onnx.ModelProto, list[Any], list[Any], float, float]

_JOINS = {"Add", "Concat", "Div", "Einsum", "Gemm", "MatMul", "Mean", "Mul", "Sub", "Sum"}
_INFINITE = "holds NaN or infinite numbers"  # as masks of attention do
_HALF_A_LEVEL = 0.5001
_FLOAT32_SUMS = 2.0**-20  # of some ten numbers up to 8: numpy 2 transforms float32 as such
_BF16 = 2.0**-8  # what a cast to bfloat16 rounds, which is removed here


def node_cases() -> Iterator[Case]:
    """Cases of single operators, and of the functions that they are defined by."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        package: Any = importlib.import_module("onnx.backend.test.case.node")
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{module.name}")
    for case in package._NodeTestCases:
        for inputs, outputs in case.data_sets or ():
            yield case.name, case.model, inputs, outputs, case.rtol, case.atol


def model_cases() -> Iterator[Case]:
    """Cases that were exported from PyTorch, converted to an opset that is supported."""
    package = importlib.import_module("onnx.backend.test").__file__
    assert package is not None
    for kind in ("pytorch-operator", "pytorch-converted", "simple"):
        for path in sorted(Path(package).parent.glob(f"data/{kind}/*/model.onnx")):
            proto = onnx.load(path)
            if proto.opset_import[0].version < 7:
                proto = onnx.version_converter.convert_version(proto, 13)
            for folder in sorted(path.parent.glob("test_data_set_*")):
                try:
                    inputs, outputs = (_tensors(folder, what) for what in ("input", "output"))
                except Exception:  # sequences, which nothing here takes
                    continue
                yield path.parent.name, proto, inputs, outputs, 1e-3, 1e-7


def _tensors(folder: Path, what: str) -> list[onnx.TensorProto]:
    paths = sorted(folder.glob(f"{what}_*.pb"))
    return [onnx.TensorProto.FromString(path.read_bytes()) for path in paths]


def array(value: Any) -> Array:
    """A tensor of a case, however it is given."""
    if isinstance(value, onnx.TensorProto):
        value = numpy_helper.to_array(value)
    return np.asarray(value)


def batch_in_front(value: Array, axis: int | None) -> Array:
    """A tensor of the model as a batch of samples."""
    return value[None] if axis is None else np.moveaxis(value, axis, 0)


def batch_in_place(batch: Array, axis: int | None) -> Array:
    """A batch of samples as the model has it."""
    found: Array = batch[0] if axis is None else np.moveaxis(batch, 0, axis)
    return found


def input_names(model: onnx.ModelProto) -> list[str]:
    """Names of the inputs that no initialiser holds."""
    bound = {tensor.name for tensor in model.graph.initializer}
    return [value.name for value in model.graph.input if value.name not in bound]


def as_trained(case: Case, free: bool, data: int = 1) -> onnx.ModelProto:
    """The model of a case, with initialisers in place of all but the first ``data`` inputs.

    ``free`` leaves the batch size open.
    """
    _, original, inputs, *_ = case
    proto = onnx.ModelProto()
    proto.CopyFrom(original)
    for name, value in list(zip(input_names(original), inputs, strict=False))[data:]:
        if isinstance(value, np.ndarray | np.generic | onnx.TensorProto):
            proto.graph.initializer.append(numpy_helper.from_array(array(value), name))
    if free:
        for given in proto.graph.input[:data]:
            for dim in given.type.tensor_type.shape.dim[:1]:
                dim.dim_param = "batch"
    return proto


def run(case: Case, free: bool, data: int = 1) -> None:
    """Import a case, run it and compare; see `as_trained` for ``free`` and ``data``."""
    _, original, inputs, outputs, rtol, atol = case
    imported = import_model(as_trained(case, free, data), allow_products=True)
    graph, axes = imported.graph, imported.batch_axes
    verify(graph)
    named = dict(zip(input_names(original), map(array, inputs[:data]), strict=False))
    feeds = [batch_in_front(value, axes.get(name, 0)) for name, value in named.items()]
    found = evaluate(graph, *feeds)
    types = [node.result.type for node in graph.nodes]
    if any(isinstance(type_, Tensor) and type_.range for type_ in types):
        atol = max(atol, _HALF_A_LEVEL)  # codes are rounded where they become spikes
    if any(n.op_type in ("DFT", "STFT") for n in original.graph.node):
        atol = max(atol, _FLOAT32_SUMS)
    for name, batch, value in zip(graph.output_names, found, map(array, outputs), strict=True):
        one = batch_in_place(batch, axes.get(name, 0))
        if axes.get(name, 0) == 0:  # the batch axis may be joined with one behind it
            one = one.reshape(-1, *one.shape[one.ndim - value.ndim + 1 :])
        rounding = max(rtol, _BF16) if value.dtype.name == "bfloat16" else rtol
        assert one.shape == value.shape
        np.testing.assert_allclose(one.astype(np.float64), value.astype(np.float64), rounding, atol)


def joins(case: Case) -> bool:
    """Whether a case is tried with data in all of its inputs as well."""
    graph = case[1].graph
    return len(graph.input) > 1 and graph.node[0].op_type in _JOINS


class Attempt(NamedTuple):
    """A case that was run, and what it raised."""

    case: Case
    error: Exception | None


@cache
def attempts(cases: Callable[[], Iterator[Case]], free: bool) -> list[Attempt]:
    """Every case with data in its first input, and those of `joins` with data in all."""
    found = []
    for case in cases():
        given = len(case[1].graph.input)
        for data in [1, given] if joins(case) else [1] if given else []:
            found.append(Attempt(case, _raised(case, free, data)))
    return found


def _raised(case: Case, free: bool, data: int) -> Exception | None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            run(case, free, data)
        except Exception as error:
            return error.with_traceback(None)
    return None


@pytest.mark.parametrize(
    ("cases", "least", "free"),
    [
        pytest.param(node_cases, 580, False, id="node-batch fixed"),
        pytest.param(node_cases, 353, True, id="node-batch free", marks=pytest.mark.long),
        pytest.param(model_cases, 123, False, id="model-batch fixed"),
        pytest.param(model_cases, 104, True, id="model-batch free"),
    ],
)
def test_onnx_backend_cases(
    cases: Any, least: int, free: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    counts: Counter[str] = Counter()
    refusals: Counter[str] = Counter()
    failures = []
    for case, error in attempts(cases, free):
        if error is None:
            counts["passed"] += 1
        elif isinstance(error, UnsupportedModel | InvalidModel):
            first = error.diagnostics[0]
            if isinstance(error, InvalidModel) and _INFINITE not in first.message:
                counts["failed"] += 1
                failures.append(f"{case[0]}: {first.message}")
                continue
            counts["refused"] += 1
            refusals[first.message] += 1
        else:
            counts["failed"] += 1
            failures.append(f"{case[0]}: {type(error).__name__}: {str(error)[:400]}")
    with capsys.disabled():
        numbers = ", ".join(f"{counts[kind]} {kind}" for kind in ("passed", "refused", "failed"))
        print(f"\nONNX {cases.__name__}, batch {'free' if free else 'fixed'}: {numbers}")
    for reason, count in refusals.most_common():
        print(f"{count:5} refused: {reason}")
    assert not failures, "\n".join(failures)
    assert counts["passed"] >= least
