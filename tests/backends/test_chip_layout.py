"""Cores on several chips: all of them once, on as few chips as hold them, with the best cuts."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

import qcompiler
from qcompiler.backends.loihi.mapping.chip_layout import Layout, lay_out
from qcompiler.backends.loihi.mapping.chips import LOIHI_2
from qcompiler.backends.loihi.mapping.core_grid import CoreGrid
from qcompiler.backends.loihi.mapping.core_map import map_to_cores
from qcompiler.backends.loihi.mapping.core_mapping import CoreMapping, Placement
from qcompiler.backends.loihi.mapping.core_usage import CoreUsage
from qcompiler.backends.loihi.mapping.mapped_graph import mapped_graph
from qcompiler.backends.loihi.netlist.build_netlist import build_netlist
from qcompiler.cli.running.layout import layout_lines
from tests.support.spiking import Net, final

DIGITS = Path(__file__).parents[2] / "examples" / "digits"


def mapped(seed: int, room: int) -> CoreMapping:
    """Populations of one to five cores, each of which sends to one or two later ones."""
    rng = np.random.default_rng(seed)
    names = [f"p{index}" for index in range(5)]
    usage = CoreUsage(LOIHI_2.neurons_per_core // 2, 1, 1, 1)
    placements = tuple(
        Placement(name, CoreGrid(1, 5, 1, int(rng.integers(1, 6))), usage, 0) for name in names
    )
    pairs = [pair for pair in combinations(names, 2) if rng.random() < 0.6]
    traffic = {pair: int(rng.integers(1, 1000)) for pair in pairs}
    traffic["input", "p0"] = 7
    return CoreMapping(replace(LOIHI_2, cores=room), placements, 1, traffic=traffic)


def owners(mapping: CoreMapping) -> list[str]:
    return [p.population for p in mapping.placements for _ in range(p.cores)]


def crossing(mapping: CoreMapping, cut: int) -> float:
    """Messages over a cut, core by core."""
    owner, total = owners(mapping), 0.0
    for (source, target), messages in mapping.traffic.items():
        ones = [at for at, name in enumerate(owner) if name == source]
        others = [at for at, name in enumerate(owner) if name == target]
        pairs = [(a < cut) != (b < cut) for a in ones for b in others]
        total += messages * float(np.mean(pairs)) if pairs else 0
    return total


@pytest.mark.parametrize("room", [4, 5, 7])
@pytest.mark.parametrize("seed", range(6))
def test_cuts_are_the_best(seed: int, room: int) -> None:
    mapping = mapped(seed, room)
    found, total = lay_out(mapping), len(owners(mapping))
    assert len(found.chips) == mapping.chips == -(-(total + 1) // room)
    assert all(chip.cores <= room for chip in found.chips)
    assert sum(chip.cores for chip in found.chips) == mapping.cores
    for placement in mapping.placements:
        parts = [chip.populations.get(placement.population, 0) for chip in found.chips]
        assert sum(parts) == placement.cores
    rooms = np.array([room - 1] + [room] * (mapping.chips - 1))  # the clock is on the first
    best = min(
        sum(crossing(mapping, cut) for cut in cuts)
        for cuts in combinations(range(total + 1), mapping.chips - 1)
        if all(np.diff([0, *cuts, total]) <= rooms)
    )
    ends = np.cumsum([sum(chip.populations.values()) for chip in found.chips])[:-1]
    assert sum(crossing(mapping, cut) for cut in ends) == pytest.approx(best)
    assert found.links == tuple(round(crossing(mapping, cut)) for cut in ends)
    assert found.inputs == 7
    assert found.use == 0.5


def test_lines_tell_of_links_and_chips() -> None:
    layout = lay_out(mapped(0, 4))
    short, (_, text) = layout_lines(layout)
    assert short[0] == "layout"
    assert f"{max(layout.links):,} messages a frame" in text
    lines = dict(layout_lines(layout, verbose=True))
    assert [name for name in lines if name.startswith("chip")] == [
        f"chip {number + 1}" for number in range(len(layout.chips))
    ]
    assert list(layout_lines(None)) == []


def test_messages_are_axons() -> None:
    """A dense layer that takes several cores hears each neuron on every one of them."""
    net = Net(0)
    x = net.conv(net.input((2, 8, 8)), 4, (3, 3))
    netlist = build_netlist(final(net.graph(net.dense(x, 12))))
    chip = replace(LOIHI_2, neurons_per_core=40, cores=3)
    mapping, _ = map_to_cores(netlist, chip)
    first, second = netlist.populations
    cores = {placement.population: placement.cores for placement in mapping.placements}
    axons = mapping.traffic[first.name, second.name]
    assert axons >= first.size * cores[second.name]
    assert axons == round(mapping.messages[first.name] * first.size)
    found = lay_out(mapping)
    assert found.messages == axons
    assert len(found.chips) == mapping.chips > 1


def test_programs_tell() -> None:
    program = qcompiler.compile(
        DIGITS / "digits.onnx",
        calibration=DIGITS / "digits_calibration.npz",
        scale_values=(16,),
        effort=0,
    )
    report = program.report()
    assert isinstance(report.layout, Layout)
    assert sum(chip.cores for chip in report.layout.chips) == report.cores
    assert 0 < report.layout.use <= 1
    data = json.loads(json.dumps(report.to_dict()))
    assert data["layout"]["chips"][0]["populations"]


def test_a_graph_is_mapped_once_for_each_chip() -> None:
    """Checks and reports share it, however many there are."""
    net = Net(0)
    graph = final(net.graph(net.dense(net.input((8,)), 12)))
    found = mapped_graph(graph, LOIHI_2)
    assert found == map_to_cores(build_netlist(graph), LOIHI_2)
    assert mapped_graph(graph, LOIHI_2) is found
    assert mapped_graph(graph, replace(LOIHI_2, neurons_per_core=4)) != found
