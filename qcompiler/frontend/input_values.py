"""Inputs that are settings: the user gives each a number, and they become constants of the model.

Such as the sampling rate of a network for speech, by which it chooses one of its branches.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
import onnx

from qcompiler.frontend.model.folding_limits import beyond
from qcompiler.frontend.model.onnx_file import Model
from qcompiler.frontend.model.onnx_tensor import FLOATS, INTEGERS, Array
from qcompiler.ir import Diagnostic, InvalidModel, PipelineError

from .input_axes import Axes, with_shapes, written

_LARGEST = sys.float_info.max


def stated_values(given: Any) -> Mapping[str, float]:
    """Values that the user states; PipelineError if these are no finite numbers by name."""
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(map(_is_value, given, given.values())):
        raise PipelineError("input_values must map names of inputs to finite numbers")
    return {name: _plain(value) for name, value in given.items()}


def _is_value(name: Any, value: Any) -> bool:
    number = isinstance(value, Real) and not isinstance(value, bool)
    return isinstance(name, str) and number and abs(value) <= _LARGEST


def _plain(value: Real) -> int | float:
    return int(value) if isinstance(value, Integral) else float(value)


def with_values(model: Model, values: Mapping[str, float], stated: Mapping[str, Axes]) -> Model:
    """The model with these inputs as constants, which hold a number in each element.

    ``stated`` are axes that the user gives. InvalidModel for what is no input, or no number of its
    type.
    """
    inputs = {value.name: value for value in model.graph.input}
    found = dict(model.arrays)
    for name, number in values.items():
        if name not in inputs:
            raise InvalidModel(
                f'the model has no input "{name}": its inputs are {", ".join(inputs)}'
            )
        found[name] = _filled(inputs[name], number, stated)
    return replace(model, arrays=found)


def _filled(value: onnx.ValueInfoProto, number: float, stated: Mapping[str, Axes]) -> Array:
    name, kind = value.name, value.type.tensor_type.elem_type
    if kind not in (*FLOATS, *INTEGERS):
        raise InvalidModel(f'input "{name}" takes no number')
    bfloat = kind == onnx.TensorProto.BFLOAT16  # numpy has none
    dtype = np.dtype("<f4" if bfloat else onnx.helper.tensor_dtype_to_np_dtype(kind))
    low, high = _ends(dtype)
    if dtype.kind != "f" and number != int(number):
        raise InvalidModel(f'input "{name}" takes whole numbers: {number!r} is none')
    if not low <= number <= high:
        raise InvalidModel(f'input "{name}" takes numbers from {low} to {high}, not {number!r}')
    return np.full(_lengths(value, stated), number, dtype)


def _ends(dtype: np.dtype[Any]) -> tuple[float, float]:
    """The least and the largest number of a type."""
    if dtype.kind == "b":
        return 0, 1
    known = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    kind = float if dtype.kind == "f" else int
    return kind(known.min), kind(known.max)


def _lengths(value: onnx.ValueInfoProto, stated: Mapping[str, Axes]) -> tuple[int, ...]:
    name = value.name
    axes: Axes = tuple(
        dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?"
        for dim in value.type.tensor_type.shape.dim
    )
    if name in stated:
        axes = with_shapes({name: axes}, {name: stated[name]})[name]
    lengths = tuple(n for n in axes if isinstance(n, int))
    if len(lengths) < len(axes):
        dots = ",".join(str(n) if isinstance(n, int) else ".." for n in axes)
        raise InvalidModel(
            Diagnostic(
                f'input "{name}" has the shape {written(axes)}, which its value cannot fill',
                help=f"state the lengths in place of the dots: --input-shape {name}={dots}",
            )
        )
    if too_much := beyond(lengths):
        raise InvalidModel(f'input "{name}" has {too_much}')
    return lengths
