"""Networks of many architectures, trained on the digits of scikit-learn.

All layers but the last are random and stay so; the last is a ridge regression on what they give.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from tests.support.onnx_models import ints, model, run_onnx

Array = np.ndarray[Any, Any]
Shapes = dict[str, Any]  # weights by name; a tuple is a shape, to be filled at random
_DIGITS = Path(__file__).parents[2] / "examples" / "digits"
_HELD_OUT = 240
_IMAGE, _FLAT, _ROWS = "float[N,1,8,8] x", "float[N,64] x", "float[N,8,8] x"
_SAME = "pads=[1,1,1,1]"


@dataclass(frozen=True)
class Recipe:
    """Nodes from ``x`` to the features ``f``, and what is made of them.

    ``task`` is "classes" or "pixels": the clean image, given one with noise.
    """

    inputs: str
    body: str
    weights: Shapes
    task: str = "classes"
    products: bool = False
    share: float = 0.05  # of the ridge


@dataclass(frozen=True)
class Trained:
    """A trained network, its calibration data, and data that it has not seen with their answers."""

    proto: onnx.ModelProto
    calibration: tuple[Array, ...]
    held_out: tuple[Array, ...]
    answers: Array
    task: str

    def metric(self, *outputs: Array) -> float:
        """The share of right classes, or the share of the pixels' variance that is explained."""
        if self.task == "classes":
            return float(np.mean(outputs[0].argmax(1) == self.answers))
        pixels = outputs[0].reshape(len(self.answers), -1)
        missed = np.square(pixels - self.answers).sum()
        return float(1 - missed / np.square(self.answers - self.answers.mean()).sum())


def _conv(stride: int = 1, **more: int) -> str:
    rest = "".join(f", {name}={value}" for name, value in more.items())
    return f"Conv<{_SAME}, strides=[{stride},{stride}]{rest}>"


def _unet(up: str, weights: Shapes) -> Recipe:
    body = f"""
        a = {_conv()}(x, w1, b1) ar = Relu(a) p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(ar)
        b = {_conv()}(p, w2, b2) br = Relu(b) u = {up}
        k = Concat<axis=1>(u, ar) c = {_conv()}(k, w3, b3) f = Relu(c)
    """
    shapes = {"w1": (6, 1, 3, 3), "b1": (6,), "w2": (6, 6, 3, 3), "b2": (6,)}
    return Recipe(_IMAGE, body, {**shapes, "w3": (24, 12, 3, 3), "b3": (24,), **weights}, "pixels")


def _resized(mode: str) -> Recipe:
    rest = ', coordinate_transformation_mode="asymmetric"' if mode == "nearest" else ""
    return _unet(f'Resize<mode="{mode}"{rest}>(br, , s)', {"s": np.array([1, 1, 2, 2], np.float32)})


def _mlp(activation: str, share: float = 0.05) -> Recipe:
    body = f"""
        h = Gemm<transB=1>(x, w1, b1) {activation.format("h", "g")}
        k = Gemm<transB=1>(g, w2, b2) {activation.format("k", "f")}
    """
    weights = {"w1": (64, 64), "b1": (64,), "w2": (96, 64), "b2": (96,)}
    return Recipe(_FLAT, body, weights, share=share)


def _cell(kind: str, gates: int, size: int, steps: int = 8, attributes: str = "") -> Recipe:
    """A cell that reads the rows of an image, or several at once; all its states are features."""
    body = f"""
        s = Reshape(x, steps) t = Transpose<perm=[1,0,2]>(s)
        h = {kind}<hidden_size={size}{attributes}>(t, w, r, b)
        v = Squeeze(h, one) k = Transpose<perm=[1,0,2]>(v) f = Flatten(k)
    """
    width = 64 // steps
    shapes = {"w": (1, gates * size, width), "r": (1, gates * size, size)}
    sizes = {"b": (1, 2 * gates * size), "steps": ints(-1, steps, width), "one": ints(1)}
    return Recipe(_ROWS, body, {**shapes, **sizes}, products=kind != "RNN")


_FLATTEN = "f = Flatten(z)"
_BLOCK = f"""
    a = Conv<{_SAME}, strides=[2,2]>(x, w1, b1) s = Clip(a, low, high)
    e = Conv(s, we, be) er = Clip(e, low, high)
    d = Conv<{_SAME}, group=24>(er, wd, bd) dr = Clip(d, low, high)
    l = Conv(dr, wl, bl) z = Add(s, l) {_FLATTEN}
"""
_BOUNDS = {"low": np.float32(0), "high": np.float32(6)}

