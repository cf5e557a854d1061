"""Train a classifier of digits with depthwise layers, HardSwish, excitation and residual sums.

    pip install torch==2.13.0 scikit-learn onnx
    python train.py

Only this script needs PyTorch. It writes ``digits.onnx``, and prints the accuracy on the digits
that `tests.networks.test_excitation` takes: 99.4 %.
"""

from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

HERE = Path(__file__).parent
WIDTH, EPOCHS, BATCH = 8, 40, 64


def conv(inputs: int, outputs: int, size: int = 3, *, stride: int = 1, groups: int = 1) -> Any:
    layer = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs))


class Excitation(nn.Module):  # type: ignore[misc]
    def __init__(self, channels: int) -> None:
        super().__init__()
        few = max(4, channels // 4)
        self.squeeze, self.excite = nn.Conv2d(channels, few, 1), nn.Conv2d(few, channels, 1)

    def forward(self, x: Any) -> Any:
        few = nn.functional.relu(self.squeeze(x.mean((2, 3), keepdim=True)))
        return x * nn.functional.hardsigmoid(self.excite(few))


class Block(nn.Module):  # type: ignore[misc]
    def __init__(self, inputs: int, inner: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Sequential(conv(inputs, inner, 1), nn.Hardswish()),
            nn.Sequential(conv(inner, inner, stride=stride, groups=inner), nn.Hardswish()),
            Excitation(inner),
            conv(inner, outputs, 1),
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Any) -> Any:
        return x + self.layers(x) if self.residual else self.layers(x)


def network() -> Any:
    w = WIDTH
    return nn.Sequential(
        nn.Sequential(conv(1, w), nn.Hardswish()),
        Block(w, 2 * w, w, 1),
        Block(w, 3 * w, 2 * w, 2),
        Block(2 * w, 4 * w, 2 * w, 1),
        nn.Sequential(conv(2 * w, 4 * w, 1), nn.Hardswish()),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4 * w, 32),
        nn.Hardswish(),
        nn.Linear(32, 10),
    )


def main() -> None:
    torch.set_num_threads(1)
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype("float32").reshape(-1, 1, 8, 8)
    split = train_test_split(images, labels, test_size=540, random_state=0, stratify=labels)
    x, held_out, y, answers = map(torch.tensor, split)
    torch.manual_seed(0)
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2, weight_decay=1e-2)
    steps = EPOCHS * -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    for _ in range(EPOCHS):
        for some in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[some]), y[some], label_smoothing=0.1).backward()
            optimizer.step()
            schedule.step()
    model.eval()
    print(f"accuracy {(model(held_out).argmax(1) == answers).float().mean():.4f}")
    axes = {"x": {0: "N"}, "y": {0: "N"}}
    names = {"input_names": ["x"], "output_names": ["y"], "dynamic_axes": axes}
    options = {"opset_version": 17, "dynamo": False, **names}
    torch.onnx.export(model, (x[:1],), HERE / "digits.onnx", **options)


if __name__ == "__main__":
    main()
