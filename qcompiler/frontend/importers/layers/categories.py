"""Importers of encoders of categories: numbers, one of a few, become others.

A category is one of a list of keys. Between keys an encoder is linear in what the network computes:

    step(b) = clip((x - b) / d, 0, 1),   x is the key k:   step(k - d) - step(k)

with d the smallest distance of two keys, at most 1: exact for integers, those without a key too.
Keys that are spread too far for a level each get steps half way between the nearest of them.
"""

from __future__ import annotations

from math import prod

import numpy as np
from onnx import TensorProto

from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.frontend.model.onnx_tensor import Array, TensorReader
from qcompiler.ir import Tensor, Value
from qcompiler.ir.ann import Affine, Clip, Conv, Dense, Lookup
from qcompiler.ir.view import Reshape, Take, Transpose

_ENCODE = (
    "map strings to integers before the network, for example with scikit-learn's OrdinalEncoder, "
    "and train on these"
)
_FEWER = "merge rare categories before the network, and train on these"
_MOST = 1 << 24  # weights
_MOST_LEVELS = 255  # of an input whose keys have a level each


def one_hot_encoder(node: NodeContext) -> Value:
    """OneHotEncoder of ai.onnx.ml: an element for each category, 1 where the input is that one."""
    keys = node.attributes.get("cats_int64s")
    if not keys:
        raise _of_strings(node)
    return _encoded(node, np.asarray(keys), np.eye(len(keys)), np.zeros(len(keys)))


def label_encoder(node: NodeContext) -> Value:
    """LabelEncoder of ai.onnx.ml: a number for each key, and one for all others."""
    keys, values = _table(node, "keys"), _table(node, "values")
    if len(keys) != len(values):
        raise InvalidNode(f"has {len(keys)} keys for {len(values)} values")
    first = np.sort(np.unique(keys, return_index=True)[1])  # of a key given twice
    keys, values = keys[first], values[first]
    x = node.activation()
    if isinstance(x.type, Tensor) and x.type.dtype == "i64":
        return _label(node, x, keys, values)
    known = np.isfinite(keys)  # missing values are none
    other = _default(node, values)
    if not np.isfinite([*values[known], other]).all():
        raise Refused("LabelEncoder with a value that is not finite is not supported")
    rest = np.full(1, other, np.float64)
    found = _encoded(node, keys[known], values[known, None] - rest, rest, keep_axes=True)
    if values.dtype.kind == "i":
        node.scope.kinds[found.name] = TensorProto.INT64
    return found


def _of_strings(node: NodeContext) -> Refused:
    return Refused(f"{node.op_type} of strings is not supported", _ENCODE)


def _table(node: NodeContext, what: str) -> Array:
    """Keys or values, integers or real numbers."""
    for kind, dtype in (("int64s", np.int64), ("floats", np.float64)):
        if found := node.attributes.get(f"{what}_{kind}"):
            return np.asarray(found, dtype)
    if (array := _tensor(node, f"{what}_tensor")) is None:
        raise _of_strings(node)
    return array


def _tensor(node: NodeContext, name: str) -> Array | None:
    """An attribute that is a tensor of integers or real numbers, if it is given."""
    given = node.attributes.get(name)
    if given is None:
        return None
    if not isinstance(given, TensorProto):
        raise InvalidNode(f"has an attribute {name} of the wrong type")
    array = TensorReader(f"{name} of {node.name}", None, owned=False).read(given).reshape(-1)
    if array.dtype.kind not in "iuf":
        raise _of_strings(node)
    return array.astype(np.float64 if array.dtype.kind == "f" else np.int64)


def _default(node: NodeContext, values: Array) -> float:
    """What keys that are not in the table become."""
    if (array := _tensor(node, "default_tensor")) is not None:
        if array.size != 1:
            raise InvalidNode(f"has {array.size} numbers in default_tensor, not one")
        return float(array[0])
    if values.dtype.kind == "i":
        return node.integer("default_int64", -1)
    return node.real("default_float", 0.0)


def _label(node: NodeContext, x: Value, keys: Array, values: Array) -> Value:
    """The label of a class, on the host."""
    if keys.dtype.kind != "i" or values.dtype.kind != "i" or keys.min() < 0:
        raise Refused("LabelEncoder of a class is only supported from integers to integers")
    table = np.full(int(keys.max()) + 1, _default(node, values), np.int64)
    table[keys] = values
    return node.add(Lookup(), x, node.scope.constant(f"{node.name}.table", table))


def _encoded(
    node: NodeContext, keys: Array, rows: Array, rest: Array, keep_axes: bool = False
) -> Value:
    """What keys become: a row of numbers for each, and what is left of it for other numbers.

    The numbers are a new last axis, or, if ``keep_axes``, there is only one of them.
    """
    x, keys = node.activation(), keys.astype(np.float64)
    shape = x.type.shape
    if len(np.unique(keys)) < len(keys):
        raise InvalidNode("has a key twice")
    if 2 * len(keys) * rows.shape[1] > _MOST:
        raise Refused(f"{node.op_type} with {len(keys)} categories is not supported", _FEWER)
    gap = float(np.diff(np.sort(keys)).min(initial=np.inf))
    width, ahead = min(1.0, gap), min(1.0, gap)
    if np.ptp(keys) > _MOST_LEVELS:
        width, ahead = gap / 2, gap * 3 / 4
    rising, falling = keys - ahead, keys + ahead - width
    begins = np.unique(np.concatenate((rising, falling)))
    weight = np.zeros((rows.shape[1], len(begins)))
    for sign, places in ((1, rising), (-1, falling)):
        weight[:, np.searchsorted(begins, places)] += sign * rows.T
    steps = _steps(node, x, begins, width)
    constants = node.constant("weight", weight[..., None]), node.constant("bias", rest[:, None])
    if prod(shape) == 1:
        constants = node.constant("weight", weight), node.constant("bias", rest)
        found = node.part("encoded", Dense(), steps, *constants)
    else:
        op = Conv(strides=(1,), pads=(0, 0), dilations=(1,))
        found = node.part("by_key", op, steps, *constants)
        found = node.part("encoded", Transpose((1, 0)), found)
    return node.add(Reshape(shape if keep_axes else (*shape, rows.shape[1])), found)


def _steps(node: NodeContext, x: Value, begins: Array, width: float) -> Value:
    """A row of steps from 0 to 1 for each beginning, over all elements of the input."""
    count = len(begins)
    flat = node.part("flat", Reshape((1, prod(x.type.shape))), x)
    rows = node.part("rows", Take(0, (0,) * count), flat)
    scale = node.constant("scale", np.full((1, 1), 1 / width))
    ramps = node.part(
        "ramps", Affine(), rows, scale, node.constant("begins", -begins[:, None] / width)
    )
    return node.part("steps", Clip(0.0, 1.0), ramps)
