"""The arithmetic of the estimate, files of cost models, and predictions of what boards measured."""

from __future__ import annotations

import json
import math
import os
import pickle
from collections.abc import Mapping
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.backends import LOIHI, REFERENCE
from qcompiler.backends.energy.activity import Levels
from qcompiler.backends.energy.alternatives import alternatives
from qcompiler.backends.energy.built_in_models import CMOS45, MODELS
from qcompiler.backends.energy.built_in_models import LOIHI1 as MODEL
from qcompiler.backends.energy.cores import Cores
from qcompiler.backends.energy.cost_model import CostModel
from qcompiler.backends.energy.cost_model_file import read_cost_model
from qcompiler.backends.energy.estimate import Estimate, Measurement, estimate
from qcompiler.backends.energy.wiring import Wiring
from qcompiler.backends.loihi.mapping.chips import LOIHI_2
from qcompiler.backends.loihi.mapping.core_map import map_to_cores
from qcompiler.backends.loihi.netlist.build_netlist import build_netlist
from qcompiler.backends.loihi.netlist.netlist import CLOCK
from qcompiler.backends.loihi.netlist.synapse_matrices import split_weights
from qcompiler.backends.loihi.target import LOIHI1
from qcompiler.backends.program.placements import placements_of
from qcompiler.backends.program.program import Program
from qcompiler.ir import DataError, ProgramError
from tests.support.random_networks import random_batch, random_network

COSTS = CostModel(
    "tiny", 100.0, 10.0, 1.0, 2.0, static_mw=5.0, update_ns=10.0, event_ns=2.0, sync_ns=400.0
)
# Two inputs reach three neurons, these reach one. Two frames: of the inputs' four values one is
# zero, of the three neurons' six values two are, of the output's two values none.
WIRING = Wiring(
    neurons={"x": 2, "h": 3, "y": 1},
    inputs=frozenset({"x"}),
    fan_out={"x": np.array([3, 1]), "h": np.array([1, 1, 1]), "y": np.array([0])},
    data={("x", "h"): 4, ("h", "y"): 3},
    clock_synapses={"h": 30, "y": 8},
    inhibition={"h": 6, "y": 1},
    clock_neurons=2,
    interval=20,
    latency=50,
)
ACTIVITY = {
    "x": Levels(3, 9, 5, 20),  # the neuron of fan-out 3 was zero once
    "h": Levels(4, 12, 4, 12),
    "y": Levels(2, 7, 0, 0),
}
CORES = Cores({"h": 2, "y": 1}, 4, 2)


def tiny(cores: Cores | None = CORES) -> Estimate:
    placements = (cores,) if cores else ()
    return estimate(WIRING, Measurement(ACTIVITY, 2, "data"), COSTS, placements)


def test_energy_of_a_network_by_hand() -> None:
    found = tiny()
    h, y, x, clock = (found.populations[name] for name in ("h", "y", "x", CLOCK))
    assert h.updates == pytest.approx(3 * 20 * 100e-6)
    assert clock.updates == pytest.approx(2 * 20 * 100e-6)
    assert x.updates == 0
    assert h.data == pytest.approx((4 * 10 + 3 * 3) * 1e-6)  # events that arrive, spikes it sends
    assert h.zeros == pytest.approx((1.5 * 10 + 1 * 3) * 1e-6)  # 3 events in 2 frames; 2 spikes
    assert y.zeros == pytest.approx(1 * 10e-6)
    assert x.data == pytest.approx(2 * 3e-6)
    assert x.zeros == pytest.approx(0.5 * 3e-6)
    assert (h.clocks, clock.clocks) == pytest.approx((30 * 10e-6, 2 * 3e-6))
    assert h.inhibition == pytest.approx(6 * 10e-6)
    causes = found.causes
    parts = causes.updates + causes.data + causes.clocks + causes.inhibition
    assert causes.total == pytest.approx(parts)
    assert causes.zeros <= causes.data
    assert found.events == 7 + 38 + 7
    assert found.updates == (3 + 1 + 2) * 20
    assert found.nonzero == pytest.approx(9 / 12)
    assert found.alone == pytest.approx(causes.total + 6 * 30 * 100e-6)


