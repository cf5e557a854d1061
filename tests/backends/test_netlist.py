"""The netlist sends what the graph's synapses send, and its frames do not run into each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qcompiler.backends.loihi.mapping.chip_limits import check_chip_limits
from qcompiler.backends.loihi.mapping.chips import LOIHI_2
from qcompiler.backends.loihi.netlist import netlist
from qcompiler.backends.loihi.netlist.build_netlist import build_netlist
from qcompiler.backends.loihi.netlist.netlist import CLOCK, Netlist, Synapses
from qcompiler.backends.loihi.netlist.spike_io import InputEncoder
from qcompiler.backends.loihi.netlist.synapse_matrices import (
    split_weights,
    synapse_triples,
    synapses_of_weights,
)
from qcompiler.ir import Graph, Node, Value
from qcompiler.ir.kernels import Array, pool_sum
from qcompiler.ir.snn import Connect, Convolve, First, Population, Relay
from qcompiler.ir.spiking.frames import frame_interval
from qcompiler.ir.spiking.integer_network import connection, layer_of, spiking_nodes, weight_of
from qcompiler.ir.spiking.synapse import current
from qcompiler.ir.view import Reshape, Take, Transpose, View, arrange
from tests.support.spiking import Net, final, levels


def sent(row: Synapses, spikes: Array, group: netlist.Population) -> Array:
    """What a batch of spikes sends through synapses, ``batch x neurons``."""
    flat = spikes.reshape(len(spikes), -1)
    result = np.zeros((len(spikes), group.size), np.int64)
    pre, post, weight = synapse_triples(row, group.shape)
    assert weight.all()
    for frame, fired in zip(result, flat, strict=True):
        np.add.at(frame, post, weight * fired[pre])
    return result


def data_rows(netlist: Netlist, group: netlist.Population) -> list[Synapses]:
    return [
        row
        for row in netlist.synapses
        if row.target == group.name and row.source not in (CLOCK, group.name)
    ]


def clock_lines(netlist: Netlist, group: netlist.Population) -> dict[int, Array]:
    for row in netlist.synapses:
        if row.target == group.name and row.kind == "clock":
            return dict(zip(row.ticks, row.weights, strict=True))
    return {}


def inhibition(netlist: Netlist, group: netlist.Population) -> Array:
    (row,) = (r for r in netlist.synapses if r.target == r.source == group.name)
    found: Array = -np.broadcast_to(row.weights, group.shape).ravel()
    return found


def arranged(graph: Graph, value: Value, spikes: dict[str, Array]) -> Array:
    node = graph.producer(value)
    if node is None or not isinstance(node.op, View):
        return spikes[value.name]
    source = node.operands[0]
    assert isinstance(source, Value)
    return arrange(node.op, arranged(graph, source, spikes), *node.arrays)


def expected(graph: Graph, node: Node, spikes: dict[str, Array]) -> list[Array]:
    if isinstance(node.op, First):
        source = node.operands[0]
        assert isinstance(source, Value)
        return [2 * pool_sum(arranged(graph, source, spikes), node.op, node.op.kernel)]
    found = []
    for synapse in layer_of(graph, node).synapses:
        source = synapse.operands[0]
        assert isinstance(source, Value)
        x = arranged(graph, source, spikes)
        found.append(current(connection(synapse), x, weight_of(synapse)))
    return found


def check_synapses(graph: Graph) -> Netlist:
    netlist = build_netlist(graph)
    rng = np.random.default_rng(1)
    nodes = spiking_nodes(graph)
    spikes = {n.result.name: rng.integers(0, 2, (3, *n.result.type.shape)) for n in nodes}
    for group in netlist.populations:
        node = next(n for n in nodes if n.result.name == group.name)
        rows = data_rows(netlist, group)
        for row, total in zip(rows, expected(graph, node, spikes), strict=True):
            found = sent(row, spikes[row.source], group)
            np.testing.assert_array_equal(found, total.reshape(found.shape))
    return netlist


@pytest.mark.parametrize(
    ("stride", "pad", "groups", "kernel"),
    [(1, 0, 1, (3, 3)), (2, 1, 1, (3, 2)), (1, 2, 4, (3, 3)), (3, 1, 2, (2, 4))],
)
def test_convolution(stride: int, pad: int, groups: int, kernel: tuple[int, int]) -> None:
    net = Net(2)
    x = net.input((4, 7, 6))
    y = net.conv(x, 8, kernel, stride=stride, pad=pad, groups=groups)
    check_synapses(final(net.graph(y)))


def test_dilated_convolution_in_one_and_three_dimensions() -> None:
    for rank in (1, 3):
        net = Net(3)
        x = net.input((2, *(7, 6, 5)[:rank]))
        op = Convolve((1,) * rank, (0, 1, 2)[:rank] * 2, (2, 1, 3)[:rank])
        y = net.neurons(net.synapse(op, x, (3, 2, *(2,) * rank)))
        check_synapses(final(net.graph(y)))


def test_dense_behind_views() -> None:
    net = Net(4)
    x = net.view(Transpose((1, 2, 0)), net.input((3, 4, 5)))
    x = net.view(Take(0, (3, 1, 1)), x)
    y = net.dense(net.view(Reshape((45,)), x), 7)
    check_synapses(final(net.graph(y)))


def test_pool_and_relay() -> None:
    net = Net(5)
    x = net.input((2, 7, 7))
    a = net.pool(x, kernel=3, stride=2, pad=1)
    b = net.pool(a, kernel=2, stride=1)
    check_synapses(final(net.graph(net.neurons(net.synapse(Relay(), b, (2, 1, 3))))))


def test_addition_has_synapses_from_both() -> None:
    net = Net(6)
    netlist = check_synapses(final(net.graph(net.addition())))
    assert len(data_rows(netlist, netlist.populations[-1])) == 2


def test_interval_is_that_of_the_longest_windows() -> None:
    net = Net(7)
    x = net.input((6,), 9)
    graph = final(net.graph(net.dense(net.dense(x, 5, 9), 4, 9)))
    assert frame_interval(graph) == build_netlist(graph).interval == 2 * 8 + 2
    net = Net(7)
    x = net.input((6,), 4)
    graph = final(net.graph(net.dense(net.dense(x, 5, 16), 4, 2)))
    assert frame_interval(graph) == 3 + 15 + 2
    net = Net(7)
    graph = final(net.graph(net.pool(net.input((1, 4), 8), 2, 2)))
    assert frame_interval(graph) == 7 + 2


def simulate(netlist: Netlist, x: Array) -> dict[str, Array]:
    """Spike steps of pipelined frames, by the netlist's own rules, ``frames x neurons``."""
    encoders = {s.name: InputEncoder(s, x, netlist.interval) for s in netlist.sources}
    states = {g.name: np.zeros((2, g.size), np.int64) for g in netlist.populations}
    found = {g.name: np.full((len(x), g.size), -1) for g in netlist.populations}
    out: dict[str, Array] = {}
    for now in range(len(x) * netlist.interval + netlist.latency):
        arrived, out = (
            out,
            {name: encoder.spikes_at(now)[None] for name, encoder in encoders.items()},
        )
        for g in netlist.populations:
            u, v = states[g.name]
            if now % netlist.interval == g.open % netlist.interval:
                u[:] = v[:] = 0
            u *= g.persistent
            for row in (row for row in data_rows(netlist, g) if row.source in arrived):
                u += sent(row, arrived[row.source].astype(np.int64), g)[0]
            for at, weight in clock_lines(netlist, g).items():
                if now >= at and (now - at) % netlist.interval == 0:
                    u += np.broadcast_to(weight, g.shape).ravel()
            if g.name in arrived:
                u -= inhibition(netlist, g) * arrived[g.name][0]
            v += u
            fired = v > g.threshold
            v[fired] = 0
            out[g.name] = fired[None]
            frame = (now - g.open) // netlist.interval
            if 0 <= frame < len(x):
                assert (found[g.name][frame, fired] == -1).all()
                found[g.name][frame, fired] = now - frame * netlist.interval
    return found


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("t", [(2, 2, 2), (16, 3, 2), (3, 9, 16), (5, 5, 5)])
def test_frames_at_the_smallest_interval_compute_the_closed_form(
    seed: int, t: tuple[int, int, int]
) -> None:
    net = Net(seed, drive=1.0 if seed % 2 else 0.3)
    x = net.input((2, 5, 5), t[0])
    a = net.pool(net.conv(x, 3, (3, 3), pad=1, t_max=t[1]), kernel=2, stride=2)
    graph = net.graph(net.dense(a, 6, t[2], bias=3.0))
    data = net.rng.integers(0, t[0], (4, 2, 5, 5))
    ran = final(graph)
    netlist = build_netlist(ran)
    assert not list(check_chip_limits(netlist, replace(LOIHI_2, input=LOIHI_2.state)))
    found = simulate(netlist, data)
    for group in netlist.populations:
        q = levels(graph, data)[group.name].reshape(4, -1)
        np.testing.assert_array_equal(found[group.name], group.close - q)


