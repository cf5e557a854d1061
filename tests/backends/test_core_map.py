"""Populations on cores: counts against unrolled synapses, limits, and what does not fit."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.backends.chip import Chip
from qcompiler.backends.energy.cores import Cores
from qcompiler.backends.loihi.mapping.chips import LOIHI_1, LOIHI_2
from qcompiler.backends.loihi.mapping.convolution_cost import ConvolutionCost
from qcompiler.backends.loihi.mapping.core_grid import CoreGrid, channels_and_positions
from qcompiler.backends.loihi.mapping.core_load import CoreLoad
from qcompiler.backends.loihi.mapping.core_map import Loads, map_to_cores
from qcompiler.backends.loihi.mapping.core_mapping import CoreMapping
from qcompiler.backends.loihi.mapping.core_usage import CoreUsage
from qcompiler.backends.loihi.mapping.moved_cost import MovedCost
from qcompiler.backends.loihi.mapping.one_to_one_cost import SpreadCost
from qcompiler.backends.loihi.mapping.population_costs import costs_of
from qcompiler.backends.loihi.mapping.population_mapper import PopulationMapper
from qcompiler.backends.loihi.mapping.projection_cost import cost_of
from qcompiler.backends.loihi.mapping.shared_cores import shared_cores
from qcompiler.backends.loihi.mapping.synapse_memory import synapse_bits
from qcompiler.backends.loihi.netlist.build_netlist import build_netlist
from qcompiler.backends.loihi.netlist.netlist import (
    CLOCK,
    Netlist,
    Population,
    Synapses,
    marker_name,
)
from qcompiler.backends.loihi.netlist.synapse_matrices import split_weights, synapse_triples
from qcompiler.ir import Graph
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Convolve, Relay
from qcompiler.ir.view import Reshape, Take, Transpose, View
from tests.support.spiking import Net, final

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
GRIDS = ((1, 1), (2, 1), (1, 3), (3, 4), (2, 5), (5, 2))


def convolution(seed: int) -> Graph:
    net = Net(seed)
    x = net.input((4, 7, 6))
    a = net.conv(x, 8, (3, 2), stride=1 + seed % 3, pad=1, groups=(1, 2, 4)[seed % 3])
    return net.graph(net.dense(a, 5))


def dilated(rank: int) -> Graph:
    net = Net(rank)
    x = net.input((2, *(7, 6, 5)[:rank]))
    op = Convolve((1,) * rank, (0, 1, 2)[:rank] * 2, (2, 1, 3)[:rank])
    return net.graph(net.neurons(net.synapse(op, x, (3, 2, *(2,) * rank))))


def views() -> Graph:
    net = Net(4)
    a = net.conv(net.input((3, 4, 5)), 3, (1, 1))
    b = net.view(Transpose((2, 0, 1)), a)
    c = net.conv(b, 4, (2, 2), groups=1)
    return net.graph(net.dense(net.view(Reshape((24,)), c), 7))


def pools() -> Graph:
    net = Net(5)
    a = net.pool(net.input((2, 9, 9)), kernel=3, stride=2, pad=1)
    b = net.pool(a, kernel=2, stride=1)
    return net.graph(net.neurons(net.synapse(Relay(), b, (2, 1, 4))))


def branches() -> Graph:
    net = Net(6)
    a, b = net.branches()
    op = Convolve((1, 1), (1, 1, 1, 1), (1, 1))
    return net.graph(net.neurons(net.synapse(op, a, (3, 3, 3, 3)), net.synapse(Relay(), b, (1,))))


def spread() -> Graph:
    """A gate of each channel, as a branch beside its image."""
    net = Net(7)
    x = net.input((3, 4, 5))
    gate = net.conv(x, 3, (4, 5))
    wide = net.view(Take(2, (0,) * 5), net.view(Take(1, (0,) * 4), gate))
    image, weights = net.synapse(Relay(), x, (1,)), net.synapse(Relay(), wide, (3, 4, 5))
    return net.graph(net.neurons(image, weights))


def leading(channels: int) -> Graph:
    """Layers that read the first channels of a population, and all of them."""
    net = Net(9)
    x = net.conv(net.input((3, 4, 5)), 3, (1, 1))
    first = net.synapse(Relay(), net.view(Take(0, tuple(range(channels))), x), (1,))
    kernel = net.synapse(Convolve((1, 1), (0,) * 4, (1, 1)), x, (channels, 3, 1, 1))
    return net.graph(net.neurons(first, kernel))


def gathered(*views: View) -> Graph:
    """A branch that sees the other's neurons several times."""
    net = Net(8)
    x = net.conv(net.input((3, 4, 5)), 3, (1, 1))
    y = x
    for view in views:
        y = net.view(view, y)
    return net.graph(net.neurons(net.synapse(Relay(), y, (1,))))