RECIPES: dict[str, Recipe] = {
    "residual MLP": Recipe(
        _FLAT,
        """
            h = Gemm<transB=1>(x, w1, b1) hr = Relu(h) k = Gemm<transB=1>(hr, w2, b2)
            s = Add(k, hr) sr = Relu(s) q = Gemm<transB=1>(sr, w3, b3) t = Add(q, sr) f = Relu(t)
        """,
        {"w1": (64, 64), "b1": (64,), "w2": (64, 64), "b2": (64,), "w3": (64, 64), "b3": (64,)},
    ),
    "linear bottleneck": Recipe(
        _IMAGE,
        _BLOCK,
        {
            **{"w1": (8, 1, 3, 3), "b1": (8,), "we": (24, 8, 1, 1), "be": (24,), **_BOUNDS},
            **{"wd": (24, 1, 3, 3), "bd": (24,), "wl": (8, 24, 1, 1), "bl": (8,)},
        },
    ),
    "depthwise separable": Recipe(
        _IMAGE,
        f"""
            a = {_conv()}(x, w1, b1) ar = Relu(a) d = {_conv(2, group=8)}(ar, w2, b2)
            dr = Relu(d) p = Conv(dr, w3, b3) z = Relu(p) {_FLATTEN}
        """,
        {
            **{"w1": (8, 1, 3, 3), "b1": (8,), "w2": (8, 1, 3, 3), "b2": (8,)},
            **{"w3": (16, 8, 1, 1), "b3": (16,)},
        },
    ),
    "dilated": Recipe(
        _IMAGE,
        f"""
            a = {_conv()}(x, w1, b1) ar = Relu(a)
            c = Conv<pads=[2,2,2,2], dilations=[2,2], strides=[2,2]>(ar, w2, b2)
            z = Relu(c) {_FLATTEN}
        """,
        {"w1": (6, 1, 3, 3), "b1": (6,), "w2": (12, 6, 3, 3), "b2": (12,)},
    ),
    "rows as a sequence": Recipe(
        _ROWS,
        f"""
            a = Conv<pads=[1,1]>(x, w1, b1) ar = Relu(a) c = Conv<pads=[1,1]>(ar, w2, b2)
            cr = Relu(c) z = MaxPool<kernel_shape=[2], strides=[2]>(cr) {_FLATTEN}
        """,
        {"w1": (24, 8, 3), "b1": (24,), "w2": (32, 24, 3), "b2": (32,)},
    ),
    "U-Net, transposed convolution": _unet(
        "ConvTranspose<strides=[2,2]>(br, wu, bu)", {"wu": (6, 6, 2, 2), "bu": (6,)}
    ),
    "U-Net, nearest": _resized("nearest"),
    "U-Net, linear": _resized("linear"),
    "autoencoder": Recipe(
        _IMAGE,
        f"""
            a = {_conv(2)}(x, w1, b1) ar = Relu(a) c = {_conv(2)}(ar, w2, b2) cr = Relu(c)
            d = ConvTranspose<strides=[2,2]>(cr, w3, b3) z = Relu(d) {_FLATTEN}
        """,
        {
            **{"w1": (8, 1, 3, 3), "b1": (8,), "w2": (12, 8, 3, 3), "b2": (12,)},
            **{"w3": (12, 16, 2, 2), "b3": (16,)},
        },
        "pixels",
    ),
    "RNN": _cell("RNN", 1, 24, attributes=', activations=["Relu"]'),
    "GRU": _cell("GRU", 3, 12),
    "LSTM": _cell("LSTM", 4, 12),
    "two inputs, two outputs": Recipe(
        "float[N,32] x, float[N,32] x2",
        """
            a = Gemm<transB=1>(x, w1, b1) ar = Relu(a) c = Gemm<transB=1>(x2, w2, b2) cr = Relu(c)
            k = Concat<axis=1>(ar, cr) h = Gemm<transB=1>(k, w3, b3) f = Relu(h)
            y2 = Sub(ar, cr)
        """,
        {"w1": (32, 32), "b1": (32,), "w2": (32, 32), "b2": (32,), "w3": (96, 64), "b3": (96,)},
    ),
    "squeeze and excitation": Recipe(
        _IMAGE,
        f"""
            a = {_conv(2)}(x, w1, b1) ar = Relu(a) g = GlobalAveragePool(ar)
            i = Conv(g, w2, b2) ir = Relu(i) o = Conv(ir, w3, b3) s = Sigmoid(o)
            z = Mul(ar, s) {_FLATTEN}
        """,
        {
            **{"w1": (12, 1, 3, 3), "b1": (12,), "w2": (6, 12, 1, 1), "b2": (6,)},
            **{"w3": (12, 6, 1, 1), "b3": (12,)},
        },
        products=True,
    ),
    "LeakyRelu": _mlp("{1} = LeakyRelu<alpha=0.1>({0})"),
    "SiLU": _mlp("s{0} = Sigmoid({0}) {1} = Mul({0}, s{0})"),
    "Sigmoid": _mlp("{1} = Sigmoid({0})", 0.3),
}