def test_a_smaller_interval_loses_spikes() -> None:
    net = Net(1)
    graph = net.graph(net.dense(net.input((8,), 4), 20, 4, bias=3.0))
    data = net.rng.integers(0, 4, (4, 8))
    netlist = build_netlist(final(graph))
    (group,) = netlist.populations
    right = group.close - levels(graph, data)[group.name]
    np.testing.assert_array_equal(simulate(netlist, data)[group.name], right)
    faster = replace(netlist, interval=netlist.interval - 1)
    assert np.any(simulate(faster, data)[group.name] != right)


@pytest.mark.parametrize("unit", [1, 2, 4, 128])
def test_split_adds_up_to_even_8_bit_weights(unit: int) -> None:
    rng = np.random.default_rng(8)
    for size in (100, 127, 128, 254, 256, 16000, 32000, 200000):
        most = size // unit + 3
        weights = unit * rng.integers(-most, most, 500, endpoint=True)
        weights[:2] = -128, 3 * unit
        parts = split_weights(weights)
        total = sum(part * 2.0**exponent for part, exponent in parts)
        np.testing.assert_array_equal(total, weights)
        assert all(np.abs(part).max() <= 254 for part, _ in parts)
        assert all(not np.any(part % 2) for part, _ in parts)
        assert (len(parts) == 1) == (np.abs(weights).max() <= 127 * unit)
        each = sum((part != 0).astype(int) for part, _ in parts)
        np.testing.assert_array_equal(synapses_of_weights(weights), each)
    assert split_weights(np.zeros(3, np.int64)) == []


