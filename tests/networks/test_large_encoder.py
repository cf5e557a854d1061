"""An encoder of 6 layers, 384 wide: checked and costed, whether or not it could be compiled."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.support.onnx_models import ints, model

LAYERS, WIDTH, HEADS, TOKENS, WORDS = 6, 384, 12, 64, 30_522
MOST_KIB = 4 << 20
CHECK = """
import resource, sys
from qcompiler.cli.compiling import qcompile
print("code", qcompile.main(sys.argv[1:]))
print("kib", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
LAYER = """
    q0_{i} = MatMul(h_{i}, wq_{i}) q1_{i} = Reshape(q0_{i}, heads)
    q_{i} = Transpose<perm=[0,2,1,3]>(q1_{i})
    k0_{i} = MatMul(h_{i}, wk_{i}) k1_{i} = Reshape(k0_{i}, heads)
    k_{i} = Transpose<perm=[0,2,3,1]>(k1_{i})
    v0_{i} = MatMul(h_{i}, wv_{i}) v1_{i} = Reshape(v0_{i}, heads)
    v_{i} = Transpose<perm=[0,2,1,3]>(v1_{i})
    s0_{i} = MatMul(q_{i}, k_{i}) s_{i} = Mul(s0_{i}, scale) p_{i} = Softmax<axis=-1>(s_{i})
    m_{i} = MatMul(p_{i}, v_{i}) m1_{i} = Transpose<perm=[0,2,1,3]>(m_{i})
    m2_{i} = Reshape(m1_{i}, whole) a_{i} = MatMul(m2_{i}, wo_{i}) r_{i} = Add(h_{i}, a_{i})
    n_{i} = LayerNormalization<axis=-1>(r_{i}, gain, bias)
    f0_{i} = MatMul(n_{i}, w1_{i}) f_{i} = Relu(f0_{i}) g_{i} = MatMul(f_{i}, w2_{i})
    t_{i} = Add(n_{i}, g_{i}) h_{j} = LayerNormalization<axis=-1>(t_{i}, gain, bias)
"""


def encoder() -> onnx.ModelProto:
    """Words, attention with 12 heads and layers four times as wide, with random weights."""
    shape = (WIDTH, WIDTH)
    weights: dict[str, Any] = {f"w{kind}_{i}": shape for kind in "qkvo" for i in range(LAYERS)}
    weights |= {f"w1_{i}": (WIDTH, 4 * WIDTH) for i in range(LAYERS)}
    weights |= {f"w2_{i}": (4 * WIDTH, WIDTH) for i in range(LAYERS)}
    weights |= {"table": (WORDS, WIDTH), "gain": (WIDTH,), "bias": (WIDTH,)}
    weights |= {"heads": ints(0, 0, HEADS, WIDTH // HEADS), "whole": ints(0, 0, WIDTH)}
    weights["scale"] = np.float32((WIDTH / HEADS) ** -0.5)
    body = "".join(LAYER.format(i=i, j=i + 1) for i in range(LAYERS))
    return model(
        f"int64[N,{TOKENS}] ids",
        f"h_0 = Gather(table, ids) {body} y = Identity(h_{LAYERS})",
        **weights,
    )


@pytest.mark.long
def test_check_costs_it_by_layer_in_little_memory(tmp_path: Path) -> None:
    onnx.save(encoder(), tmp_path / "encoder.onnx")
    line = [sys.executable, "-c", CHECK, str(tmp_path / "encoder.onnx"), "--check", "-v"]
    found = subprocess.run([*line, "--t-max", "16"], capture_output=True, text=True, check=True)
    told = found.stdout + found.stderr
    total = re.search(r"about ([\d,]+) neurons at t_max 16", told)
    assert total is not None, told
    for layer in range(LAYERS):
        assert re.search(
            rf"^s0_{layer}_node +MatMul +\S+ .*about [\d,]+ neurons", told, re.MULTILINE
        )
    products = 2 * LAYERS * TOKENS**2 * WIDTH * 4  # attention, with 4 bits
    assert int(total[1].replace(",", "")) > products
    kib = re.search(r"^kib (\d+)$", told, re.MULTILINE)
    assert kib is not None
    assert int(kib[1]) < MOST_KIB
