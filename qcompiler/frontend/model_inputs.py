"""What is known of a model before its nodes: its opset, its inputs and its constants."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import onnx

from qcompiler.frontend.model.folding_limits import beyond
from qcompiler.frontend.model.node_errors import Refused
from qcompiler.frontend.model.onnx_file import Model
from qcompiler.frontend.model.onnx_tensor import INTEGERS
from qcompiler.frontend.model.placement import Placement
from qcompiler.frontend.model.scope import AbstractValue, Scope, Unknown
from qcompiler.ir import InvalidModel, Range, Tensor, Value

from .input_axes import Axes, readings, sample_shape, with_shapes
from .model_graph import input_axes, sequences_of
from .node_report import NodeReport
from .preprocessing import Preprocessing

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


@dataclass(frozen=True)
class InputShapes:
    """How inputs are read: the axes that the user states, and which of the readings is tried."""

    stated: Mapping[str, Axes] = field(default_factory=dict)
    attempt: int = 0


def declare_inputs(
    model: Model,
    shapes: InputShapes,
    preprocessing: Preprocessing,
    scope: Scope,
    report: NodeReport,
    used: Collection[str],
) -> tuple[dict[str, AbstractValue], int]:
    """Declare the inputs that are used, behind preprocessing, and add what is known from the start.

    An input of integers is declared with the range of its type, if that is narrow. Also returns how
    many ways there are to read the shapes of the inputs.
    """
    kinds = {value.name: value.type.tensor_type.elem_type for value in model.graph.input}
    names = [name for name in kinds if name not in model.arrays and name in used]
    items: dict[str, AbstractValue] = dict.fromkeys(names, Unknown(data=True))
    axes = _axes(model, shapes, report, used)
    stated = tuple(name for name in shapes.stated if name in axes)
    ways = readings(axes, stated, sequences_of(model.graph))
    reading = ways[min(shapes.attempt, len(ways) - 1)]
    if reading.batch is not None:
        scope.probes = (reading.batch,)
    for name, place in reading.places.items():
        try:
            value = items[name] = _declared(name, axes[name], place, kinds[name], scope)
            if len(axes) > 1 and preprocessing.active:
                raise Refused("preprocessing is only supported for models with one input")
            items[name] = prepared = _prepared(kinds[name], value, preprocessing, scope)
            scope.batch_axis |= {found.name: place for found in (value, prepared)}
        except Refused as refused:
            _refuse(report, name, refused)
    for name, array in model.arrays.items():
        items[name] = scope.known(array, name)
    for sparse in model.graph.sparse_initializer:
        name = sparse.values.name
        items[name] = Unknown(data=True)
        what = f'sparse tensor "{name}" is not supported'
        _refuse(report, name, Refused(what, "export its weights as a dense initializer"))
    return items, len(ways)


def _prepared(kind: int, value: Value, preprocessing: Preprocessing, scope: Scope) -> Value:
    """An input behind preprocessing; one of integers has none."""
    if kind not in INTEGERS:
        return preprocessing.compile(scope, value)
    scope.kinds[value.name] = kind
    if preprocessing.active:
        raise Refused(f'preprocessing of input "{value.name}" gives no integers', _INTEGERS)
    return value


def _axes(
    model: Model, shapes: InputShapes, report: NodeReport, used: Collection[str]
) -> dict[str, Axes]:
    """The axes of every used input that is not refused."""
    found: dict[str, Axes] = {}
    for value in model.graph.input:
        if value.name in model.arrays or value.name not in used:
            continue
        try:
            found[value.name] = input_axes(value)
        except Refused as refused:
            _refuse(report, value.name, refused)
    names = [value.name for value in model.graph.input if value.name not in model.arrays]
    for name in shapes.stated:
        if name not in names:
            known = ", ".join(names)
            raise InvalidModel(f'the model has no input "{name}": its inputs are {known}')
    stated = {name: axes for name, axes in shapes.stated.items() if name in found}
    found = with_shapes(found, stated)
    for name in [name for name, axes in found.items() if not axes]:
        del found[name]
        help_ = f"state it, such as --input-shape {name}=N,3,224,224 for images"
        _refuse(report, name, Refused(f'input "{name}" has no shape', help_))
    return found


def _declared(name: str, axes: Axes, place: Placement, kind: int, scope: Scope) -> Value:
    shape = sample_shape(name, axes, place)
    if too_much := beyond(shape):
        raise Refused(f'input "{name}" has {too_much}')
    return scope.builder.input(name, Tensor(shape, range=_narrow_range(kind)))


def _narrow_range(kind: int) -> Range | None:
    """The range of a type of few integers."""
    low, high = INTEGERS.get(kind, (0, _NARROW + 1))
    return (float(low), float(high)) if high <= _NARROW else None


def _refuse(report: NodeReport, name: str, refused: Refused) -> None:
    report.refuse(name, "(input)", refused.reason, refused.help)
