"""`benchmarks/quartz.py` runs what it is given, and says what is missing for the rest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "quartz.py"


def table(data: Path, *arguments: str) -> tuple[list[list[str]], str]:
    """Cells of the printed rows, and the rest."""
    line = [sys.executable, str(SCRIPT), *arguments]
    known = os.environ | {"QCOMPILER_DATA": str(data)}
    done = subprocess.run(line, env=known, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if "|" in line]
    return rows[2:], "\n".join(line for line in lines if "|" not in line)


def network(path: Path, size: int) -> None:
    """Mean colours of image quarters, and a layer on them."""
    half = size // 2
    model = parser.parse_model(f"""
        <ir_version: 8, opset_import: ["" : 17]>
        net (float[N, 3, {size}, {size}] image) => (float[N, 10] scores) {{
          pooled = AveragePool <kernel_shape = [{half}, {half}], strides = [{half}, {half}]> (image)
          flat = Flatten (pooled)
          scores = Gemm <transB = 1> (flat, w, b)
        }}""")
    rng = np.random.default_rng(0)
    for name, shape in (("w", (10, 12)), ("b", (10,))):
        array = rng.standard_normal(shape).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    onnx.save(model, path)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    rows, text = table(tmp_path)
    assert {row[1] for row in rows} == {"paper"} and len(rows) == 12
    assert text.count("is not run") == 3
    for needed in ("mnist_convnet.onnx", "cs.toronto.edu", "torchvision", "image-net.org"):
        assert needed in text


def test_colour_images_run(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    network(tmp_path / "cifar10_vgg11.onnx", 32)
    network(tmp_path / "imagenet_vgg11.onnx", 224)
    for name in ("data_batch_1.bin", "test_batch.bin"):
        records = rng.integers(0, 256, (24, 1 + 3 * 32 * 32), np.uint8)
        records[:, 0] %= 10
        records.tofile(tmp_path / name)
    for name in ("train", "val"):
        images = rng.integers(0, 256, (6, 224, 224, 3), np.uint8)
        np.savez(tmp_path / f"{name}.npz", images=images, labels=rng.integers(0, 10, 6))
    here = str(tmp_path)
    options = ("--models", here, "--cifar10", here, "--imagenet", here, "--t-max", "8")
    rows, text = table(tmp_path, *options)
    found = [row for row in rows if row[1] == "ours"]
    assert [row[0] for row in found] == ["CIFAR-10 VGG11", "ImageNet VGG11"]
    assert "MNIST ConvNet is not run" in text
    for row in found:
        assert abs(float(row[4])) < 60
        assert int(row[10].replace(",", "")) > int(row[5].replace(",", ""))


@pytest.mark.data
def test_mnist_runs_beside_the_published_row(data_dir: Path) -> None:
    rows, _ = table(data_dir, "--limit", "500", "--t-max", "8")
    (ours,) = (row for row in rows if row[1] == "ours")
    assert ours[0] == "MNIST ConvNet" and abs(float(ours[4])) < 1
