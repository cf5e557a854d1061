"""Train digits networks of 2, 3 and 4 bits, and run each as a framework, on onnxruntime, in spikes.

    pip install scikit-learn
    python train_few_levels.py

The networks are trained quantised: in the forward pass weights and activations are rounded, in the
backward pass they are not (the straight-through estimator). Activations of 2, 3 and 4 bits have 4,
8 and 16 levels, so the spiking networks have as many spike times. Nothing is lost in conversion:
all scores are the same.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import qcompiler

HERE = Path(__file__).parent
WIDTHS = (64, 48, 10)
EPOCHS, BATCH, RATE = 60, 32, 4e-3
SCORES = 64  # levels of the scores, from -32 to 31

Array = np.ndarray[Any, Any]


class Layer:
    """A dense layer whose weights have ``bits`` bits and whose results have ``levels`` levels.

    ``low`` is the lowest level: 0 behind a ReLU. The scale of the results is a running maximum.
    """

    def __init__(
        self, rng: np.random.Generator, fan: int, width: int, bits: int, levels: int, low: int
    ) -> None:
        self.weight = rng.normal(size=(fan, width)) * np.sqrt(2 / fan)
        self.bias = np.zeros(width)
        self.most, self.low, self.high = 2 ** (bits - 1) - 1, low, low + levels - 1
        self.scale = 1.0
        self.moments: list[list[Array]] = [
            [np.zeros_like(a), np.zeros_like(a)] for a in (self.weight, self.bias)
        ]

    @property
    def units(self) -> Array:
        """The scale of the weights of every output."""
        found: Array = (np.abs(self.weight).max(axis=0) / self.most).astype(np.float32)
        return found

    @property
    def integers(self) -> Array:
        """The weights as integers."""
        found: Array = np.rint(self.weight / self.units)
        return found

    def offsets(self, scale: float) -> Array:
        """The bias as integers, in units of the weights times the scale of the inputs."""
        found: Array = np.rint(self.bias / (scale * self.units.astype(np.float64)))
        return found

    def forward(self, levels: Array, scale: float, learning: bool) -> Array:
        """The levels of the results, as the framework rounds them, from those of the inputs."""
        self.x = levels * scale
        sums = (levels @ self.integers + self.offsets(scale)) * (scale * self.units)
        if learning:
            reach = float(
                np.quantile(np.maximum(sums / self.high, sums / (self.low or -1e9)), 0.99)
            )
            self.scale = float(np.float32(0.95 * self.scale + 0.05 * max(reach, 1e-3)))
        rounded = np.rint(sums / self.scale)
        self.inside = (rounded >= self.low) & (rounded <= self.high)
        found: Array = rounded.clip(self.low, self.high)
        return found

    def backward(self, gradient: Array, step: int, rate: float) -> Array:
        """Move the weights (Adam); the gradient passes where nothing was clipped."""
        inner = gradient * self.inside
        back: Array = inner @ (self.integers * self.units).T
        for array, slope, (mean, square) in zip(
            (self.weight, self.bias),
            (self.x.T @ inner, inner.sum(axis=0)),
            self.moments,
            strict=True,
        ):
            mean += 0.1 * (slope - mean)
            square += 0.001 * (slope**2 - square)
            unbiased = mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
            array -= rate * unbiased
        return back


class Network:
    """Two layers behind an input that is rounded as well."""

    def __init__(self, bits: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.levels = 2**bits
        self.pixel = float(np.float32(1.01 / (self.levels - 1)))  # grey levels are then no ties
        self.layers = [
            Layer(rng, WIDTHS[0], WIDTHS[1], bits, self.levels, 0),
            Layer(rng, WIDTHS[1], WIDTHS[2], bits, SCORES, -SCORES // 2),
        ]

    def forward(self, images: Array, learning: bool = False) -> Array:
        """Scores of images with pixels from 0 to 1."""
        levels, scale = np.rint(images / self.pixel).clip(0, self.levels - 1), self.pixel
        for layer in self.layers:
            levels, scale = layer.forward(levels, scale, learning), layer.scale
        scores: Array = levels * scale
        return scores

    def fit(self, images: Array, labels: Array) -> None:
        """Train on cross-entropy."""
        rng, step = np.random.default_rng(1), 0
        total = EPOCHS * -(-len(images) // BATCH)
        for _ in range(EPOCHS):
            for batch in np.split(rng.permutation(len(images)), range(BATCH, len(images), BATCH)):
                step += 1
                scores = self.forward(images[batch], learning=True)
                share = np.exp(scores - scores.max(axis=1, keepdims=True))
                share /= share.sum(axis=1, keepdims=True)
                share[np.arange(len(batch)), labels[batch]] -= 1
                rate = RATE * (1 + np.cos(np.pi * step / total)) / 2
                share /= len(batch)
                for layer in reversed(self.layers):
                    share = layer.backward(share, step, rate)

    def to_onnx(self) -> onnx.ModelProto:
        """The network as exporters write it: QuantizeLinear, Clip, DequantizeLinear."""
        nodes, held = [], []

        def constant(name: str, array: Any) -> str:
            held.append(numpy_helper.from_array(np.asarray(array), name))
            return name

        def rounded(x: str, name: str, scale: float, low: int, high: int) -> str:
            code = (
                constant(f"{name}.scale", np.float32(scale)),
                constant(f"{name}.zero", np.int8(0)),
            )
            ends = constant(f"{name}.low", np.int8(low)), constant(f"{name}.high", np.int8(high))
            nodes.append(helper.make_node("QuantizeLinear", [x, *code], [f"{name}.integers"]))
            nodes.append(helper.make_node("Clip", [f"{name}.integers", *ends], [f"{name}.levels"]))
            nodes.append(helper.make_node("DequantizeLinear", [f"{name}.levels", *code], [name]))
            return name

        x, scale = rounded("image", "pixels", self.pixel, 0, self.levels - 1), self.pixel
        for index, layer in enumerate(self.layers, 1):
            weight = constant(f"weight{index}.integers", layer.integers.astype(np.int8))
            units = constant(f"weight{index}.scale", layer.units)
            zeros = constant(f"weight{index}.zero", np.zeros(len(layer.bias), np.int8))
            dequantized = [weight, units, zeros], [f"weight{index}"]
            nodes.append(helper.make_node("DequantizeLinear", *dequantized, axis=1))
            bias = constant(f"bias{index}.integers", layer.offsets(scale).astype(np.int32))
            units = constant(f"bias{index}.scale", layer.units * np.float32(scale))
            dequantized = [bias, units], [f"bias{index}"]
            nodes.append(helper.make_node("DequantizeLinear", *dequantized, axis=0))
            nodes.append(
                helper.make_node("Gemm", [x, f"weight{index}", f"bias{index}"], [f"sums{index}"])
            )
            name = "scores" if layer is self.layers[-1] else f"hidden{index}"
            x = rounded(f"sums{index}", name, layer.scale, layer.low, layer.high)
            scale = layer.scale
        ends = (
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width])
            for name, width in (("image", WIDTHS[0]), ("scores", WIDTHS[-1]))
        )
        image, scores = ends
        graph = helper.make_graph(nodes, f"digits{self.levels}", [image], [scores], held)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def main() -> None:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(
        images / 16, labels, test_size=540, random_state=0, stratify=labels
    )
    test_x = test_x.astype(np.float32)
    for bits in (2, 3, 4):
        network = Network(bits)
        network.fit(train_x, train_y)
        model = network.to_onnx()
        onnx.checker.check_model(model)
        onnx.save(model, HERE / f"digits_{bits}bit.onnx")
        session = onnxruntime.InferenceSession(model.SerializeToString())
        program = qcompiler.compile(model, target="reference")
        scores = {
            "framework": network.forward(test_x.astype(np.float64)),
            "onnxruntime": session.run(None, {"image": test_x})[0],
            "spikes": program.run(test_x),
        }
        print(f"{bits} bits, t_max {2**bits}: latency {program.report().latency_steps} steps")
        for name, found in scores.items():
            same = np.abs(found - scores["framework"]).max() < 1e-4
            right = np.mean(found.argmax(axis=1) == test_y)
            print(f"  {name:<12} accuracy {right:.2%}, {'same' if same else 'other'} scores")


if __name__ == "__main__":
    main()
