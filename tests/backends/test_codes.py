"""Every code computes the same integer network, spike for spike, on every engine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import qcompiler
from qcompiler.backends.loihi.lava.lava_engine import LavaEngine, Runtime
from qcompiler.backends.loihi.mapping.chips import LOIHI_2
from qcompiler.backends.loihi.netlist.build_netlist import build_netlist
from qcompiler.backends.reference.events.events_engine import EventsEngine
from qcompiler.backends.reference.fast.fast_engine import FastEngine
from qcompiler.backends.reference.steps_engine import StepsEngine
from qcompiler.ir import (
    Constant,
    Graph,
    InvalidGraph,
    PipelineError,
    ProgramError,
    UnsupportedModel,
    parse,
    show,
    verify,
)
from qcompiler.ir.snn import Convolve, Encode, Fanout, Population, Relay
from qcompiler.ir.spiking.codes import CODES
from qcompiler.ir.spiking.coding import step_of
from qcompiler.ir.spiking.frames import frame_interval
from qcompiler.ir.spiking.integer_network import layers, spikes_of, spiking_nodes
from qcompiler.ir.spiking.invariants import READ_OUT, SCHEDULED, SPIKING
from qcompiler.ir.spiking.senders import start
from qcompiler.ir.view import Reshape
from qcompiler.passes import Pipeline
from qcompiler.passes.scheduling.activity import activity
from tests.support.onnx_models import model
from tests.support.random_networks import LOIHI, PHASES, compiled, random_batch, random_network
from tests.support.spiking import Net, equal_neurons, levels

CODE = "choose-codes{{code={}}},insert-readout"
WIDE = replace(LOIHI_2, input=LOIHI_2.state)  # random networks take no care of the input's width


def coded(graph: Graph, code: str = "burst") -> Graph:
    """A network of integer neurons in one code, checked."""
    result = Pipeline.parse(f"assign-windows,{CODE.format(code)}").run(graph)
    verify(result, SPIKING, SCHEDULED, READ_OUT)
    return result


@pytest.mark.parametrize("code", ["silent", "burst"])
@given(seed=st.integers(0, 2**32 - 1), t_max=st.integers(2, 12), output_t_max=st.integers(2, 12))
@settings(max_examples=40, phases=PHASES)
def test_codes_compute_the_levels_of_single_spikes(
    code: str, seed: int, t_max: int, output_t_max: int
) -> None:
    graph = random_network(seed)
    batch = random_batch(graph, seed)
    options: dict[str, Any] = {"t_max": t_max, "output_t_max": output_t_max}
    try:
        single = compiled(graph, LOIHI, calibration=(batch[:4],), **options)
    except UnsupportedModel:
        assume(False)
    text = LOIHI.replace("insert-readout", CODE.format(code))
    other = compiled(graph, text, calibration=(batch[:4],), **options)
    golden = StepsEngine(other)(2 * batch, record=True)
    fast = FastEngine(other)(2 * batch, record=True)
    equal_neurons(FastEngine(single)(2 * batch, record=True).levels, golden.levels)
    equal_neurons(fast.levels, golden.levels)
    events = EventsEngine(other, StepsEngine(other))
    assert events.regular
    equal_neurons(events(2 * batch, record=True).levels, golden.levels)
    assert frame_interval(other) <= frame_interval(single)
    text = show(other)
    arrays = {constant.name: constant.data for constant in other.constants}
    assert show(parse(text, arrays)) == text


def convnet(seed: int, t: tuple[int, int, int]) -> tuple[Graph, np.ndarray[Any, Any]]:
    """Convolution, depthwise, pool, a branch that waits for the other, relay, view and dense."""
    net = Net(seed, largest=60, drive=0.5)
    x = net.input((2, 6, 5), t[0])
    a = net.conv(x, 3, (3, 3), pad=1, t_max=t[1])
    b = net.pool(net.conv(a, 3, (3, 3), pad=1, groups=3, t_max=t[1]), 2, 1, pad=1)
    c = net.neurons(net.synapse(Relay(), b, (3, 1, 1)), t_max=t[1])
    ahead = net.conv(a, 3, (2, 2), pad=1, t_max=t[1])
    op = Convolve((1, 1), (0, 0, 0, 0), (1, 1))
    d = net.neurons(*(net.synapse(op, one, (2, 3, 1, 1)) for one in (c, ahead)), t_max=t[1])
    graph = net.graph(net.dense(net.view(Reshape((84,)), d), 5, t[2]))
    return graph, net.rng.integers(0, t[0], (5, 2, 6, 5))


@pytest.mark.lava
@pytest.mark.parametrize("tag", ["fixed_pt", "floating_pt"])
@pytest.mark.parametrize("code", ["silent", "burst"])
@pytest.mark.parametrize("t", [(2, 2, 2), (5, 5, 5), (5, 3, 8), (3, 6, 2)])
def test_lava_spikes_in_every_code(t: tuple[int, int, int], code: str, tag: str) -> None:
    graph, data = convnet(sum(t), t)
    check_on_lava(coded(graph, code), graph, data, tag)


@pytest.mark.lava
@pytest.mark.parametrize("code", ["silent", "burst"])
def test_lavas_own_runtime_takes_every_code(code: str) -> None:
    graph, data = convnet(3, (4, 4, 4))
    check_on_lava(coded(graph, code), graph, data, "fixed_pt", "processes")


def check_on_lava(
    ran: Graph, graph: Graph, data: np.ndarray[Any, Any], tag: str, runtime: Runtime = "single"
) -> None:
    """Every first spike is where the closed form says; the engine checks that bursts go on."""
    found = LavaEngine(ran, tag, runtime, WIDE).spikes(data.astype(np.float32))
    expected = {}
    for node in spiking_nodes(ran):
        code, begin = spikes_of(node.result), start(ran, node.result)
        assert begin is not None
        expected[node.result.name] = step_of(code, begin, levels(graph, data)[node.result.name])
    equal_neurons(expected, found)


AUTO = "assign-windows,choose-codes{bias=1},insert-readout"  # no slope is small enough for bursts


def chosen(graph: Graph, data: np.ndarray[Any, Any], text: str = AUTO) -> Graph:
    """A network of integer neurons in the codes that cost least on these levels, checked."""
    given = {"calibration": (data.astype(np.float32),)}
    result = Pipeline.parse(text).given(given).run(graph)
    verify(result, SPIKING, SCHEDULED, READ_OUT)
    return result


def codings(graph: Graph) -> list[str]:
    """The codes of inputs."""
    return [node.op.coding for node in graph.nodes if isinstance(node.op, Encode)]


def sparse(t: tuple[int, int, int]) -> tuple[Graph, np.ndarray[Any, Any]]:
    """A network, and levels of which most are 0."""
    graph, data = convnet(7, t)
    return graph, data * (np.random.default_rng(0).random(data.shape) < 0.3)


@pytest.mark.parametrize("t", [(2, 2, 2), (9, 4, 16)])
def test_silent_zeros_of_inputs_change_no_spike(t: tuple[int, int, int]) -> None:
    graph, data = sparse(t)
    few = chosen(graph, data)
    assert codings(few) == ["silent"] and codings(chosen(graph, data * 0 + 1)) == ["one-spike"]
    found = StepsEngine(few)(data.astype(np.float32), record=True)
    equal_neurons(levels(graph, data), found.levels)
    equal_neurons(found.levels, FastEngine(few)(data.astype(np.float32), record=True).levels)
    clocks = [n for n in few.nodes if isinstance(n.op, Fanout) and n.op.role == "counterweight"]
    first = clocks[0].operands[1]
    assert isinstance(first, Constant) and not first.data.any()


@pytest.mark.lava
@pytest.mark.parametrize("tag", ["fixed_pt", "floating_pt"])
def test_lava_takes_codes_population_by_population(tag: str) -> None:
    graph, data = sparse((9, 4, 6))
    check_on_lava(chosen(graph, data), graph, data, tag)


def test_short_windows_make_bursts_and_long_ones_do_not() -> None:
    for t_max, code in ((3, "burst"), (32, "one-spike")):
        net = Net(5)
        graph = net.graph(net.dense(net.dense(net.input((30,), t_max), 20, t_max), 5, t_max))
        data = net.rng.integers(0, t_max, (20, 30))
        assert (codings(chosen(graph, data, AUTO.replace("bias=1", ""))) == ["burst"]) == (
            code == "burst"
        )


def test_markers_that_a_core_has_no_axons_for_are_not_sent() -> None:
    net = Net(1)
    graph, zeros = net.graph(net.dense(net.input((20,), 4), 3, 4)), np.zeros((4, 20))
    for fan_in, code in ((30, "one-spike"), (40, "silent")):
        text = AUTO.replace("bias=1", f"bias=1 fan_in={fan_in}")
        assert codings(chosen(graph, zeros, text)) == [code]


def test_activity_is_that_of_the_levels() -> None:
    graph, data = sparse((9, 4, 6))
    found = activity(graph, (data.astype(np.float32),))
    for name, q in levels(graph, data).items():
        np.testing.assert_allclose(found[name], ((q > 0).mean(), q.mean()), rtol=1e-12)


@pytest.fixture(scope="module")
def burst() -> Graph:
    return coded(convnet(1, (5, 5, 5))[0])


def changed(graph: Graph, role: str, more: int) -> Graph:
    """Spoil the weights of one role in the last population."""
    nodes = list(graph.nodes)
    index = max(i for i, n in enumerate(nodes) if isinstance(n.op, Fanout) and n.op.role == role)
    tick, weight = nodes[index].operands
    assert isinstance(weight, Constant)
    spoilt = Constant(weight.name, (weight.data + more).astype(np.int32))
    nodes[index] = replace(nodes[index], operands=(tick, spoilt))
    return replace(graph, nodes=tuple(nodes))


@pytest.mark.parametrize(
    ("role", "more", "message"),
    [
        ("align", 2, "do not span its window"),
        ("hold", 2, "does not undo its hold"),
        ("stop", 1 << 16, "do not stop before the next frame"),
        ("idle", 1 << 16, "do not stop before the next frame"),
    ],
)
def test_spoilt_bursts_are_refused(burst: Graph, role: str, more: int, message: str) -> None:
    with pytest.raises(InvalidGraph, match=message):
        verify(changed(burst, role, more), READ_OUT)


def test_a_burst_that_does_not_stop_is_an_error_when_it_runs(burst: Graph) -> None:
    data = convnet(1, (5, 5, 5))[1]
    with pytest.raises(ProgramError, match="miss the end of its window"):
        StepsEngine(changed(burst, "stop", 1 << 16))(data.astype(np.float32))


def test_a_lower_threshold_is_refused(burst: Graph) -> None:
    nodes = tuple(
        replace(n, op=replace(n.op, threshold=n.op.threshold - 2))
        if isinstance(n.op, Population)
        else n
        for n in burst.nodes
    )
    with pytest.raises(InvalidGraph, match="do not span its window"):
        verify(replace(burst, nodes=nodes), READ_OUT)


def test_one_population_cannot_read_the_other_code(burst: Graph) -> None:
    """Its neurons would keep, or forget, the wrong currents."""
    text = show(burst)
    mixed = text.replace(" coding=burst]", "]", 1).replace(" coding='burst'", "", 1)
    arrays = {constant.name: constant.data for constant in burst.constants}
    with pytest.raises(InvalidGraph, match="is a burst population and reads one-spike spikes"):
        verify(parse(mixed, arrays), READ_OUT)


def test_membranes_of_bursts_are_those_of_single_spikes() -> None:
    """So calibrated bounds of single spikes hold for bursts."""
    graph, _ = convnet(2, (5, 5, 5))
    both = zip(layers(coded(graph)), layers(graph), strict=True)
    for one, other in both:
        for found, expected in zip(one.drive.bounds, other.drive.bounds, strict=True):
            np.testing.assert_array_equal(found, expected)


def test_the_netlist_says_what_a_burst_is(burst: Graph) -> None:
    netlist = build_netlist(burst)
    assert all(source.coding == "burst" for source in netlist.sources)
    assert all(group.coding == "burst" and not group.persistent for group in netlist.populations)
    gates = [group for group in netlist.populations if group.bias is None]
    assert len(gates) == 1
    own = {row.target for row in netlist.synapses if row.source == row.target}
    assert own == {group.name for group in netlist.populations} - {gates[0].name}


def test_spikes_of_levels() -> None:
    for code in CODES.values():
        q = np.arange(6)
        sent = sum(code.sends(q, step, 5).astype(int) for step in range(-2, 9))
        np.testing.assert_array_equal(sent, code.spikes_of(q))


def test_an_unknown_code_is_one_sentence() -> None:
    with pytest.raises(
        PipelineError, match="code must be one of auto, one-spike, silent, burst, not x"
    ):
        Pipeline.parse("choose-codes{code=x}")


def test_bursts_that_add_up_beyond_the_chip_name_the_code() -> None:
    """Outputs have 64 levels at any t_max: fewer spike times would not help."""
    w, b = np.zeros((8, 4), np.float32), np.array([1, 2, -1, 0], np.float32)
    net = model("float[N,8] x", "a = Gemm(x, w, b)\ny = Relu(a)", w=w, b=b)
    x = np.random.default_rng(0).standard_normal((60, 8)).astype(np.float32)
    for t_max in (2, 16):
        with pytest.raises(InvalidGraph, match="another code than burst") as caught:
            qcompiler.compile(net, calibration=x, t_max=t_max, code="burst")
        assert "auto uses it where it fits" in str(caught.value)
        assert qcompiler.compile(net, calibration=x, t_max=t_max, code="auto")
