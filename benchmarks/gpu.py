"""Energy and time of a trained network on a graphics processor, measured, as a table.

    python benchmarks/gpu.py MODEL.onnx ... [--seconds 4]

It needs PyTorch with CUDA and the package nvidia-ml-py, which `make install` does not bring. The
network runs in half precision as one CUDA graph, which leaves out what Python and launches cost, on
random inputs: neither time nor energy of dense kernels hangs on the values much.

The energy is what the board's own counter adds up over the seconds. ``idle`` is the board at rest
in the clocks of the run before; ``above idle`` leaves it out, as the models of chips leave out a
host. The delay is of a batch, as a frame's answer waits for its batch. The energy-delay product is
the energy of a frame, idle included, times the delay.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pynvml
import torch
from torch.nn import functional

BATCHES = (1, 64, 1024)
COLUMNS = (
    *("network", "batch", "images/s", "delay us", "W", "idle W"),
    *("uJ a frame", "above idle", "EDP uJs", "same class"),
)


def main() -> None:
    """Print one row a network and batch."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement (4)")
    given = parser.parse_args()
    torch.set_grad_enabled(False)
    pynvml.nvmlInit()
    board = pynvml.nvmlDeviceGetHandleByIndex(0)
    print(f"{torch.cuda.get_device_name(0)}, PyTorch {torch.__version__}, half precision\n")
    print("|", " | ".join(COLUMNS), "|")
    print("|" + "---|" * len(COLUMNS))
    for path in given.models:
        for batch in BATCHES:
            cells = measured(path, batch, board, given.seconds)
            print("|", " | ".join([path.stem, str(batch), *cells]), "|", flush=True)


def measured(path: Path, batch: int, board: Any, seconds: float) -> list[str]:
    """The cells of a row behind network and batch."""
    model = onnx.load(path)
    image = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim][1:]
    images = np.random.default_rng(0).normal(size=(batch, *image)).astype(np.float32)
    inputs = torch.from_numpy(images).cuda().half()
    if inputs.ndim == 4:
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    network = TorchNetwork(model)
    replay, outputs = captured(network, inputs)
    spin(replay, seconds / 4)
    joules, frames, took = spin(replay, seconds, board)
    idle = rest(board, seconds / 2)
    replay()
    same = agreement(path, images, outputs.float().cpu().numpy())
    frame, above = joules / frames / batch, (joules - idle * took) / frames / batch
    delay = took / frames
    return [
        *(f"{batch / delay:,.0f}", f"{delay * 1e6:,.3g}", f"{joules / took:.0f}", f"{idle:.0f}"),
        *(f"{frame * 1e6:,.3g}", f"{above * 1e6:,.3g}", f"{frame * delay * 1e6:.3g}", same),
    ]


def captured(network: TorchNetwork, inputs: Any) -> tuple[Callable[[], None], Any]:
    """A function that runs the network once on these inputs, and its outputs, which it writes."""
    torch.backends.cudnn.benchmark = True
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(3):
            network(inputs)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = network(inputs)
    return graph.replay, outputs


def spin(
    replay: Callable[[], None], seconds: float, board: Any | None = None
) -> tuple[float, int, float]:
    """Joules, runs and seconds of running again and again."""
    torch.cuda.synchronize()
    begin, energy, runs = time.perf_counter(), counter(board), 0
    while time.perf_counter() - begin < seconds:
        for _ in range(50):
            replay()
        torch.cuda.synchronize()
        runs += 50
    return counter(board) - energy, runs, time.perf_counter() - begin


def rest(board: Any, seconds: float) -> float:
    """Watts of the board while nothing runs, after a moment."""
    time.sleep(seconds / 4)
    begin, energy = time.perf_counter(), counter(board)
    time.sleep(seconds)
    return (counter(board) - energy) / (time.perf_counter() - begin)


def counter(board: Any | None) -> float:
    """Joules since the driver was loaded."""
    return pynvml.nvmlDeviceGetTotalEnergyConsumption(board) / 1e3 if board else 0.0


