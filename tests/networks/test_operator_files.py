"""Files with operators that need no neuron of their own: compiled, against onnxruntime.

A code of 64 levels over eight standard deviations rounds by 3.7 % of one of them, root mean square.
Three roundings in a row, of input, inner value and output, add up to 6.4 %.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import qcompiler
from tests.support.onnx_models import run_onnx

ROUNDED = 8 / 63 / 12**0.5 * 3**0.5
FILES = [
    "uint8_image",
    "unused_int_input",
    "leaky_by_where",
    "reduce_l1",
    "refused_softplus_dynamo",
    "refused_isnan_guard",
    "refused_constant_enlarges",
]


def outputs(folder: Path, name: str, more: str = "") -> tuple[Any, list[Any]]:
    """What the program gives, and onnxruntime; for one value more if it is named."""
    path, data = folder / "cases" / f"{name}.onnx", folder / "cases" / f"{name}.npz"
    program = qcompiler.compile(path, target="reference", calibration=data, t_max=64)
    arrays = dict(np.load(data))
    proto = onnx.load(path)
    if more:
        proto.graph.output.append(onnx.ValueInfoProto(name=more))
    frames = range(len(next(iter(arrays.values()))))
    single = [run_onnx(proto, {key: a[i : i + 1] for key, a in arrays.items()}) for i in frames]
    wanted = [np.concatenate(parts) for parts in zip(*single, strict=True)]
    return program.run(*(arrays[value.name] for value in program.graph.inputs)), wanted


@pytest.mark.data
@pytest.mark.parametrize("name", FILES)
def test_error_is_that_of_the_levels(name: str, data_dir: Path) -> None:
    found, (wanted,) = outputs(data_dir, name)
    assert found.shape == wanted.shape
    assert np.sqrt(np.mean((found - wanted) ** 2)) <= ROUNDED * wanted.std()


@pytest.mark.data
@pytest.mark.parametrize("name", ["argmax_cast_int32", "topk1"])
def test_indices_differ_only_between_near_scores(name: str, data_dir: Path) -> None:
    found, wanted = outputs(data_dir, name, "t3")
    scores = np.sort(wanted[-1], axis=1)
    far = scores[:, -1] - scores[:, -2] > 3 * 2**0.5 * ROUNDED * wanted[-1].std()
    assert far.mean() > 0.5
    assert found.dtype.kind == "i"
    np.testing.assert_array_equal(found[far], wanted[0][far])