def test_time_power_and_energy_delay_product_by_hand() -> None:
    found, data = tiny(), tiny().to_dict()
    assert found.times is not None
    step = 400 + 2 * 10
    busy = [(4 + 30 + 6) * 2 / 2, (3 + 8 + 1) * 2 / 1]
    assert data["frame_us"] == pytest.approx((20 * step + max(busy)) * 1e-3)
    assert data["latency_us"] == pytest.approx((50 * step + sum(busy)) * 1e-3)
    static = 4 * 5e-3 * data["frame_us"]
    assert data["energy_uj"]["static"] == pytest.approx(static)
    whole = found.causes.total + static
    assert data["power_mw"] == pytest.approx(whole / data["frame_us"] * 1e3)
    seconds = data["latency_us"] * 1e-6
    assert data["edp_ujs"]["streaming"] == pytest.approx(whole * seconds)
    alone = found.alone + 4 * 5e-3 * data["latency_us"]
    assert data["edp_ujs"]["single"] == pytest.approx(alone * seconds)


def test_populations_of_one_window_work_at_once_unless_they_share_a_core() -> None:
    """Slices of a layer have the same window, and cores of their own where these do not share."""
    busy = [(4 + 30 + 6) * 2 / 2, (3 + 8 + 1) * 2 / 1]

    def latency_us(cores: Cores, **windows: tuple[int, int]) -> float:
        wiring = replace(WIRING, windows=windows)
        times = estimate(wiring, Measurement(ACTIVITY, 2, "data"), COSTS, (cores,)).times
        assert times is not None
        return times.latency_us - 50 * (400 + 2 * 10) * 1e-3

    assert latency_us(CORES, h=(0, 5), y=(5, 9)) == pytest.approx(sum(busy) * 1e-3)
    assert latency_us(CORES, h=(0, 5), y=(0, 5)) == pytest.approx(max(busy) * 1e-3)
    shared = replace(CORES, shared=(("h", "y"),))
    assert latency_us(shared, h=(0, 5), y=(0, 5)) == pytest.approx(sum(busy) * 1e-3)


def test_the_placement_with_the_least_energy_delay_product_counts() -> None:
    wide = Cores({"h": 6, "y": 1}, 8, 1)
    apart = [tiny(cores) for cores in (CORES, wide)]
    products = [found.delay_product or 0.0 for found in apart]
    chosen = estimate(WIRING, Measurement(ACTIVITY, 2, "data"), COSTS, (CORES, wide))
    assert chosen == apart[products.index(min(products))]


def test_a_spike_is_a_message_to_each_core_that_reads_it() -> None:
    one, three = (tiny(replace(CORES, messages={"h": n})).populations["h"] for n in (1.0, 3.0))
    assert three.data - one.data == pytest.approx(2 * 3 * (1 + 2) * 1e-6)  # 3 spikes, 2 more cores


def test_spikes_of_inputs_and_clocks_are_messages_to_each_core_as_well() -> None:
    one, three = (tiny(replace(CORES, messages={"x": n, CLOCK: n})) for n in (1.0, 3.0))
    assert one.causes == tiny().causes
    x, clock = (three.populations[name] for name in ("x", CLOCK))
    assert x.data == pytest.approx(2 * 3 * (1 + 2) * 1e-6)
    assert clock.clocks == pytest.approx(2 * 3 * (1 + 2) * 1e-6)


def test_a_program_knows_the_messages_of_all_that_send(program: Program) -> None:
    netlist, cores = build_netlist(program.graph), placements_of(program.graph, LOIHI_2, MODEL)[-1]
    for source in netlist.sources:
        readers = {row.target for row in netlist.synapses if row.source == source.name}
        assert 1 <= cores.messages[source.name] <= sum(cores.of[name] for name in readers)
    clocks = [row for row in netlist.synapses if row.source == CLOCK]
    lists = [(row, split_weights(line)) for row in clocks for line in row.weights]
    axons = sum(len(parts) * cores.of[row.target] for row, parts in lists)
    assert cores.messages[CLOCK] == pytest.approx(axons / len(netlist.ticks))