def test_weights_stored_in_16_bits_are_split_alike() -> None:
    weights = np.array([32767, -32768, 32700, -32641, 5], np.int16)
    total = sum(part * 2.0**exponent for part, exponent in split_weights(weights))
    np.testing.assert_array_equal(total, weights)


@pytest.mark.parametrize(("unit", "fits"), [(2, False), (4, True), (32, True), (256, True)])
def test_coarse_parts_of_few_bits_fit_a_chip(unit: int, fits: bool) -> None:
    """8 bits times a power of two, as parallel synapses of few weight bits have."""
    net, weights = Net(9), unit * np.arange(-60, 61, 15)
    weights[0] = -288 if unit < 256 else -2048
    current = net.builder.add(
        Connect(), net.input((9,)), net.constant("w", weights[None]), name="current"
    )
    found = build_netlist(final(net.graph(net.neurons(current))))
    told = [str(one) for one in check_chip_limits(found, LOIHI_2)]
    assert any("weights from %encoded" in text for text in told) != fits


def test_what_does_not_fit_is_listed_by_name() -> None:
    net = Net(9, largest=3001)
    y = net.dense(net.input((300,)), 3)
    found = [
        str(finding) for finding in check_chip_limits(build_netlist(final(net.graph(y))), LOIHI_2)
    ]
    assert any("weights from %encoded to %neurons" in text for text in found)
    assert any("the current of %neurons can reach" in text for text in found)
    assert any("the membrane of %neurons can reach" in text for text in found)


def test_split_weights_need_the_exponent_of_their_coarse_part() -> None:
    net = Net(9, drive=4.0)  # slopes, and with them inhibition, beyond one weight
    netlist = build_netlist(final(net.graph(net.dense(net.input((8,)), 3))))
    wide = replace(LOIHI_2, input=LOIHI_2.state)
    assert not list(check_chip_limits(netlist, wide))
    found = [str(finding) for finding in check_chip_limits(netlist, replace(wide, exponent=6))]
    assert len(found) == 2
    assert "the exponent of weights from the clock to %neurons" in found[0]
    assert "the exponent of weights from %neurons to %neurons" in found[1]
    assert all("can reach 7, Loihi 2 allows 6" in text for text in found)


def test_populations_carry_their_windows() -> None:
    net = Net(10)
    graph = final(net.graph(net.dense(net.pool(net.input((1, 4), 5), 2, 2), 3, 7)))
    netlist = build_netlist(graph)
    gate, cells = netlist.populations
    assert (gate.persistent, gate.open, gate.read, gate.close) == (False, 1, 1, 5)
    node = next(n for n in graph.nodes if isinstance(n.op, Population))
    assert isinstance(node.op, Population)
    assert (cells.open, cells.read, cells.close) == node.op.window == (2, 6, 12)
    assert netlist.latency == 13
    assert set(netlist.ticks) <= {2, 3, 6, 7, 12, 13}