@cache
def trained(name: str) -> Trained:
    """Train the last layer of a network; the same for a name, always."""
    recipe, rng = RECIPES[name], np.random.default_rng(7)
    images, labels = _digits()
    clean, given = images, images
    if recipe.task == "pixels":
        given = images + rng.normal(0, 0.1, images.shape).astype(np.float32)
    inputs = _arranged(recipe, given)
    weights = {key: _filled(rng, key, weight) for key, weight in recipe.weights.items()}
    (features,) = run_onnx(
        model(recipe.inputs, recipe.body, outputs="f", **weights), _feeds(inputs)
    )
    answers = labels if recipe.task == "classes" else clean.reshape(len(clean), -1)
    last, more = _last(features[:-_HELD_OUT], answers[:-_HELD_OUT], recipe.share)
    outputs = "y y2" if "y2" in recipe.body else "y"
    proto = model(recipe.inputs, f"{recipe.body} {last}", outputs=outputs, **weights, **more)
    seen, unseen = ([x[part] for x in inputs] for part in (slice(200), slice(-_HELD_OUT, None)))
    return Trained(proto, tuple(seen), tuple(unseen), answers[-_HELD_OUT:], recipe.task)


def _digits() -> tuple[Array, Array]:
    parts = [np.load(_DIGITS / f"digits_{name}.npz") for name in ("calibration", "test")]
    images, labels = (np.concatenate([p[key] for p in parts]) for key in ("images", "labels"))
    return images.astype(np.float32) / 16, labels


def _arranged(recipe: Recipe, images: Array) -> list[Array]:
    if "x2" in recipe.inputs:
        return [images[:, :4].reshape(-1, 32), images[:, 4:].reshape(-1, 32)]
    shape: dict[str, tuple[int, ...]] = {_IMAGE: (-1, 1, 8, 8), _FLAT: (-1, 64), _ROWS: (-1, 8, 8)}
    return [images.reshape(shape[recipe.inputs])]


def _feeds(inputs: list[Array]) -> dict[str, Array]:
    return dict(zip(("x", "x2"), inputs, strict=False))


def _filled(rng: np.random.Generator, name: str, weight: Any) -> Any:
    """Weights that keep the variance of what a ReLU gives; small biases."""
    if not isinstance(weight, tuple):
        return weight
    if name.startswith("b"):
        return rng.normal(0, 0.2, weight).astype(np.float32)
    fan = np.prod(weight[1:]) if len(weight) != 3 or name[1:] else weight[-1]
    return rng.normal(0, np.sqrt(2 / fan) if name != "r" else 1 / np.sqrt(fan), weight).astype(
        np.float32
    )


def _last(features: Array, answers: Array, share: float) -> tuple[str, Shapes]:
    """The node of the last layer, and its weights: a convolution of images, else a dense layer."""
    if features.ndim == 4:
        x = features.transpose(0, 2, 3, 1).reshape(-1, features.shape[1])
        weight, bias = _ridge(x, answers.reshape(-1, 1), 1e-3)
        return "y = Conv(f, wy, by)", {"wy": weight[:, :, None, None], "by": bias}
    wanted = np.eye(10, dtype=np.float32)[answers] if answers.ndim == 1 else answers
    weight, bias = _ridge(features, wanted, share)
    return "y = Gemm<transB=1>(f, wy, by)", {"wy": weight, "by": bias}


def _ridge(x: Array, y: Array, share: float) -> tuple[Array, Array]:
    centre, mean = x.mean(0), y.mean(0)
    x, y = (x - centre).astype(np.float64), y - mean
    square = x.T @ x
    square += np.eye(len(square)) * np.trace(square) / len(square) * share
    weight = np.linalg.solve(square, x.T @ y).T
    return weight.astype(np.float32), (mean - weight @ centre).astype(np.float32)


def float_outputs(network: Trained) -> list[Array]:
    """What onnxruntime gives for the data that the network has not seen."""
    return run_onnx(network.proto, _feeds(list(network.held_out)))