def test_energy_is_the_same_with_and_without_times(program: Program) -> None:
    """Messages are counted wherever the model prices them; one core takes all the neurons."""
    sending = CostModel("sending", 0, 0, hop_pj=100)
    timed = replace(sending, update_ns=0, event_ns=0, sync_ns=1)
    bare, with_times = (program.energy(model=model) for model in (sending, timed))
    assert bare.times is None and bare.to_dict()["energy_cores"] is None
    assert bare.causes == with_times.causes
    spikes = program.measure(random_batch(program.graph, 11, frames=9)).counters.spikes / 9
    assert bare.causes.total > 1.5 * (spikes + program.wiring.clock_neurons) * 100e-6


def test_rate_codes_send_the_messages_of_the_program() -> None:
    free = replace(COSTS, update_pj=0, event_pj=0)
    measured, tops = Measurement(ACTIVITY, 2, "data"), {"x": 10, "h": 10, "y": 10}
    rates = []
    for count in (1.0, 3.0):
        cores = replace(CORES, messages={"x": count, "h": count})
        own = estimate(WIRING, measured, free, (cores,))
        rates.append(alternatives(own, measured, tops, macs=10).rate[16])
    x, h, y = (level / 10 * 16 / 2 for level in (9, 12, 7))
    assert rates == pytest.approx([(n * (x + h) + y) * 3e-6 for n in (1, 3)])


