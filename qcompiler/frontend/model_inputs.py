"""What is known of a model before its nodes: its opset, its inputs and its constants."""

from __future__ import annotations

from collections.abc import Collection

import onnx

from qcompiler.frontend.model.node_context import AbstractValue, Refused, Scope, Unknown
from qcompiler.frontend.model.onnx_file import Model
from qcompiler.frontend.model.onnx_tensor import INTEGERS
from qcompiler.ir import InvalidModel, Tensor

from .model_graph import input_shape
from .node_report import NodeReport
from .preprocessing import Preprocessing
from .unbatched import is_unbatched

_OLDEST = 7
_NARROW = 255  # the largest number of a type whose range is taken for that of the data
_INTEGERS = "the model takes the raw integers: leave out means and scales"


def opset_of(model: Model, report: NodeReport) -> int:
    """The opset to read a model by; InvalidModel if it names none."""
    newest = onnx.defs.onnx_opset_version()
    if (opset := model.opset) is None and _foreign(model):
        return newest
    if opset is None:
        raise InvalidModel(f"{model.file}: the model states no opset")
    if not _OLDEST <= opset <= newest:
        reason = f"the model uses opset {opset}; supported are {_OLDEST} to {newest}"
        help_ = "convert it with onnx.version_converter.convert_version, or export it again"
        report.refuse(model.file, "(model)", reason, help_)
    return min(max(opset, _OLDEST), newest)


def _foreign(model: Model) -> bool:
    """Whether all nodes are of other domains, which are refused by name."""
    return bool(model.graph.node) and all(node.domain for node in model.graph.node)


def declare_inputs(
    model: Model,
    preprocessing: Preprocessing,
    scope: Scope,
    report: NodeReport,
    used: Collection[str],
) -> dict[str, AbstractValue]:
    """Declare the inputs that are used, behind preprocessing, and add what is known from the start.

    An input of integers is declared with the range of its type, if that is narrow.
    """
    shapes, items = _shapes(model, scope, report, used), dict[str, AbstractValue]()
    kinds = {value.name: value.type.tensor_type.elem_type for value in model.graph.input}
    for value in model.graph.input:
        if value.name not in model.arrays and value.name in used:
            items[value.name] = Unknown(data=True)
    for name, shape in shapes.items():
        try:
            if len(shapes) > 1 and preprocessing.active:
                raise Refused("preprocessing is only supported for models with one input")
            if kinds[name] not in INTEGERS:
                raw = scope.builder.input(name, Tensor(shape))
                items[name] = preprocessing.compile(scope, raw)
                continue
            if preprocessing.active:
                raise Refused(f'preprocessing of input "{name}" gives no integers', _INTEGERS)
            low, high = INTEGERS[kinds[name]]
            bounds = (float(low), float(high)) if high <= _NARROW else None
            whole = scope.builder.input(name, Tensor(shape, range=bounds))
            scope.kinds[whole.name] = kinds[name]
            items[name] = whole
        except Refused as refused:
            _refuse(report, name, refused)
    for name, array in model.arrays.items():
        items[name] = scope.known(array, name)
    for sparse in model.graph.sparse_initializer:
        name = sparse.values.name
        items[name] = Unknown(data=True)
        _refuse(report, name, Refused(f'sparse tensor "{name}" is not supported'))
    return items


def _shapes(
    model: Model, scope: Scope, report: NodeReport, used: Collection[str]
) -> dict[str, tuple[int, ...]]:
    """The shape of one sample of every used input; what is known of the batch goes to the scope."""
    found: dict[str, tuple[int | None, tuple[int, ...]]] = {}
    for value in model.graph.input:
        if value.name in model.arrays or value.name not in used:
            continue
        try:
            found[value.name] = input_shape(value)
        except Refused as refused:
            _refuse(report, value.name, refused)
    try:
        given = (value for value in model.graph.input if value.name in found)
        scope.unbatched = is_unbatched(given)
    except Refused as refused:
        _refuse(report, "", refused)
    batches = {batch for batch, _ in found.values() if batch is not None}
    if len(batches) > 1:
        _refuse(report, "", Refused(f"inputs have different batch sizes {sorted(batches)}"))
    elif batches:
        scope.probes = tuple(batches)
    return {name: shape for name, (_, shape) in found.items()}


def _refuse(report: NodeReport, name: str, refused: Refused) -> None:
    report.refuse(name, "(input)", refused.reason, refused.help)
