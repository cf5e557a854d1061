"""What is counted is what is wired: the matrices that Lava's network gets, entry by entry."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

import qcompiler
from qcompiler.backends.energy.wiring import Wiring, wiring_of
from qcompiler.backends.loihi.netlist.build_netlist import build_netlist
from qcompiler.backends.loihi.netlist.netlist import CLOCK
from qcompiler.backends.loihi.netlist.synapse_matrices import (
    split_weights,
    synapses_of_weights,
    weight_matrices,
)
from qcompiler.ir import Graph
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Convolve, Relay
from qcompiler.ir.view import Reshape, Take, Transpose
from tests.support.onnx_models import model
from tests.support.random_networks import LOIHI, compiled, random_network
from tests.support.spiking import Net, final

TWICE = (0, 0, 1, 1, 2, 2, 3, 3)


def held_in_matrices(graph: Graph) -> tuple[Counter[tuple[str, str]], dict[str, Array]]:
    """Entries other than 0 of all matrices of 8-bit weights, by projection and by sender."""
    netlist = build_netlist(graph)
    groups = {group.name: group for group in netlist.populations}
    sizes = {source.name: int(np.prod(source.shape)) for source in netlist.sources}
    sizes |= {name: group.size for name, group in groups.items()} | {CLOCK: len(netlist.ticks)}
    total: Counter[tuple[str, str]] = Counter()
    by_sender = {name: np.zeros(size, np.int64) for name, size in sizes.items()}
    for row in netlist.synapses:
        group = groups[row.target]
        shape = group.size, sizes[row.source]
        for matrix, _ in weight_matrices(row, netlist.ticks, shape, group, True):
            total[row.source, row.target] += matrix.nnz
            if row.source != row.target:
                by_sender[row.source] += np.bincount(matrix.indices, minlength=shape[1])
    return total, by_sender


def check(graph: Graph) -> Wiring:
    """Compare the counts of a network with its matrices."""
    wiring = wiring_of(graph)
    total, by_sender = held_in_matrices(graph)
    expected = {(CLOCK, name): n for name, n in wiring.clock_synapses.items()}
    expected |= {(name, name): n for name, n in wiring.inhibition.items()}
    assert {**wiring.data, **expected} == {pair: n for pair, n in total.items() if n}
    for name, fan_out in wiring.fan_out.items():
        np.testing.assert_array_equal(fan_out, by_sender[name], err_msg=name)
    assert wiring.synapses == total.total()
    for name in wiring.neurons:
        own = sum(count for (_, reader), count in total.items() if reader == name)
        assert wiring.synapses_into(name) == own, name
    assert wiring == replace(wiring)  # whatever has been asked of it
    return wiring


def test_convolutions_with_borders_strides_groups_and_views() -> None:
    net = Net(3, largest=120)
    x = net.input((2, 7, 6))
    a = net.conv(x, 4, (3, 3), stride=2, pad=1)
    b = net.conv(a, 4, (3, 2), pad=1, groups=4)
    b = net.pool(b, kernel=2, stride=1, pad=1)
    c = net.neurons(net.synapse(Relay(), b, (4, 1, 1)))
    size = int(np.prod(c.type.shape))
    d = net.view(Reshape((size,)), net.view(Transpose((1, 2, 0)), c))
    wiring = check(final(net.graph(net.dense(d, 10))))
    assert wiring.updated_neurons == sum(wiring.neurons.values()) - 84 + wiring.clock_neurons


def test_populations_of_one_layer_have_the_same_window() -> None:
    net = Net(3)
    x = net.input((6,))
    ends = [net.dense(net.dense(x, size), 4) for size in (5, 7)]
    windows = check(final(net.graph(*ends))).windows
    assert len(windows) == 4
    assert len({*windows.values()}) == 2


def test_dilated_kernels_with_uneven_padding() -> None:
    net = Net(4)
    x = net.input((3, 9, 8))
    op = Convolve((1, 2), (2, 0, 1, 3), (2, 3))
    check(final(net.graph(net.neurons(net.synapse(op, x, (2, 3, 3, 2))))))


def test_views_that_repeat_senders_merge_their_synapses() -> None:
    net = Net(5)
    x = net.input((2, 4))
    twice = net.view(Take(1, TWICE), x)
    op = Convolve((1,), (1, 1), (1,))
    kernel = net.neurons(net.synapse(op, twice, (3, 2, 3)))
    check(final(net.graph(net.dense(net.view(Take(0, (0, 1, 0, 2)), kernel), 5))))


def test_senders_that_nothing_reads() -> None:
    net = Net(7)
    x = net.input((6, 4))
    check(final(net.graph(net.dense(net.view(Take(0, (0, 1)), x), 5))))
    check(final(net.graph(net.dense(net.view(Take(0, (5, 1)), x), 5))))


def test_weights_beyond_8_bits_are_several_synapses() -> None:
    net = Net(6, largest=40_000)
    wiring = check(final(net.graph(net.dense(net.input((12,)), 6))))
    ((_, data),) = wiring.data.items()
    assert data > 12 * 6


def test_clocks_beyond_24_bits_are_more_synapses_than_a_byte_counts() -> None:
    weights = np.array([-15_269_888, (1 << 31) - 1, 8_323_072, 300, 0], np.int32)
    parts = [part != 0 for part, _ in split_weights(weights)]
    np.testing.assert_array_equal(synapses_of_weights(weights), np.sum(parts, axis=0))


IMAGES = np.maximum(0, np.random.default_rng(0).standard_normal((8, 1, 4, 4))).astype(np.float32)


def silent(body: str) -> qcompiler.Program:
    """A program whose zeros are silent, of a model of one image."""
    proto = model("float[N,1,4,4] x", body, k=(3, 1, 3, 3), w=(12, 5))
    return qcompiler.compile(proto, target="reference", calibration=IMAGES, code="silent")


def test_markers_that_nobody_reads_are_neither_sent_nor_counted() -> None:
    """A first-spike gate reads data only."""
    program = silent("y = MaxPool<kernel_shape=[2,2],strides=[2,2]>(x)")
    assert [source.coding for source in build_netlist(program.graph).sources] == ["silent"]
    wiring = check(program.graph)
    assert not wiring.marked
    counters = program.measure(IMAGES).counters
    spikes = program.spikes(IMAGES).values()
    assert counters.spikes == sum(int((steps >= 0).sum()) for steps in spikes)


@pytest.mark.parametrize("engine", ["fast", "steps", "events"])
def test_spikes_are_those_of_the_neurons_that_they_are_divided_by(engine: str) -> None:
    """Markers that the host sends are no neurons; those of populations are."""
    program = silent("a = Conv(x, k) r = Relu(a) f = Flatten(r) y = MatMul(f, w)")
    wiring, spikes = program.wiring, program.spikes(IMAGES)
    assert wiring.inputs & wiring.marked.keys() and wiring.marked.keys() - wiring.inputs
    senders = [wiring.marked.get(name, name) for name in wiring.senders]
    counters = program.measure(IMAGES, engine=engine).counters
    assert counters.spikes == sum(int((spikes[name] >= 0).sum()) for name in senders)
    assert counters.spikes <= len(IMAGES) * wiring.sending_neurons


@pytest.mark.parametrize("seed", range(6))
def test_random_networks(seed: int) -> None:
    check(compiled(random_network(seed, 4, branches=True), LOIHI))