def test_networks_spread_over_the_chips_that_they_need(program: Program) -> None:
    ways = placements_of(program.graph, LOIHI_2, MODEL)
    few = map_to_cores(build_netlist(program.graph), LOIHI_2)[0]
    assert ways[0].total == few.cores
    assert len(ways) > 3
    assert all(more.fullest <= less.fullest // 2 for less, more in pairwise(ways))
    assert all(way.total <= LOIHI_2.cores for way in ways)


def test_without_times_there_is_energy_alone() -> None:
    data = tiny(None).to_dict()
    assert data["energy_uj"]["total"] > 0
    unknown = ("edp_ujs", "frame_us", "latency_us", "power_mw")
    assert all(data[name] is None for name in unknown)
    assert data["energy_uj"]["static"] is None
    assert CMOS45.times is None


def test_the_model_predicts_published_measurements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    import quartz_energy as quartz

    ratios = [
        row.cores_uj / quartz.predicted(row.steps, MODEL).causes.total for row in quartz.MEASURED
    ]
    assert len(ratios) == 5
    assert min(ratios) > 0.89 and max(ratios) < 1.15  # what the model's basis says
    measured = quartz.MEASURED[1]
    assert (measured.cores_uj, measured.all_uj) == pytest.approx((45.6, 182), rel=0.005)
    assert measured.edp_ujs == pytest.approx(0.90, abs=0.01)
    assert quartz.predicted(91, MODEL).causes.total == pytest.approx(47, abs=1)


def test_every_target_has_a_model_and_loihi_2_says_that_none_is_public() -> None:
    assert LOIHI1.energy == REFERENCE.energy == MODEL
    assert LOIHI.energy == replace(MODEL, basis=LOIHI.energy.basis)
    assert "no figures are public for Loihi 2" in LOIHI.energy.basis
    for model in MODELS.values():
        assert model.source and model.basis
        assert model.update_pj > 0 and model.event_pj > 0


@pytest.fixture(scope="module")
def program() -> Program:
    graph = random_network(11, depth=4)
    batch = random_batch(graph, 11, frames=9)
    return qcompiler.compile(graph, calibration=batch, effort=0, code="one-spike")


def test_an_estimate_prints_as_one_line(program: Program) -> None:
    found, without = program.energy(), program.energy(model=CMOS45)
    assert found.times is not None
    every, latency = found.times.frame_us, found.times.latency_us
    head = f"<Estimate by loihi1: {found.causes.total:.3g} uJ a frame"
    assert repr(found) == f"{head}, one every {every:.3g} us, latency {latency:.3g} us>"
    head = f"<Estimate by cmos45: {without.causes.total:.3g} uJ a frame"
    assert repr(without) == f"{head}, latency {program.wiring.latency} steps>"


def test_a_pickled_estimate_equals_the_first(program: Program) -> None:
    found = program.energy()
    assert pickle.loads(pickle.dumps(found)) == found != program.energy(model=CMOS45)
    other = replace(found.wiring, fan_out={**found.wiring.fan_out, "x": np.ones(1)})
    assert replace(found, wiring=other) != found


def test_reports_use_the_activity_on_calibration_data(program: Program) -> None:
    report = program.report()
    assert report.activity["basis"] == "calibration"
    assert report.activity["frames"] == 9
    assert report.synaptic_events_per_frame == report.synapses
    data = random_batch(random_network(11, depth=4), 11, frames=9)
    counters = program.measure(data).counters
    measured = program.energy(counters).to_dict()
    assert measured["activity"] == {**report.activity, "basis": "data"}
    assert measured["energy_uj"] == report.to_dict()["energy_uj"]
    total = sum(row.energy_uj["total"] for row in report.populations)
    clock = program.energy().populations[CLOCK].total
    assert report.energy_uj["total"] == pytest.approx(total + clock)


def test_without_calibration_half_of_all_values_are_taken_for_zero() -> None:
    found = qcompiler.compile(random_network(11, depth=4), effort=0).report()
    assert found.activity == {"basis": "assumed", "frames": 1, "nonzero": 0.5}


@pytest.mark.parametrize("spoil", ["x", [], {}, {"frames": 0}, {"frames": 3, "populations": {}}])
def test_a_damaged_activity_is_an_error(program: Program, spoil: Any) -> None:
    spoilt = replace(program, manifest={**program.manifest, "activity": spoil})
    with pytest.raises(ProgramError, match="activity is damaged"):
        spoilt.report()


def test_counters_of_another_program_are_refused(program: Program) -> None:
    data = random_batch(random_network(11, depth=4), 11, frames=9)
    graph = random_network(2, depth=4)
    batch = random_batch(graph, 2, frames=9)
    other = qcompiler.compile(graph, calibration=batch, effort=0).measure(batch).counters
    finer = qcompiler.compile(
        random_network(11, depth=4), calibration=data, t_max=64, effort=0
    ).measure(data)
    assert finer.counters.activity is not None
    none = replace(finer.counters, frames=0)
    for wrong in (other, finer.counters, none):
        with pytest.raises(ProgramError, match="the counters are not those of this program"):
            program.energy(wrong)
        whole = replace(program, manifest={**program.manifest, "macs": 100})
        with pytest.raises(ProgramError, match="the counters are not those of this program"):
            whole.alternatives(wrong)
    measured: Any = finer
    with pytest.raises(ProgramError, match="counters must be those of measure"):
        program.energy(measured)


def test_counters_of_other_weights_are_refused(program: Program, tmp_path: Path) -> None:
    """Populations are named and sized alike; only what they compute differs."""
    graph = random_network(11, depth=4)
    data = random_batch(graph, 11, frames=9)
    alike = qcompiler.compile(graph, calibration=data / 2, effort=0)
    assert alike.wiring.neurons == program.wiring.neurons
    with pytest.raises(ProgramError, match="the counters are not those of this program"):
        program.energy(alike.measure(data).counters)
    program.save(tmp_path / "saved")
    counters = qcompiler.load(tmp_path / "saved").measure(data).counters
    assert program.energy(counters).basis == "data"


def test_counters_without_counts_are_refused(program: Program) -> None:
    data = random_batch(random_network(11, depth=4), 11, frames=9)
    counters = program.measure(data, count=False).counters
    for ask in (program.energy, replace(program, manifest={"macs": 9}).alternatives):
        with pytest.raises(ProgramError, match="the counters hold no counts: measure with count="):
            ask(counters)


def test_programs_without_counts_of_products_have_no_alternatives(program: Program) -> None:
    for macs in (None, 0, True, "5", -1.0):
        assert replace(program, manifest={**program.manifest, "macs": macs}).alternatives() is None


@pytest.mark.parametrize(
    ("factor", "word"), [(1, "ANN needs"), (10**9, "program needs"), (None, "reuses weights")]
)
def test_the_verdict_follows_the_figures(program: Program, factor: int | None, word: str) -> None:
    if factor is None:
        energy = program.energy(model=CMOS45).causes.total * 1e6
        factor = int(energy / 3)  # between 1.6 and 5.3 pJ a product
    found = replace(program, manifest={**program.manifest, "macs": factor}).alternatives()
    assert found is not None
    assert word in found.verdict
    assert found.verdict.startswith("at equal technology (cmos45 model)")
    assert found.to_dict()["energy_uj"]["rate_32"] > found.to_dict()["energy_uj"]["rate_16"]


def written(folder: Path, data: Mapping[str, Any]) -> Path:
    path = folder / "mine.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def test_models_are_read_from_files(tmp_path: Path) -> None:
    least = {"update_pj": 1, "event_pj": 0.5}
    assert read_cost_model(written(tmp_path, least)) == CostModel("mine", 1, 0.5)
    for model in MODELS.values():
        assert read_cost_model(written(tmp_path, asdict(model))) == model


BASE = {"update_pj": 1.0, "event_pj": 2.0}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is no JSON text"),
        ("{", "is no JSON text"),
        ("[" * 100_000, "is too long for an energy model"),
        ("[" * 50_000, "is no JSON text"),
        ("[1]", "must be a JSON object"),
        ('"loihi1"', "must be a JSON object"),
        ('{"update_pj": 1}', "lacks event_pj"),
        (json.dumps(BASE | {"colour": 1}), "has an unknown key 'colour'"),
        (json.dumps(BASE | {"update_pj": "81"}), "has a update_pj that is not a number"),
        (json.dumps(BASE | {"update_pj": True}), "has a update_pj that is not a number"),
        (json.dumps(BASE | {"update_pj": None}), "has a update_pj that is not a number"),
        (json.dumps(BASE | {"event_pj": -1}), "has a event_pj that is not from 0"),
        (json.dumps(BASE | {"event_pj": float("nan")}), "has a event_pj that is not from 0"),
        (json.dumps(BASE | {"event_pj": float("inf")}), "has a event_pj that is not from 0"),
        (json.dumps(BASE | {"event_pj": 10**400}), "has a event_pj that is not from 0"),
        (json.dumps(BASE | {"neurons_per_core": 0}), "has a neurons_per_core that is not from 1"),
        (json.dumps(BASE | {"neurons_per_core": 2.5}), "that is not a whole number"),
        ('{"update_pj": 1, "event_pj": 2, "event_pj": 3}', "has the key 'event_pj' twice"),
        (json.dumps(BASE | {"name": " "}), "has a name that is empty"),
        (json.dumps(BASE | {"name": "loihi1"}), "is not the built-in loihi1: give it another name"),
        (json.dumps(BASE | {"name": 3}), "has a name that is no line of text"),
        (json.dumps(BASE | {"basis": "a\nb"}), "has a basis that is no line of text"),
        ("\xff\xfe", "is no JSON text"),
    ],
)
def test_hostile_files_get_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError) as error:
        read_cost_model(path)
    assert sentence in str(error.value)
    assert str(path) in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"update_pj": -1}, "has a update_pj that is not from 0 to 1e+12"),
        ({"event_pj": math.nan}, "has a event_pj that is not from 0 to 1e+12"),
        ({"hop_pj": "1"}, "has a hop_pj that is not a number"),
        ({"static_mw": None}, "has a static_mw that is not a number"),
        ({"neurons_per_core": 0}, "has a neurons_per_core that is not from 1 to 1e+12"),
        ({"name": ""}, "has a name that is empty"),
        ({"basis": "a\nb"}, "has a basis that is no line of text"),
    ],
)
def test_models_made_in_python_are_checked_as_files_are(
    wrong: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(DataError) as error:
        CostModel(**{"name": "mine", **BASE, **wrong})
    name = wrong.get("name", "mine")
    assert str(error.value).removeprefix("error: ") == f"the energy model {name!r} {sentence}"


def test_what_is_no_file_is_no_model(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    for name in ("none.json", ".", "pipe.json"):
        with pytest.raises(DataError, match="there is no file"):
            read_cost_model(tmp_path / name)
    wrongs: tuple[Any, ...] = ("loihi1", "a\0b", "", 5, None)
    for wrong in wrongs:
        with pytest.raises(DataError, match=r"there is no file|from the path of a file"):
            read_cost_model(wrong)
