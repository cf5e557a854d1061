"""The fast engine multiplies once for populations that differ in their bias only."""

from __future__ import annotations

import numpy as np

import qcompiler
from qcompiler.backends import REFERENCE
from qcompiler.backends.reference.fast.closed_form import ClosedForm
from qcompiler.ir import Builder, Constant, Graph, Tensor
from qcompiler.ir.ann import Clip, Dense
from tests.support.spiking import same_spikes


def classifier() -> Graph:
    rng, build = np.random.default_rng(2), Builder("classifier")
    value = build.input("x", Tensor((12,), range=(0.0, 1.0)))
    for index, width in enumerate((20, 7)):
        data = rng.standard_normal((width, value.type.shape[0])).astype(np.float32)
        weight, bias = Constant(f"w{index}", data), Constant(f"b{index}", 0 * data[:, 0])
        value = build.add(Dense(), value, weight, bias, name=f"dense{index}")
        if index == 0:
            value = build.add(Clip(0.0), value, name="relu")
    return build.build([value], ["y"])


def test_slices_of_outputs_share_their_products() -> None:
    images = np.random.default_rng(3).random((40, 12), np.float32)
    passes = REFERENCE.pipeline.replace("split-windows", "split-windows{how=slices}")
    program = qcompiler.compile(
        classifier(), target="reference", calibration=images, effort=0, passes=passes
    )
    pieces = [name for name in program.spikes(images[:1]) if ":slice" in name]
    form = ClosedForm(program.graph, record=False, count=False)
    assert len(pieces) > 1
    assert sum(node.op_type == "Gemm" for node in form.writer.nodes) < len(pieces)
    same_spikes(program, "fast", images[:8])