REPEATED = (  # in channels, in positions, and in neither by itself
    (Take(0, (0, 2, 0)), Take(1, (3, 1, 1, 0))),
    (Take(2, (4, 4, 4, 4, 0)),),
    (Reshape((60,)), Take(0, tuple(n * n % 31 for n in range(60))), Reshape((3, 4, 5))),
)


NETWORKS: tuple[Callable[[], Graph], ...] = (
    *(partial(convolution, seed) for seed in range(6)),
    *(partial(dilated, rank) for rank in (1, 2, 3)),
    *(views, pools, branches, spread),
    *(partial(leading, channels) for channels in (1, 2)),
    *(partial(gathered, *views) for views in REPEATED),
)


def cores_of(grid: CoreGrid) -> Array:
    """The core of every neuron."""
    numbers = np.full((grid.channels, grid.positions), -1)
    for i in range(grid.rows):
        for j in range(grid.columns):
            here = numbers[
                grid.channel_starts[i] : grid.channel_starts[i + 1],
                grid.position_starts[j] : grid.position_starts[j + 1],
            ]
            assert here.size
            assert (here == -1).all()
            here[...] = i * grid.columns + j
    assert (numbers >= 0).all()
    return numbers.ravel()


def unrolled(
    row: Synapses, group: Population, grid: CoreGrid, senders: int
) -> tuple[CoreLoad, Array, int]:
    """What `ProjectionCost` counts, by single synapses; with zero weights of kernels, clocks."""
    shape = group.shape
    if row.kind == "clock":
        ticks = [line for line in row.weights for _ in split_weights(line)]
        pre, post = (x.ravel() for x in np.indices((len(ticks), group.size)))
        synapses = [(pre, post)]
    elif row.kind == "kernel":
        whole = replace(row, weights=np.ones_like(row.weights))
        synapses = [synapse_triples(whole, shape)[:2]] * len(split_weights(row.weights))
    else:
        parts = [replace(row, weights=part) for part, _ in split_weights(row.weights)]
        synapses = [synapse_triples(part, shape)[:2] for part in parts]
    core = cores_of(grid)
    width = max(senders, 1 + max(int(pre.max(initial=0)) for pre, _ in synapses))
    sent, totals = np.zeros(width, np.int64), np.zeros((2, grid.cores), np.int64)
    for pre, post in synapses:
        keys, counts = np.unique(core[post] * width + pre, return_counts=True)
        sent += np.bincount(keys % width, minlength=width)
        bits = [expected_bits(int(n), grid.neurons, row.delay) for n in counts]
        for line, each in zip(totals, (np.ones_like(counts), bits), strict=True):
            np.add.at(line, keys // width, each)
    counted = sum(len(pre) for pre, _ in synapses)
    return CoreLoad(*totals.reshape(2, grid.rows, grid.columns)), sent, counted


def expected_bits(synapses: int, neurons: int, delay: int) -> int:
    """As a loop over blocks."""
    index = min(b for b in (0, 6, 7, 8, 9, 10, 11, 12, 13) if 2**b >= neurons)
    found = 0
    for begin in range(0, synapses, 64):
        used = min(64, synapses - begin) * (8 + index + 6 * (delay > 0)) + 10
        found += (used + 63) // 64 * 64
    return found


@pytest.mark.parametrize("delay", [0, 3])
def test_memory(delay: int) -> None:
    for neurons in (1, 2, 64, 65, 4096, 8192):
        counts = np.arange(200)
        expected = [expected_bits(n, neurons, delay) for n in counts]
        np.testing.assert_array_equal(synapse_bits(counts, neurons, delay), expected)


def grids(group: Population) -> list[CoreGrid]:
    channels, positions = channels_and_positions(group)
    found = [CoreGrid(channels, positions, channels, positions)]
    return found + [
        CoreGrid(channels, positions, min(r, channels), min(c, positions)) for r, c in GRIDS
    ]


@pytest.mark.parametrize("network", NETWORKS)
def test_counts_are_those_of_unrolled_synapses(network: Callable[[], Graph]) -> None:
    netlist = build_netlist(final(network()))
    groups = {group.name: group for group in netlist.populations}
    sizes = {s.name: int(np.prod(s.shape)) for s in netlist.sources}
    sizes |= {group.name: group.size for group in groups.values()}
    for row in netlist.synapses:
        row = replace(row, delay=len(row.target) % 2)
        group, senders = groups[row.target], sizes.get(row.source, 0)
        counted = cost_of(row, group)
        for grid in grids(group):
            expected, sent, synapses = unrolled(row, group, grid, senders)
            load = counted.load(grid)
            for name in ("axons", "bits"):
                found = np.broadcast_to(getattr(load, name), (grid.rows, grid.columns))
                np.testing.assert_array_equal(found, getattr(expected, name), err_msg=name)
            assert counted.synapses == synapses
            output_axons = counted.output_axons(grid)
            if row.source == CLOCK:
                assert output_axons.sum() == sent.sum()
                continue
            order = np.arange(output_axons.size) if row.order is None else row.order.ravel()
            reached = np.bincount(order, output_axons, senders)
            np.testing.assert_array_equal(reached, sent)


def test_senders_that_all_channels_see_moved_are_counted_along_each_axis() -> None:
    kinds = []
    for views in REPEATED:
        netlist = build_netlist(final(gathered(*views)))
        groups = {group.name: group for group in netlist.populations}
        costs = [cost_of(row, groups[row.target]) for row in netlist.synapses]
        kinds += [type(cost) for cost in costs if isinstance(cost, MovedCost | SpreadCost)]
    assert kinds == [MovedCost, MovedCost, SpreadCost]


def test_wide_weights_take_a_second_axon() -> None:
    group = Population("b", (2,), True, 10, 0, 1, 2)
    weights = np.array([[2, 402, 0], [4, 512, 0]])
    found = cost_of(Synapses("a", "b", "matrix", weights, (3,)), group)
    assert found.load(CoreGrid(2, 1)).axons.item() == 3  # 512 has no fine part, 402 has both
    assert found.synapses == 5
    for inhibition, axons in ((-254, 2), (-512, 2), (-402, 4)):
        row = Synapses("b", "b", "each", np.array([inhibition]), (2,))
        assert cost_of(row, group).load(CoreGrid(2, 1)).axons.item() == axons


@pytest.mark.parametrize("rows", [1, 7, 3000, 5000])  # a run alone, and up to 2,048 together
def test_long_and_short_runs_of_a_matrix_are_counted_alike(rows: int) -> None:
    weights = np.random.default_rng(0).integers(-1, 2, (5000, 8))
    grid = CoreGrid(5000, 1, rows)
    cost = cost_of(
        Synapses("a", "b", "matrix", weights, (8,)), Population("b", (5000,), True, 10, 0, 1, 2)
    )
    runs = [weights[a:b] != 0 for a, b in pairwise(grid.channel_starts)]
    counts = np.array([run.sum(axis=0) for run in runs])
    load = cost.load(grid)
    np.testing.assert_array_equal(load.axons[:, 0], (counts > 0).sum(axis=1))
    stored = synapse_bits(counts, grid.neurons, 0)
    np.testing.assert_array_equal(load.bits[:, 0], stored.sum(axis=1))
    np.testing.assert_array_equal(cost.output_axons(grid), (counts > 0).sum(axis=0))


def test_a_wide_layer_of_few_inputs_is_mapped_at_once() -> None:
    """One by one, its 200,000 receivers take 4 s on the finest grid."""
    weights = np.ones((200_000, 4), np.int8)
    group = Population("b", (len(weights),), True, 10, 0, 1, 2)
    cost = cost_of(Synapses("a", "b", "matrix", weights, (4,)), group)
    begin = process_time()
    load = cost.load(CoreGrid(len(weights), 1, len(weights)))
    assert process_time() - begin < 1  # takes 0.02 s
    assert np.unique(load.axons) == 4


def test_a_view_that_repeats_senders_is_bounded_from_above() -> None:
    net = Net(3)
    x = net.view(Take(0, (1, 1, 0, 1)), net.input((2, 4, 4)))
    netlist = build_netlist(final(net.graph(net.conv(x, 3, (2, 2)))))
    (group,), row = netlist.populations, netlist.synapses[0]
    for grid in grids(group):
        expected, _, synapses = unrolled(row, group, grid, 32)
        assert (cost_of(row, group).load(grid).axons >= expected.axons).all()
        assert cost_of(row, group).synapses == synapses


def used(netlist: Netlist, mapping: CoreMapping) -> dict[str, CoreUsage]:
    """The largest uses of cores, from unrolled synapses."""
    grids = {p.population: p.grid for p in mapping.placements}
    groups = {group.name: group for group in netlist.populations}
    senders = {group.name: group.size for group in netlist.populations}
    senders |= {s.name: int(np.prod(s.shape)) for s in netlist.sources}
    axons, bits = ({n: np.zeros(g.cores) for n, g in grids.items()} for _ in range(2))
    out = {name: np.zeros(size) for name, size in senders.items()}
    for row in netlist.synapses:
        load, sent, _ = unrolled(
            row, groups[row.target], grids[row.target], senders.get(row.source, 0)
        )
        axons[row.target] += load.axons.ravel()
        bits[row.target] += load.bits.ravel()
        if row.source != CLOCK:
            out[row.source] += sent
    found = {}
    for name, grid in grids.items():
        core = cores_of(grid)
        sending = np.bincount(core, out[name]).max()
        neurons = np.bincount(core).max()
        peaks = neurons, axons[name].max(), sending, bits[name].max()
        found[name] = CoreUsage(*(int(peak) for peak in peaks))
    return found


SMALL = replace(
    LOIHI_2,
    neurons_per_core=40,
    input_axons_per_core=480,
    output_axons_per_core=150,
    synapse_bits_per_core=40_000,
)
TIGHT = (
    SMALL,
    replace(SMALL, neurons_per_core=7),
    replace(SMALL, input_axons_per_core=460),
    replace(SMALL, output_axons_per_core=60),
    replace(SMALL, synapse_bits_per_core=30_000),
)


@pytest.mark.parametrize("chip", TIGHT)
@pytest.mark.parametrize("network", NETWORKS)
def test_no_core_is_overfull(network: Callable[[], Graph], chip: Chip) -> None:
    netlist = build_netlist(final(network()))
    mapping, findings = map_to_cores(netlist, chip)
    assert [p.population for p in mapping.placements] == [g.name for g in netlist.populations]
    assert mapping.cores > len(netlist.populations) - sum(map(len, mapping.shared))
    found = used(netlist, mapping)
    for group in mapping.shared:
        together = (sum(parts) for parts in zip(*(found[n] for n in group), strict=True))
        assert max(CoreUsage(*together).shares(chip).values()) <= 1
    for placement in mapping.placements:
        assert placement.peak_usage == found[placement.population]
        assert max(placement.peak_usage.shares(chip).values()) <= 1
    assert not findings, findings


def test_a_larger_chip_takes_fewer_cores() -> None:
    netlist = build_netlist(final(convolution(1)))
    counts = [map_to_cores(netlist, chip)[0].cores for chip in (*TIGHT[1:], SMALL, LOIHI_2)]
    assert counts[-1] <= len(netlist.populations) + 1  # and the clock's
    assert min(counts[:-2]) >= counts[-2] > counts[-1]
    tiny = replace(SMALL, cores=3)
    mapping, _ = map_to_cores(netlist, tiny)
    assert mapping.chips == -(-mapping.cores // 3) > 1


def test_what_does_not_fit_is_listed_with_remedies() -> None:
    netlist = build_netlist(final(convolution(0)))
    groups = [replace(g, origin=(f"node of {g.name}",)) for g in netlist.populations]
    netlist = replace(netlist, populations=tuple(groups))
    chip = replace(
        SMALL, input_axons_per_core=80, output_axons_per_core=1, synapse_bits_per_core=1000
    )
    mapping, findings = map_to_cores(netlist, chip)
    told = [(f.message, f.nodes, f.help) for f in findings]
    messages = [message for message, _, _ in told]
    for group in groups:  # every neuron sends to itself and, in the first layer, to others
        assert any(f"%{group.name} needs" in message for message in messages)
    order = [m.split("%")[1].split()[0] for m in messages]
    assert order == sorted(order, key=[g.name for g in groups].index)
    for what in ("input axons", "output axons", "bits of synapses"):
        assert any(what in message for message in messages)
    assert all(nodes and help_ for _, nodes, help_ in told)
    assert mapping.cores >= len(groups) - sum(len(group) - 1 for group in mapping.shared)


@pytest.mark.parametrize(("limit", "help_"), [(10, "another --code than silent"), (9, "pool")])
def test_markers_that_do_not_fit_name_the_code(limit: int, help_: str) -> None:
    """A neuron reads ten inputs and their markers."""
    group = Population("y", (1,), True, 10, 0, 1, 2)
    weights = np.full((1, 10), 2)
    rows = [Synapses(name, "y", "matrix", weights, (10,)) for name in ("x", marker_name("x"))]
    netlist = Netlist((), (group,), tuple(rows))
    (found,) = map_to_cores(netlist, replace(LOIHI_2, input_axons_per_core=limit))[1]
    assert found.help and help_ in found.help


def test_digits() -> None:
    program = qcompiler.compile(
        DIGITS / "digits.onnx",
        calibration=DIGITS / "digits_calibration.npz",
        scale_values=(16,),
    )
    for chip in (LOIHI_1, LOIHI_2):
        mapping, findings = map_to_cores(build_netlist(program.graph), chip)
        assert not findings
        assert 1 < mapping.cores <= len(mapping.placements) < 40
        assert mapping.chips == 1


@pytest.mark.data
def test_mnist(data_dir: Path) -> None:
    program = qcompiler.compile(
        data_dir / "mnist" / "mnist_convnet.onnx",
        calibration=data_dir / "mnist" / "mnist_train_2000.npz",
        scale_values=(255,),
    )
    netlist = build_netlist(program.graph)
    begin = perf_counter()
    mapping, findings = map_to_cores(netlist, LOIHI_2)
    assert perf_counter() - begin < 5  # 0.1 s
    assert not findings
    bits = sum(p.synapses for p in mapping.placements) * 16
    assert bits / LOIHI_2.synapse_bits_per_core < mapping.cores < 128


def test_a_large_layer_is_never_unrolled() -> None:
    group = Population("b", (64, 54, 54), True, 10, 0, 1, 2, ("conv",))
    weights = np.full((64, 256, 3, 3), 2)
    geometry = (1, 1), (1, 1, 1, 1), (1, 1)
    row = Synapses("a", "b", "kernel", weights, (256, 54, 54), None, 0, *geometry)
    netlist = Netlist(populations=(group,), synapses=(row,))
    tracemalloc.start()
    begin = perf_counter()
    mapping, findings = map_to_cores(netlist, LOIHI_2)
    seconds, synapse_bits = perf_counter() - begin, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert not findings
    (placement,) = mapping.placements
    assert placement.synapses == 64 * 256 * (54 * 3 - 2) ** 2
    assert placement.synapses * 14 / LOIHI_2.synapse_bits_per_core < mapping.cores
    assert mapping.cores < 1.2 * placement.synapses * 16 / LOIHI_2.synapse_bits_per_core
    assert seconds < 10  # 0.2 s
    assert synapse_bits < 200 << 20


def test_equal_layers_are_cut_into_cores_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    cheapest = PopulationMapper.cheapest

    def counted(mapper: Any, *given: Any) -> Any:
        tried.append(mapper.name)
        return cheapest(mapper, *given)

    monkeypatch.setattr(PopulationMapper, "cheapest", counted)
    names, one = "abcd", np.ones((1, 1), np.int32)
    groups = [Population(name, (64, 40), True, 10, 0, 1, 2, ()) for name in names]
    order = np.arange(64 * 40).reshape(64, 40) // 2
    rows = [
        Synapses(source, name, "each", one * (2 if name != "d" else 302), (64, 40), order)
        for source, name in zip("xabc", names, strict=True)
    ]
    mapping, findings = map_to_cores(Netlist((), tuple(groups), tuple(rows)), LOIHI_2)
    assert not findings
    assert tried == ["d", "c", "b"]  # as d has weights of two parts, c reaches others than b
    assert len({placement.grid.cores for placement in mapping.placements[:2]}) == 1


def test_layers_of_one_shape_share_loads_on_all_chips(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = np.random.default_rng(0).integers(1, 9, (2, 8, 8, 3, 3), np.int8)
    groups = tuple(Population(name, (8, 20, 20), True, 10, 0, 1, 2, ()) for name in "ab")
    geometry = ((1, 1), (1, 1, 1, 1), (1, 1), 1)
    rows = tuple(
        Synapses(source, name, "kernel", weight, (8, 20, 20), None, 0, *geometry)
        for source, name, weight in zip("xa", "ab", weights, strict=True)
    )
    netlist, chips = (
        Netlist(populations=groups, synapses=rows),
        [replace(LOIHI_2, neurons_per_core=n) for n in (1024, 512)],
    )
    costs = costs_of(netlist)
    assert len({cost.digest for cost in costs.values()}) == 1
    apart = [map_to_cores(netlist, chip) for chip in chips]
    loads: Loads = {}
    assert [map_to_cores(netlist, chip, costs, loads) for chip in chips] == apart
    (known,) = loads.values()
    monkeypatch.setattr(ConvolutionCost, "load", None)  # which nothing calls again
    assert [map_to_cores(netlist, chip, costs, loads) for chip in chips] == apart and known


def test_a_layer_of_the_first_neuron_takes_axons_of_that_one() -> None:
    """One count would be added to those of all four neurons."""
    groups = [Population(name, (n,), True, 10, 0, 1, 2, ()) for name, n in (("a", 4), ("b", 1))]
    row = Synapses("a", "b", "matrix", np.ones((1, 1), np.int32), (1,))
    mapping, _ = map_to_cores(Netlist((), tuple(groups), (row,)), LOIHI_2)
    assert mapping.placements[0].peak_usage.output_axons == 1


def test_small_populations_share_cores() -> None:
    """First fit: the largest first, none with more than a core has."""
    most = CoreUsage(100, 100, 100, 1000)
    needs = {"a": CoreUsage(60, 1, 1, 1), "b": CoreUsage(50, 1, 1, 1), "c": CoreUsage(30, 1, 1, 1)}
    assert shared_cores(needs, most) == (("a", "c"),)
    needs["d"] = CoreUsage(1, 1, 1, 999)
    assert shared_cores(needs, most) == (("d", "a"), ("b", "c"))
    assert shared_cores({"a": CoreUsage(200, 1, 1, 1), "b": CoreUsage(1, 1, 1, 1)}, most) == ()
    assert shared_cores({}, most) == ()


def test_the_busiest_core_may_hold_several_populations() -> None:
    cores = Cores({"a": 1, "b": 1, "c": 2}, 4, 10, (("a", "b"),))
    assert cores.busiest({"a": 2.0, "b": 3.0, "c": 4.0}) == 5.0
    assert cores.busiest({"a": 2.0, "b": 3.0, "c": 6.0}) == 6.0
    assert Cores({}, 0, 0).busiest({}) == 0
