"""Lava's processes spike where the closed form says, neuron by neuron and step by step."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import qcompiler
from qcompiler.backends import LOIHI as LOIHI_TARGET
from qcompiler.backends.loihi import target
from qcompiler.backends.loihi.lava.lava_engine import LavaEngine, Runtime
from qcompiler.backends.loihi.mapping.chips import LOIHI_2
from qcompiler.backends.loihi.netlist.build_netlist import build_netlist
from qcompiler.backends.program.program import Program
from qcompiler.ir import Builder, Constant, DataError, Graph, ProgramError, Tensor, verify
from qcompiler.ir.ann import Clip, Dense
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Relay
from qcompiler.ir.view import Reshape, Transpose
from tests.support.onnx_models import model
from tests.support.random_networks import LOIHI, compiled, random_network
from tests.support.spiking import Net, final, levels, same_spikes, writable

pytestmark = pytest.mark.lava
TAGS = ("fixed_pt", "floating_pt")
FRAMES = 5
WIDE = replace(LOIHI_2, input=LOIHI_2.state)  # random networks take no care of the input's width


def check(graph: Graph, data: Array, tag: str, runtime: Runtime = "single") -> int:
    """Run a network of integer neurons and compare every spike; return how many there were."""
    engine = LavaEngine(final(graph), tag, runtime, WIDE)
    done: list[int] = []
    found = engine.spikes(data.astype(np.float32), progress=done.append)
    expected = levels(graph, data)
    assert found.keys() == expected.keys()
    closes = {s.name: s.start + s.t_max - 1 for s in engine.netlist.sources}
    closes |= {group.name: group.close for group in engine.netlist.populations}
    for name, q in expected.items():
        assert found[name].dtype == np.int64
        np.testing.assert_array_equal(found[name], closes[name] - q, err_msg=name)
    assert done == list(range(1, len(data) + 1))
    return sum(steps.size for steps in found.values())


def convnet(seed: int, t: tuple[int, int, int], drive: float) -> tuple[Graph, Array]:
    """Convolution with padding and stride, depthwise, pool, relay, views and dense."""
    net = Net(seed, largest=120, drive=drive)
    x = net.input((2, 7, 6), t[0])
    a = net.conv(x, 4, (3, 3), stride=2, pad=1, t_max=t[1])
    b = net.conv(a, 4, (3, 3), pad=1, groups=4, t_max=t[2])
    b = net.pool(b, kernel=2, stride=1, pad=1)
    c = net.neurons(net.synapse(Relay(), b, (4, 1, 1)), t_max=t[1])
    d = net.view(Reshape((80,)), net.view(Transpose((1, 2, 0)), c))
    graph = net.graph(net.dense(d, 10, t[2], bias=2.0))
    return graph, net.rng.integers(0, t[0], (FRAMES, 2, 7, 6))


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("t", [(2, 2, 2), (3, 3, 3), (16, 16, 16), (16, 3, 2), (2, 3, 16)])
def test_random_convnets(t: tuple[int, int, int], tag: str) -> None:
    graph, data = convnet(sum(t), t, drive=1.0 if t[0] == t[1] else 0.2)
    assert check(graph, data, tag, "single")


@pytest.mark.parametrize(
    ("t", "tag"), [((3, 3, 3), "floating_pt"), ((16, 3, 2), "fixed_pt"), ((2, 3, 16), "fixed_pt")]
)
def test_random_convnets_in_processes(t: tuple[int, int, int], tag: str) -> None:
    graph, data = convnet(sum(t), t, drive=1.0 if t[0] == t[1] else 0.2)
    assert check(graph, data, tag, "processes")


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("bias", [-40.0, 40.0])
def test_very_negative_and_saturated_potentials(bias: float, tag: str) -> None:
    net = Net(11, drive=0.05)
    x = net.input((40,), 16)
    y = net.dense(x, 30, 16)
    for node in net.builder.nodes[-1:]:
        writable(node.operands[1])[:] = int(bias * 254)
    graph = net.graph(net.dense(y, 12, 16))
    assert check(graph, net.rng.integers(0, 16, (FRAMES, 40)), tag)


@pytest.mark.parametrize("tag", TAGS)
def test_addition_with_a_relay_as_delay(tag: str) -> None:
    net = Net(12)
    check(net.graph(net.addition(t_max=8)), net.rng.integers(0, 4, (FRAMES, 3, 5, 5)), tag)


@pytest.mark.parametrize("delay", [0, 5, 63])
@pytest.mark.parametrize("seed", range(6))
def test_compiled_networks_with_branches(seed: int, delay: int) -> None:
    graph, rng = random_network(seed, branches=True), np.random.default_rng(seed)
    batch = rng.standard_normal((8, *graph.inputs[0].type.shape)).astype(np.float32)
    pipeline = LOIHI.replace("assign-windows", f"assign-windows{{delay={delay}}}")
    ran = compiled(graph, pipeline, calibration=(batch,), t_max=4 + seed)
    verify(ran, *target.LOIHI.requires)
    x = np.concatenate([batch[:2], 50 * batch[:1], -50 * batch[:1], 0 * batch[:1]])
    expected = Program(ran, target.LOIHI, {}).spikes(x)
    # Operating-system processes take long: for a small network, and at the ends of the delays.
    both = seed == 4 and delay in (0, 63)
    runtimes: tuple[Runtime, ...] = ("single", "processes") if both else ("single",)
    for runtime in runtimes:
        found = LavaEngine(ran, runtime=runtime).spikes(x)
        for name, steps in expected.items():
            np.testing.assert_array_equal(found[name], steps, err_msg=name)


def drained(seed: int = 582) -> Graph:
    """Dense layers of which the first are silent but for their weights: clocks alone drive them."""
    rng, build = np.random.default_rng(seed), Builder("drained")
    inputs = int(rng.integers(4, 40))
    value, size = build.input("x", Tensor((inputs,))), inputs
    depth, levels_ = int(rng.integers(3, 5)), int(rng.choice([8, 16, 32]))
    for k in range(depth):
        outputs = int(rng.integers(3, 16))
        shift = (-1.5, 1.0, 0, 0)[k] * rng.uniform(0.3, 1.6)
        weight = rng.standard_normal((outputs, size)) * rng.choice([0.2, 1]) + shift
        weight /= np.sqrt(size)
        bias = -weight.sum(1) * rng.uniform(0.2, 0.8)
        constants = Constant(f"w{k}", weight.astype("f4")), Constant(f"b{k}", bias.astype("f4"))
        value = build.add(Dense(), value, *constants, name=f"d{k}")
        value, size = build.add(Clip(0.0), value, name=f"r{k}"), outputs
    pipeline = LOIHI.replace("normalize", f"normalize{{output_t_max={levels_}}}")
    pipeline = pipeline.replace("quantize{", f"quantize{{output_t_max={levels_} ")
    batch = rng.random((30, inputs)).astype(np.float32)
    return compiled(build.build([value]), pipeline, calibration=(batch,), t_max=levels_)


def test_the_last_frame_ends_undisturbed() -> None:
    graph = drained()
    x = np.random.default_rng(1).random((3, *graph.inputs[0].type.shape)).astype(np.float32)
    expected = Program(graph, target.LOIHI, {}).spikes(x)
    for name, steps in LavaEngine(graph, runtime="single").spikes(x).items():
        np.testing.assert_array_equal(steps, expected[name], err_msg=name)


def test_clocks_may_have_nothing_to_send() -> None:
    build = Builder("relay")
    value = build.add(Clip(0.0), build.input("x", Tensor((3,))), name="y")
    x = np.random.default_rng(1).random((4, 3)).astype(np.float32)
    options = {"t_max": 64, "weight_bits": 2, "digits": 1}
    graph = compiled(build.build([value]), LOIHI, calibration=(x,), **options)
    found = LavaEngine(graph, runtime="single").spikes(x)
    np.testing.assert_array_equal(found["y"], Program(graph, target.LOIHI, {}).spikes(x)["y"])


def test_large_pool_needs_a_large_inhibition() -> None:
    net = Net(13)
    x = net.pool(net.input((1, 13, 13), 8), kernel=13, stride=1)
    netlist = build_netlist(final(net.graph(net.dense(x, 2, 4))))
    (itself,) = (row for row in netlist.synapses if row.source == row.target != "neurons")
    assert -itself.weights.min() == 512 >= 2 * 13 * 13
    net = Net(13)
    x = net.pool(net.input((1, 13, 13), 8), kernel=13, stride=1)
    graph = net.graph(net.dense(x, 2, 4))
    data = net.rng.integers(0, 8, (FRAMES, 1, 13, 13))
    data[0] = 0  # every spike at once
    check(graph, data, "fixed_pt")


def dense_graph() -> Graph:
    net = Net(14)
    return final(net.graph(net.dense(net.input((6,), 4), 5, 4)))


def test_records_what_is_asked_for_and_leaves_logging_alone() -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    engine = LavaEngine(dense_graph(), runtime="processes")
    data = np.zeros((2, 6), np.float32)
    assert engine.spikes(data, record=["neurons"]).keys() == {"neurons"}
    assert engine.spikes(data, record=["encoded"]).keys() == {"encoded"}
    assert engine.spikes(data[:0])["neurons"].shape == (0, 5)
    assert (root.handlers, root.level) == before
    with pytest.raises(ProgramError, match="no %nobody"):
        engine.spikes(data, record=["nobody"])
    with pytest.raises(DataError, match="takes"):
        engine.spikes(np.zeros((2, 7), np.float32))


@pytest.mark.parametrize("weight", [3, -127, 129])
def test_odd_weights_take_half_of_the_unit(weight: int) -> None:
    """One synapse has no more than half of the weight then."""
    net = Net(15, largest=100)
    y = net.dense(net.input((6,), 4), 5, 4)
    writable(net.builder.nodes[1].operands[1])[0, 0] = weight
    graph = final(net.graph(y))
    if weight > 127:
        with pytest.raises(ProgramError, match="can reach 129, Loihi 2 allows 127"):
            LavaEngine(graph)
        LavaEngine(graph, "floating_pt")
        return
    same_spikes(Program(graph, LOIHI_TARGET, {}), "lava-single", net.rng.integers(0, 4, (4, 6)))


def test_an_error_while_running_stops_all_processes() -> None:
    engine = LavaEngine(dense_graph(), runtime="processes")

    def fail(done: int) -> None:
        raise ZeroDivisionError(done)

    with pytest.raises(ZeroDivisionError):
        engine.spikes(np.zeros((3, 6), np.float32), progress=fail)
    assert engine.spikes(np.zeros((1, 6), np.float32))["neurons"].shape == (1, 5)


SCRIPT = """
import sys
import numpy as np
from qcompiler.backends.loihi.lava.lava_engine import LavaEngine