def agreement(path: Path, images: Any, outputs: Any) -> str:
    """Share of at most 64 images that onnxruntime in single precision puts into the same class."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    some = images[:64]
    feed = {session.get_inputs()[0].name: some}
    known = np.concatenate(
        [session.run(None, {k: v[i : i + 1] for k, v in feed.items()})[0] for i in range(len(some))]
    )
    same = known.reshape(len(some), -1).argmax(1) == outputs[:64].reshape(len(some), -1).argmax(1)
    return f"{same.sum()} of {len(some)}"


class TorchNetwork:
    """The nodes of an ONNX model as PyTorch functions, as many kinds as the networks here need."""

    def __init__(self, model: onnx.ModelProto) -> None:
        graph = model.graph
        self.source, self.result = graph.input[0].name, graph.output[0].name
        self.nodes = [n for n in graph.node if n.op_type != "Constant"]
        named = {t.name: t for t in graph.initializer}
        named |= {n.output[0]: n.attribute[0].t for n in graph.node if n.op_type == "Constant"}
        self.values: dict[str, Any] = {"": None}
        for name, tensor in named.items():
            array = torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy())
            real = array.is_floating_point()
            self.values[name] = array.half().cuda() if real else array.tolist()

    def __call__(self, inputs: Any) -> Any:
        """The output for a batch of inputs."""
        values = self.values | {self.source: inputs}
        for node in self.nodes:
            given = [values[name] for name in node.input]
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            values[node.output[0]] = FUNCTIONS[node.op_type](given, attributes)
        return values[self.result]


def conv(given: list[Any], a: dict[str, Any]) -> Any:
    """Pads are one number a side here, or are put around the values first."""
    x, weight, *bias = given
    x = padded(x, a)
    return functional.conv2d(
        x,
        weight,
        *bias,
        stride=a.get("strides", 1),
        dilation=a.get("dilations", 1),
        groups=a.get("group", 1),
    )


def padded(x: Any, a: dict[str, Any], value: float = 0.0) -> Any:
    """Values with the pads of a two-dimensional kernel around them."""
    top, left, bottom, right = a.get("pads", (0, 0, 0, 0))
    pads = (left, right, top, bottom)
    return functional.pad(x, pads, value=value) if any(pads) else x


def max_pool(given: list[Any], a: dict[str, Any]) -> Any:
    """Pads never win."""
    x = padded(given[0], a, float("-inf"))
    kernel, stride = a["kernel_shape"], a.get("strides", 1)
    return functional.max_pool2d(x, kernel, stride, ceil_mode=bool(a.get("ceil_mode", 0)))


def gemm(given: list[Any], a: dict[str, Any]) -> Any:
    """A dense layer without factors."""
    x, weight, *bias = given
    return functional.linear(x, weight if a.get("transB") else weight.t(), *bias)


def cut(given: list[Any], a: dict[str, Any]) -> Any:
    """A slice with positive steps."""
    x, starts, ends, axes, steps = given
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        part = [slice(None)] * x.ndim
        part[axis] = slice(start, end, step)
        x = x[tuple(part)]
    return x


def pad(given: list[Any], a: dict[str, Any]) -> Any:
    """Zeros around all axes."""
    before, after = given[1][: len(given[1]) // 2], given[1][len(given[1]) // 2 :]
    pairs = [n for pair in zip(reversed(before), reversed(after), strict=True) for n in pair]
    return functional.pad(given[0], pairs)


FUNCTIONS: dict[str, Callable[[list[Any], dict[str, Any]], Any]] = {
    "Add": lambda given, a: given[0] + given[1],
    "AveragePool": lambda given, a: functional.avg_pool2d(
        given[0], a["kernel_shape"], a.get("strides", 1)
    ),
    "Concat": lambda given, a: torch.cat(given, a["axis"]),
    "Conv": conv,
    "Flatten": lambda given, a: given[0].flatten(1),
    "Gemm": gemm,
    "GlobalAveragePool": lambda given, a: given[0].mean((2, 3), keepdim=True),
    "MaxPool": max_pool,
    "Pad": pad,
    "Relu": lambda given, a: given[0].relu(),
    "Reshape": lambda given, a: given[0].flatten(1),
    "Slice": cut,
}


if __name__ == "__main__":
    main()
