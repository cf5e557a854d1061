"""Train the digits network and write its ONNX file, test images and calibration images.

    pip install torch==2.13.0 scikit-learn onnx onnxruntime
    python train.py

Only this script needs PyTorch and scikit-learn; the repository contains the three files it writes.
Training divides the pixels by 16; `qcompile --scale-values 16` makes the compiled network do the
same.
"""

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

HERE = Path(__file__).parent
SEED = 0
EPOCHS = 60
BATCH = 64
CALIBRATION = 200


def network() -> Any:
    layers = {
        "conv1": nn.Conv2d(1, 8, 3, padding=1, bias=False),
        "norm1": nn.BatchNorm2d(8),
        "relu1": nn.ReLU(),
        "pool1": nn.MaxPool2d(2),
        "conv2": nn.Conv2d(8, 16, 3, padding=1),
        "relu2": nn.ReLU(),
        "pool2": nn.MaxPool2d(2),
        "flatten": nn.Flatten(),
        "classes": nn.Linear(64, 10),
    }
    return nn.Sequential(OrderedDict(layers))


def train(images: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> Any:
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    x = torch.from_numpy(images[:, None].astype(np.float32) / 16)
    y = torch.from_numpy(labels)
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=1e-2)
    steps = EPOCHS * -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=steps)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), y[batch], label_smoothing=0.1).backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def export(model: Any, path: Path) -> None:
    """Write the model; BatchNormalization stays a separate node, which the compiler folds."""
    torch.onnx.export(
        model,
        (torch.zeros(1, 1, 8, 8),),
        path,
        input_names=["image"],
        output_names=["scores"],
        dynamic_axes={"image": {0: "N"}, "scores": {0: "N"}},
        opset_version=17,
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
        dynamo=False,
    )
    exported = onnx.load(path)
    for node in exported.graph.node:
        node.doc_string = ""
    onnx.checker.check_model(exported, full_check=True)
    onnx.save(exported, path)


def accuracy(path: Path, images: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> float:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (scores,) = session.run(None, {"image": images[:, None].astype(np.float32) / 16})
    return float(np.mean(scores.argmax(1) == labels))


def main() -> None:
    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8).astype(np.uint8)
    train_x, test_x, train_y, test_y = train_test_split(
        images, labels, test_size=540, random_state=SEED, stratify=labels
    )
    path = HERE / "digits.onnx"
    export(train(train_x, train_y), path)
    np.savez_compressed(HERE / "digits_test.npz", images=test_x, labels=test_y)
    np.savez_compressed(
        HERE / "digits_calibration.npz", images=train_x[:CALIBRATION], labels=train_y[:CALIBRATION]
    )
    print(f"accuracy: training {accuracy(path, train_x, train_y):.2%}", end=", ")
    print(f"test {accuracy(path, test_x, test_y):.2%} of {len(test_y)} images")


if __name__ == "__main__":
    main()