sys.path.insert(0, ".")
from tests.support.spiking import Net, final

net = Net(14)
graph = final(net.graph(net.dense(net.input((6,), 4), 5, 4)))

def show_progress(done):
    print(done, flush=True)

frames = int(sys.argv[1])
engine = LavaEngine(graph, runtime="processes")
found = engine.spikes(np.zeros((frames, 6), np.float32), progress=show_progress)
print("shape", found["neurons"].shape)
"""


def script(frames: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(frames)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_a_script_needs_no_main_guard() -> None:
    out, err = script(2).communicate(timeout=60)
    assert out.split("\n")[-2] == "shape (2, 5)"
    assert err == ""


def gone(group: int) -> bool:
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def test_an_interrupt_ends_all_processes() -> None:
    process = script(100_000)
    assert process.stdout is not None
    assert process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)  # what Ctrl-C does: every process gets it
    _, err = process.communicate(timeout=60)  # until all of them have closed their ends
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert err.count("Traceback") == 1
    assert gone(process.pid)


def test_an_input_whose_weights_are_all_zero_takes_no_process() -> None:
    """Lava's runtime of several processes refuses an injector that nothing is connected to."""
    rng = np.random.default_rng(0)
    small = (1e-4 * rng.standard_normal((4, 3))).astype(np.float32)
    proto = model(
        "float[N,4] x, float[N,4] z",
        "a = MatMul(x, w) b = MatMul(z, v) s = Add(a, b) y = Relu(s)",
        w=(4, 3),
        v=small,
    )
    x, z = rng.random((2, 60, 4)).astype(np.float32)
    program = qcompiler.compile(proto, calibration={"x": x, "z": z}, t_max=4, target="loihi")
    expected = program.spikes(x[:2], z[:2], engine="steps")
    found = LavaEngine(program.graph, runtime="processes").spikes(x[:2], z[:2])
    assert found.keys() == expected.keys()
    for name, steps in expected.items():
        np.testing.assert_array_equal(found[name], steps)
