"""The example of a pass outside the package: examples/custom_pass.py."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from qcompiler.backends import LOIHI
from qcompiler.backends.energy.wiring import wiring_of
from qcompiler.ir import Builder, Constant, Graph, PipelineError, Tensor, Value, evaluate, verify
from qcompiler.ir.ann import Clip, Conv, Dense, MaxPool
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.integer_network import neuron_count
from qcompiler.ir.view import Reshape
from qcompiler.passes import Pipeline
from tests.support.spiking import writable

NAME = "custom_pass:DropDeadChannels"
TO_SPIKES = "fold-linear,normalize{low=-8 high=8},quantize,assign-windows,insert-readout"


@pytest.fixture(autouse=True)
def _examples_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "examples"))


class Net:
    """A chain of layers; parameters are small integers other than 0, so that sums are exact.

    ``w`` and ``b`` hold them by layer, to be changed before the graph is used.
    """

    def __init__(self, *shape: int) -> None:
        self.rng = np.random.default_rng(5)
        self.builder = Builder()
        self.value: Value = self.builder.input("x", Tensor(shape))
        self.w: dict[str, Array] = {}
        self.b: dict[str, Array] = {}

    def linear(self, op: Conv | Dense, name: str, *shape: int) -> "Net":
        signs = self.rng.choice([-1, 1], shape)
        weight = (self.rng.integers(1, 4, shape) * signs).astype(np.float32)
        bias = np.ones((shape[0], *(1,) * (len(shape) - 2)), np.float32)
        constants = Constant(f"{name}.w", weight), Constant(f"{name}.b", bias)
        for constant, held in zip(constants, (self.w, self.b), strict=True):
            held[name] = writable(constant)
        self.value = self.builder.add(op, self.value, *constants, name=name, origin=(name,))
        return self

    def conv(self, name: str, outs: int, groups: int = 1) -> "Net":
        op = Conv((1, 1), (1, 1, 1, 1), (1, 1), groups)
        return self.linear(op, name, outs, self.value.type.shape[0] // groups, 3, 3)

    def dense(self, name: str, outs: int) -> "Net":
        return self.linear(Dense(), name, outs, int(np.prod(self.value.type.shape)))

    def add(self, op: Clip | MaxPool | Reshape) -> "Net":
        self.value = self.builder.add(op, self.value, name="value")
        return self

    def relu(self) -> "Net":
        return self.add(Clip(0.0))

    def pool(self) -> "Net":
        return self.add(MaxPool((2, 2), (0,) * 4, (1, 1), (2, 2)))

    def flat(self) -> "Net":
        return self.add(Reshape((int(np.prod(self.value.type.shape)),)))

    def graph(self) -> Graph:
        return self.builder.build([self.value])


def convnet() -> Net:
    """Two convolutions, two dense layers; the ReLU and the pool stand in either order."""
    net = Net(2, 8, 8).conv("c1", 4).relu().pool().conv("c2", 5).pool().relu()
    return net.flat().dense("d1", 6).relu().dense("d2", 3)


def drop(graph: Graph, **options: float) -> Graph:
    text = "".join(f"{key}={value}" for key, value in options.items())
    return Pipeline.parse(f"{NAME}{{{text}}}").run(graph)


def outs(graph: Graph) -> dict[str, int]:
    """Number of outputs of each layer."""
    linear = (node for node in graph.nodes if node.origin)
    return {node.origin[0]: node.result.type.shape[0] for node in linear}


def assert_same(before: Graph, after: Graph) -> None:
    verify(after)
    shape = before.inputs[0].type.shape
    x = np.random.default_rng(6).integers(-8, 9, (7, *shape)).astype(np.float32)
    (expected,), (found,) = evaluate(before, x), evaluate(after, x)
    np.testing.assert_array_equal(found, expected)
    assert np.unique(expected).size > 1


def silence(net: Net, name: str, channel: int) -> None:
    net.w[name][channel] = 0
    net.b[name][channel] = -1


def test_drops_what_makes_no_difference_and_what_that_orphans() -> None:
    net = convnet()
    silence(net, "c1", 1)
    read_by_d1 = net.w["d1"].reshape(6, 5, 4)
    read_by_d1[:, 0] = 0  # nothing listens to channel 0 of c2
    read_by_d1[2] = -np.abs(read_by_d1[2])  # of inputs that are not negative: never active
    net.b["d1"][2] = 0
    read_by_d1[:, 3] *= np.arange(6).reshape(-1, 1) == 2  # only that one listens to channel 3
    graph = net.graph()
    smaller = drop(graph)
    assert outs(smaller) == {"c1": 3, "c2": 3, "d1": 5, "d2": 3}
    assert smaller.outputs == graph.outputs
    assert_same(graph, smaller)
    spiking, fewer = (Pipeline.parse(TO_SPIKES).run(g) for g in (graph, smaller))
    assert neuron_count(fewer) == neuron_count(spiking) - (64 + 16) - 2 * (16 + 4) - 1
    assert wiring_of(fewer).synapses < wiring_of(spiking).synapses


def test_leaves_a_network_without_dead_channels_alone() -> None:
    graph = convnet().graph()
    assert drop(graph) is graph


def test_threshold_is_the_largest_weight_that_counts_as_none() -> None:
    net = convnet()
    net.w["c2"][:, 3] = 0.25
    graph = net.graph()
    assert drop(graph) is graph
    assert outs(drop(graph, threshold=0.25))["c1"] == 3
    assert outs(drop(graph, threshold=0.24))["c1"] == 4


@pytest.mark.parametrize("bias", [0.0, -1.0])
def test_bias_of_each_pixel(bias: float) -> None:
    builder = Builder()
    x = builder.input("x", Tensor((1, 4, 4)))
    kernel = np.ones((2, 1, 1, 1), np.float32)
    kernel[1] = 0
    biases = np.full((2, 4, 4), bias, np.float32)
    biases[0, 2, 2] = 3
    parameters = Constant("w", kernel), Constant("b", biases)
    y = builder.add(Conv((1, 1), (0,) * 4, (1, 1)), x, *parameters, name="y", origin=("y",))
    y = builder.add(Clip(0.0), y, name="relu")
    dense = Constant("d", np.ones((2, 32), np.float32)), Constant("e", np.ones(2, np.float32))
    graph = builder.build([builder.add(Dense(), y, *dense, name="z", origin=("z",))])
    smaller = drop(graph)
    assert outs(smaller) == {"y": 1, "z": 2}
    assert_same(graph, smaller)
    writable(parameters[1])[1, 0, 3] = 1  # one pixel of the channel is active after all
    assert outs(drop(graph)) == {"y": 2, "z": 2}


def test_a_layer_keeps_its_last_channel() -> None:
    net = convnet()
    net.w["c2"][:] = 0
    smaller = drop(net.graph())
    assert outs(smaller)["c1"] == 1
    assert_same(net.graph(), smaller)


def kept(net: Net) -> bool:
    graph = net.graph()
    return drop(graph) is graph


def test_without_relu_a_constant_counts() -> None:
    net = Net(3).dense("a", 4).dense("b", 2)
    silence(net, "a", 1)
    assert kept(net)


def test_negative_inputs_can_drive_negative_weights() -> None:
    net = Net(3).dense("a", 4).relu().dense("b", 2)
    net.w["a"][1] = -1
    net.b["a"][1] = 0
    assert kept(net)


def test_leaves_grouped_convolutions_and_outputs_alone() -> None:
    for groups in ((1, 2), (2, 1)):
        net = Net(4, 4, 4).conv("a", 4, groups[0]).relu().conv("b", 4, groups[1]).relu()
        silence(net, "a", 1)
        silence(net, "b", 1)
        assert kept(net)


def test_leaves_layers_with_two_readers_alone() -> None:
    net = Net(3).dense("a", 4).relu()
    silence(net, "a", 1)
    branch = net.value
    first = net.dense("b", 2).value
    net.value = branch
    second = net.dense("c", 2).value
    graph = net.builder.build([first, second])
    assert drop(graph) is graph


def test_keeps_ranges() -> None:
    net = convnet()
    silence(net, "c1", 0)
    ranged = Pipeline.parse("normalize").run(net.graph())
    before = {node.result.name: node.result.type for node in ranged.nodes}
    for node in drop(ranged).nodes:
        old, new = before[node.result.name], node.result.type
        assert isinstance(old, Tensor)
        assert isinstance(new, Tensor)
        assert old.range
        assert new.range == old.range


def test_is_named_in_a_pipeline_and_read_back() -> None:
    text = f"fold-linear,{NAME}{{threshold=0.25}},normalize"
    pipeline = Pipeline.parse(text)
    assert str(pipeline) == text
    assert Pipeline.parse(str(pipeline)) == pipeline
    assert str(Pipeline.parse(NAME)) == NAME


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("threshold=-1", "threshold must be 0 or more, not -1.0"),
        ("threshold=nan", "threshold must be 0 or more, not nan"),
        ("threshold=low", "threshold cannot be 'low'"),
        ("depth=2", "has no option 'depth'"),
    ],
)
def test_refuses_wrong_options(options: str, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        Pipeline.parse(f"{NAME}{{{options}}}")


def test_the_command_in_its_docstring_names_a_pipeline() -> None:
    documented = importlib.import_module("custom_pass").__doc__ or ""
    text = documented.split('--passes "')[1].split('"')[0].replace("\n", "")
    assert f"{NAME}{{threshold=0.001}}" in str(Pipeline.parse(text))
    assert text.replace(f"{NAME}{{threshold=0.001}},", "") == LOIHI.pipeline


@pytest.mark.parametrize("folder", [".", "examples", "examples/digits"])
def test_runs_as_a_command_from_every_folder(folder: str, tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    here = root / folder
    script = os.path.relpath(root / "examples" / "custom_pass.py", here)
    model = os.path.relpath(root / "examples" / "digits" / "digits.onnx", here)
    passes = f"fold-batchnorm,fold-linear,{NAME},{TO_SPIKES.partition(',')[2]}"
    arguments = ["--target", "reference", "--passes", passes, "-q", "-o", str(tmp_path / "net")]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    subprocess.run(
        [sys.executable, script, model, *arguments], cwd=here, env=environment, check=True
    )
    assert NAME in (tmp_path / "net" / "manifest.json").read_text(encoding="utf-8")
