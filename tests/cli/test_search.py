"""The search for the shortest schedule: its parts, and a small network from end to end."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler import api, data
from qcompiler.backends import REFERENCE
from qcompiler.cli.compiling import qcompile
from qcompiler.ir import Builder, Constant, DataError, Graph, Tensor, UnsupportedModel, evaluate
from qcompiler.ir.ann import Add, Clip, Dense
from qcompiler.ir.kernels import Array
from qcompiler.passes import Pipeline
from qcompiler.passes.quantization.levels import spiking_values
from qcompiler.passes.tensor.split_ranges import SplitRanges
from qcompiler.search.accuracy_cost import AccuracyCost
from qcompiler.search.costed_program import T_MAX
from qcompiler.search.drift import estimate_loss
from qcompiler.search.halves import Half, Measuring
from qcompiler.search.latency import LatencyModel
from qcompiler.search.objective import _Search
from qcompiler.search.pareto import Budget, Point, SearchResult
from qcompiler.search.schedule_family import Schedule, at_error, family
from qcompiler.search.search import search
from qcompiler.search.sensitivity import LEVELS, MOST, errors
from qcompiler.search.trials import Trials
from tests.support.onnx_models import model
from tests.support.random_networks import random_batch, random_network

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
CALIBRATION = DIGITS / "digits_calibration.npz"


def square(*sizes: float) -> Array:
    """Errors that fall with the square of the step, of values that differ in size."""
    steps = np.maximum(np.arange(MOST + 1), 2) - 1
    return np.stack([size / steps**2.0 for size in sizes])


def layers(*branches: int) -> Graph:
    """Dense layers and ReLUs side by side, so many one behind the other each, and their sum."""
    build, ends = Builder(), []
    x = build.input("x", Tensor((4,)))
    eye, zero = Constant("w", np.eye(4, dtype=np.float32)), Constant("b", np.zeros(4, np.float32))
    for depth in branches:
        y = x
        for _ in range(depth):
            y = build.add(Clip(0.0), build.add(Dense(), y, eye, zero, name="d"), name="r")
        ends.append(build.add(Dense(), y, eye, zero, name="e"))
    return build.build([build.add(Add(), *ends, name="y") if len(ends) > 1 else ends[0]])


def test_a_family_gives_levels_where_they_are_worth_most() -> None:
    latency_model = LatencyModel(layers(2))
    found = family(latency_model, square(1, 64, 8, 1), [2] * 4)
    assert found[0].levels == (2, 2, 2, 2) and found[-1].levels == (MOST,) * 4
    assert all(a.latency < b.latency and a.error > b.error for a, b in pairwise(found))
    some = found[at_error(found, 0.5)]
    # the best step is as the third root of the size: 1, 4, 2, 1
    steps = [n - 1 for n in some.levels]
    np.testing.assert_allclose(np.array(steps) / steps[0], [1, 4, 2, 1], atol=0.5)
    uniform = next(t for t in range(2, MOST) if square(1, 64, 8, 1)[:, t].sum() <= 0.5)
    assert some.latency < latency_model.latency([uniform] * 4)


def test_what_is_early_gets_levels_for_nothing() -> None:
    latency_model = LatencyModel(layers(1, 3))
    for schedule in family(latency_model, square(1, 1, 1, 1, 1, 1), [2] * 6)[:200]:
        assert not any(latency_model.slack(schedule.levels)) or max(schedule.levels) == MOST


def test_no_schedule_has_so_small_an_error() -> None:
    schedules = [Schedule((2,), 3, 1.0), Schedule((3,), 4, 0.5)]
    assert [at_error(schedules, error) for error in (2, 1, 0.7, 0.1)] == [0, 0, 1, 1]


def outputs(count: int, seed: int = 0) -> tuple[Array, Array]:
    """Outputs of ten classes, and labels of which most are the largest."""
    rng = np.random.default_rng(seed)
    real = rng.standard_normal((count, 10)) * 3
    return real, (real + rng.standard_normal(real.shape)).argmax(axis=1)


def test_equal_outputs_lose_nothing() -> None:
    real, labels = outputs(300)
    found = estimate_loss(real, real, labels)
    assert (found.drift, found.drop) == (0, 0)
    assert found.accuracy == pytest.approx(100 * np.mean(real.argmax(axis=1) == labels))
    assert 0 < found.standard_error < 1
    assert estimate_loss(real, real, None).drop is None


@pytest.mark.parametrize("size", [0.3, 1.0, 3.0])
def test_estimates_are_near_what_many_images_show(size: float) -> None:
    def noisy(real: Array, seed: int) -> Array:
        found: Array = real + size * np.random.default_rng(seed).standard_normal(real.shape)
        return found

    many, truth = outputs(40000, 1)
    disturbed = noisy(many, 2).argmax(axis=1)
    drift = 100 * np.mean(disturbed != many.argmax(axis=1))
    drop = 100 * (np.mean(many.argmax(axis=1) == truth) - np.mean(disturbed == truth))
    few = [outputs(400, seed) for seed in range(3, 15)]
    found = [estimate_loss(real, noisy(real, 99), labels) for real, labels in few]
    for name, expected in (("drift", drift), ("drop", drop)):
        guesses = np.array([getattr(one, name) for one in found])
        assert (
            abs(guesses.mean() - expected) < 4 * found[0].standard_error / np.sqrt(len(few)) + 0.5
        )
        assert guesses.std() < 1.5 * found[0].standard_error


def test_margins_that_training_has_widened_count_as_those_of_unseen_images() -> None:
    real, _ = outputs(2000, 1)
    error = 0.03 * np.random.default_rng(2).standard_normal(real.shape)
    drift = 100 * np.mean((real + error).argmax(axis=1) != real.argmax(axis=1))
    ordered = np.sort(real, axis=1)
    margin = ordered[:, -1] - ordered[:, -2]
    wide = real.copy()
    wide[np.arange(len(real)), real.argmax(axis=1)] += np.maximum(0, 0.08 - margin)
    seen = 100 * np.mean((wide + error).argmax(axis=1) != real.argmax(axis=1))
    found = estimate_loss(wide, wide + error, None)
    assert seen < 0.2 * drift
    assert abs(found.drift - drift) < 2 * found.standard_error
    few = estimate_loss(wide[:50], wide[:50], None)
    assert few.drift == 0 and few.standard_error > 1.5  # none of 50 seen


def test_accuracy_lost_is_known_better_from_answers_changed() -> None:
    many, truth = outputs(40000, 1)
    few, labels = outputs(1000, 3)
    accuracy_cost, size = AccuracyCost(few, labels, 1.0), 1.0
    disturbed = many + size * np.random.default_rng(2).standard_normal(many.shape)
    right = many.argmax(axis=1) == truth
    drop = 100 * (np.mean(right) - np.mean(disturbed.argmax(axis=1) == truth))
    seen = [
        estimate_loss(
            few, few + size * np.random.default_rng(seed).standard_normal(few.shape), labels
        )
        for seed in range(4, 24)
    ]
    found = np.array([(accuracy_cost.expected(one).drop, one.drop) for one in seen])
    assert found[:, 0].std() < 0.7 * found[:, 1].std()
    assert abs(found[:, 0].mean() - drop) < 2 * seen[0].standard_error


def test_trials_that_lose_less_than_noise_make_all_of_them_cheaper() -> None:
    real, labels = outputs(1000)
    accuracy_cost = AccuracyCost(real, labels, 1.0)
    one = next(estimate for estimate in accuracy_cost.noise if (estimate.drop or 0) > 2)
    half = one._replace(drop=(accuracy_cost.expected(one, errors=0).drop or 0) / 2)
    assert accuracy_cost.factor([]) == 1
    factors = [accuracy_cost.factor([half] * count) for count in (1, 4, 16)]
    assert factors == sorted(factors, reverse=True) and 0.5 < factors[-1] < 0.55
    assert accuracy_cost.factor([half._replace(drop=-9.0)] * 9) == 0.25
    assert accuracy_cost.factor([half._replace(drop=99.0, drift=99.0)]) == 1  # far from the budget
    cheaper = accuracy_cost.expected(half, 0.5).drop
    assert cheaper == pytest.approx((accuracy_cost.expected(half).drop or 0) / 2)


def test_a_loss_that_is_sure_counts() -> None:
    real, labels = outputs(1000)
    accuracy_cost = AccuracyCost(real, labels, 1.0)
    wrong = estimate_loss(real, -real, labels)
    assert wrong.drop is not None and wrong.drop > 50
    assert accuracy_cost.expected(wrong, 0.25).drop == pytest.approx(
        wrong.drop - 2 * wrong.standard_error
    )
    alone = estimate_loss(real, real + 0.5, None)
    assert accuracy_cost.expected(alone) == alone


def test_sensitivity_is_that_of_rounding() -> None:
    graph = random_network(8, depth=4)
    batch = random_batch(graph, 8, frames=40)
    table = errors(graph, (batch,), graph.outputs[0])
    assert table.shape == (len(spiking_values(graph)), MOST + 1)
    assert np.isinf(table[:, :2]).all()
    assert (np.diff(table[:, 2:], axis=1) <= 0).all()
    (real,) = evaluate(graph, batch)
    size = float(np.var(real.reshape(len(real), -1), axis=1).mean())
    assert (table[:, LEVELS[-1]] < 0.1 * size).all()


def trials(kind: str, percent: float, costs: bool = False, **change: Any) -> Trials:
    """Trials on the digits network."""
    graph = change.get("graph") or imported()
    found = data.read(change.get("images", CALIBRATION), api.inputs_of(graph))
    options = {"t_max": 16, "effort": 0, "calibration": found.arrays}
    options |= change.get("options", {})
    steps = api.pipeline("reference", None, options)
    log: Callable[[str], None] = lambda text: None  # noqa: E731
    return Trials(
        graph, steps, REFERENCE, found.arrays, found.labels, Budget(kind, percent), log, costs
    )


def test_one_t_max_for_all_leaves_inputs_and_outputs_their_levels() -> None:
    few = trials("drift", 2.0, options={"output_t_max": 40}).uniform_levels(7)
    assert few[0] == 5 and few[-1] == 40 and set(few[1:-1]) == {7}  # two digits of 17 levels


@pytest.mark.parametrize("costs", [False, True])
def test_a_trial_that_is_sure_ends_with_its_first_half(
    costs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That it fits need only be sure where its cost counts."""
    one, measured = trials("drift", 5.0, costs), list[int]()
    half = Measuring.half

    def noted(self: Measuring, steps: Pipeline, at: int) -> Half:
        measured.append(at)
        return half(self, steps, at)

    monkeypatch.setattr(Measuring, "half", noted)
    lost, _ = one.measure(one.uniform_levels(2), 2)
    kept, _ = one.measure(one.uniform_levels(16), 16)
    assert measured == ([1, 1] if costs else [1, 1, 0])
    assert not lost.fits and lost.estimate is not None and lost.estimate.drift > 5
    assert kept.fits and kept.estimate is not None and kept.estimate.drift < 2


class Guided(_Search):
    """A search that knows from which t_max on programs keep within the budget."""

    def __init__(self, least: int) -> None:
        self.least, self.tried, self.input_levels = least, list[int](), 0
        self.base = T_MAX[-1]
        self.dear: tuple[int, ...] = ()  # of which t_max programs cost more than the best

    def measure(self, *program: Any) -> Point:
        t_max = int(program[0])
        self.tried.append(t_max)
        self.allowed = float(np.clip((t_max - 1) / (self.least - 1), 0.5, 2))
        return replace(self.best(), uniform=t_max, fits=t_max >= self.least)

    def cheaper(self, *program: Any) -> bool:
        return program[0] not in self.dear

    def best(self) -> Point:
        options = (("slices", 1), ("levels", 64), ("digits", 2), ("spare", 0.5))
        return Point((), 0, 0, fits=True, uniform=10, options=options)


@pytest.mark.parametrize("least", [2, 3, 5, 8, 10, 12, 32])
def test_the_smallest_t_max_is_found_where_errors_suggest_it(least: int) -> None:
    found = Guided(least)
    found.smallest_t_max(slices=1)
    assert least in found.tried
    before = [t for t in T_MAX if t < least]
    assert not before or before[-1] in found.tried
    assert len(found.tried) <= 4


@pytest.mark.parametrize(("costs", "price"), [(True, "energy"), (False, "neurons")])
def test_slices_are_priced_in_what_is_searched(costs: bool, price: str) -> None:
    (step,) = (s for s in trials("drift", 2.0, costs).rest if isinstance(s, SplitRanges))
    assert step.price == price


@pytest.mark.parametrize(("dear", "base"), [((), 2), ((10,), T_MAX[-1])])
def test_inputs_are_bits_where_that_costs_less(dear: tuple[int, ...], base: int) -> None:
    found = Guided(8)
    found.dear = dear
    found.binary_inputs()
    assert (found.base, found.tried) == (base, [] if dear else [10])


def test_smaller_t_max_with_slices_may_be_cheaper_than_larger() -> None:
    """What costs too much is left out; what loses too much ends the search."""
    found = Guided(8)
    found.most_slices, found.dear = 4, (8, 7)
    found.with_slices()
    assert found.tried == [6]


def test_a_price_is_near_the_cost() -> None:
    one = trials("drift", 50.0, costs=True)
    levels = one.uniform_levels(6)
    point, price = one.measure(levels, 6)[0], one.price(levels, 6, ())
    assert point.cost is not None and price is not None
    assert price.energy == pytest.approx(point.cost.energy, rel=0.05)


def imported() -> Graph:
    from qcompiler.frontend.import_model import import_model

    before = api.preprocessing(scale_values=(16,))
    return import_model(DIGITS / "digits.onnx", before).graph


@pytest.fixture(scope="module")
def found() -> tuple[Trials, SearchResult]:
    one = trials("drift", 2.0)
    return one, search(one)


def test_the_schedule_keeps_within_its_budget(found: tuple[Trials, SearchResult]) -> None:
    _, result = found
    estimate = result.chosen.estimate
    assert (
        result.chosen.fits
        and estimate is not None
        and estimate.drift + estimate.standard_error <= 2
    )
    assert result.chosen.latency == min(p.latency for p in result.points if p.fits)


def test_no_uniform_schedule_within_the_budget_is_shorter(
    found: tuple[Trials, SearchResult],
) -> None:
    one, result = found
    for t_max in range(2, 9):
        levels = one.uniform_levels(t_max)
        point, _ = one.measure(levels, t_max)
        assert point.latency == one.latency_model.latency(levels)
        assert not point.fits or point.latency >= result.chosen.latency


def test_a_shorter_uniform_schedule_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def misled(graph: Graph, *_: Any) -> Array:
        return square(*(1e-6,) * (len(spiking_values(graph)) - 1), 1e6)  # outputs seem to be all

    monkeypatch.setattr("qcompiler.search.search.errors", misled)
    result = search(trials("drift", 5.0))
    assert result.chosen.uniform is not None
    assert "assign-levels" not in str(result.pipeline) and "t_max" in str(result.pipeline)


def test_the_same_program_every_time(found: tuple[Trials, SearchResult], tmp_path: Path) -> None:
    _, result = found
    options: dict[str, Any] = {"target": "reference", "scale_values": (16,)}
    options |= {"calibration": CALIBRATION, "effort": 0}
    program = qcompiler.compile(DIGITS / "digits.onnx", max_drift=2.0, **options)
    again = qcompiler.compile(DIGITS / "digits.onnx", passes=str(result.pipeline), **options)
    assert program.graph == again.graph
    program.save(tmp_path / "program")
    loaded = qcompiler.load(tmp_path / "program")
    assert loaded.manifest["search"] == json.loads(json.dumps(result.to_dict()))
    report = program.report()
    chosen = result.chosen
    assert (report.latency_steps, report.frame_interval_steps) == chosen.length


def run(line: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    try:
        status = qcompile.main(line.split())
    except SystemExit as stopped:
        status = int(stopped.code or 0)
    return status, *capsys.readouterr()


COMMAND = f"{DIGITS}/digits.onnx --scale-values 16 --target reference -o out"


@pytest.mark.long
def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    line = f"{COMMAND} --calibration {CALIBRATION} --max-drop 2"
    written = "--sweep a.csv --sweep a.json --sweep a.svg --report a.html"
    status, out, err = run(f"{line} --json {written}", capsys)
    assert status == 0 and err.startswith(
        "measuring how the error of the outputs depends on the levels of 4 layers"
    )
    printed = json.loads(out)
    chosen = [point for point in printed["search"]["points"] if point["chosen"]]
    assert len(chosen) == 1 and chosen[0]["fits_budget"]
    assert list(printed["search"]["schedule"].values()) == chosen[0]["levels"]
    assert json.loads(Path("a.json").read_text()) == printed["search"]
    with open("a.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["latency_steps"]) for row in rows] == [
        point["latency_steps"] for point in printed["search"]["points"]
    ]
    drawn = ElementTree.parse("a.svg").getroot().iter("{http://www.w3.org/2000/svg}text")
    assert {"budget, 2 %", "chosen", "accuracy lost, %"} <= {part.text for part in drawn}
    page = Path("a.html").read_text(encoding="utf-8")
    assert "<h2>Search</h2>" in page and 'class="marked"' in page and "budget, 2 %" in page
    status, out, _ = run(line, capsys)
    assert "chosen" in out and "drop %" in out
    assert "quantised layers" not in out  # the levels of values are the search's


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--max-drop 1", "error: --max-drop needs calibration data: give --calibration"),
        ("--max-drift -1 --calibration CALIBRATION", "error: --max-drift must be from 0 to 100"),
        ("--max-drift nan --calibration CALIBRATION", "error: --max-drift must be from 0 to 100"),
        ("--max-drop 1 --calibration unlabelled.npy", "error: --max-drop needs labels"),
        (
            "--max-drop 1 --calibration CALIBRATION --labels short.npy",
            "error: there are 3 labels for 200 frames",
        ),
        (
            "--max-drop 1 --calibration CALIBRATION --labels high.npy",
            "error: labels must lie between 0 and 9, the classes of the output",
        ),
        (
            "--max-drop 1 --calibration CALIBRATION --labels real.npy",
            "error: labels must be one integer per frame",
        ),
        (
            "--max-drop 1 --calibration CALIBRATION --labels no.npy",
            "error: there is no file no.npy",
        ),
        (
            "--max-drift 1 --calibration few.npy",
            "error: the search needs at least 40 calibration images",
        ),
        (
            "--max-drift 0 --calibration CALIBRATION",
            "error: no schedule meets --max-drift 0",
        ),
        (
            "--max-drift 1 --calibration CALIBRATION --passes fold-linear,assign-windows",
            "error: the search needs a pipeline with a pass that has the option t_max",
        ),
        (
            "--max-drift 1 --calibration CALIBRATION --sweep no/such/file.csv",
            "error: there is no folder no/such for --sweep",
        ),
        (
            "--max-drift 1 --calibration CALIBRATION --sweep folder.csv",
            "error: folder.csv is not a regular file: choose another --sweep",
        ),
        (
            "--max-drift 1 --calibration CALIBRATION --passes normalize,quantize,assign-windows",
            "error: batch normalisation is left in the graph",
        ),
    ],
)
def test_faults_are_one_sentence(
    options: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with np.load(CALIBRATION) as given:
        images = given["images"]
    Path("folder.csv").mkdir()
    np.save("unlabelled.npy", images)
    np.save("few.npy", images[:20])
    np.save("short.npy", np.arange(3))
    np.save("high.npy", np.arange(len(images)))
    np.save("real.npy", np.ones(len(images)))
    status, out, err = run(
        f"{COMMAND} -q {options.replace('CALIBRATION', str(CALIBRATION))}", capsys
    )
    assert (status, out) == (1, "")
    assert err.startswith(message) and err.count("\n") <= 2 + err.count("-->")
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--sweep a.csv", "--sweep needs --max-drop"),
        ("--max-drift 1 --sweep a.txt", "'a.txt' should end in one of .csv, .json, .svg"),
        ("--max-drift 1 --max-drop 1", "not allowed with"),
    ],
)
def test_wrong_usage(options: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(f"{COMMAND} {options}", capsys)
    assert status == 2 and message in err


def test_networks_that_name_no_class() -> None:
    batch = np.random.default_rng(0).random((50, 4), np.float32)
    graph = layers(1)
    twice = Graph("two", graph.inputs, graph.nodes, (graph.outputs[0], graph.nodes[1].result))
    with pytest.raises(UnsupportedModel, match="one output; this model has 2"):
        trials("drift", 1.0, graph=twice, images=batch)
    cut = Builder()
    x = cut.input("x", Tensor((4,)))
    weight, bias = Constant("w", np.ones((1, 4), np.float32)), Constant("b", np.ones(1, np.float32))
    one = cut.build([cut.add(Dense(), x, weight, bias, name="y")])
    with pytest.raises(UnsupportedModel, match="several elements, one per class"):
        trials("drift", 1.0, graph=one, images=batch)
    with pytest.raises(DataError, match="at least 40 calibration images, not 30"):
        trials("drift", 1.0, graph=graph, images=batch[:30])


@pytest.mark.parametrize("objective", ["energy", pytest.param("edp", marks=pytest.mark.long)])
def test_the_cheapest_program_is_searched(objective: str, tmp_path: Path) -> None:
    """It costs less than the default program, and no cheaper one was within the budget."""
    given: dict[str, Any] = {"calibration": CALIBRATION, "scale_values": (16,)}
    model = DIGITS / "digits.onnx"
    program = qcompiler.compile(model, max_drift=3, objective=objective, **given)
    default = qcompiler.compile(model, **given)
    key: Callable[[Any], float] = {
        "energy": lambda p: p.energy().causes.total,
        "edp": lambda p: p.energy().to_dict()["edp_ujs"]["streaming"],
    }[objective]
    assert key(program) < key(default)
    points = program.manifest["search"]["points"]
    name = {"energy": "energy_uj", "edp": "edp_ujs"}[objective]
    (chosen,) = (point for point in points if point["chosen"])
    assert chosen["fits_budget"]
    assert all(p[name] >= chosen[name] for p in points if p["fits_budget"])
    assert min(point["options"].get("spare", 1) for point in points) == 0.5
    assert any(not point["options"] for point in points)  # levels of its own for every value
    if chosen["options"]:
        assert f"spare={chosen['options']['spare']:g}" in program.manifest["pipeline"]
    program.save(tmp_path / "p")
    assert qcompiler.load(tmp_path / "p").graph == program.graph


@pytest.mark.parametrize(("seed", "told_so"), [(7, True), (9, True), (3, False), (10, True)])
def test_what_costs_more_than_the_default_is_not_compiled(seed: int, told_so: bool) -> None:
    """Slices that bring much for their energy may take more than all others: a perceptron's.

    Sixty-four of the samples show the contrary. Where they do not, nothing is told.
    """
    rng = np.random.default_rng(1)
    sizes = (20, 32, 24, 5)
    weights: dict[str, Any] = {}
    for at, (n, m) in enumerate(pairwise(sizes)):
        weights[f"w{at}"] = rng.normal(size=(n, m)).astype(np.float32) * np.float32(np.sqrt(2 / n))
    body = "a = MatMul(x, w0) b = Relu(a) c = MatMul(b, w1) d = Relu(c) y = MatMul(d, w2)"
    x = np.maximum(np.random.default_rng(seed).normal(size=(300, 20)), 0).astype(np.float32)
    told: list[str] = []
    given: dict[str, Any] = {"calibration": x, "t_max": 16}
    proto = model("float[N,20] x", body, **weights)
    energies = [
        qcompiler.compile(proto, objective=objective, tell=told.append, **given).energy().causes
        for objective in ("energy", "latency")
    ]
    assert energies[0].total <= energies[1].total
    assert (energies[0] == energies[1]) == told_so
    assert any(t.startswith("by the cost model the default takes less") for t in told) == told_so


def test_energy_counts_without_a_search_too() -> None:
    given: dict[str, Any] = {"calibration": CALIBRATION, "scale_values": (16,), "t_max": 8}
    model = DIGITS / "digits.onnx"
    cheap, default = (
        qcompiler.compile(model, objective=kind, **given) for kind in ("energy", "latency")
    )
    assert "price=energy" in cheap.manifest["pipeline"] and "search" not in cheap.manifest
    assert cheap.energy().causes.total < default.energy().causes.total


def test_objectives_are_checked() -> None:
    with pytest.raises(qcompiler.CompileError, match="objective energy needs calibration data"):
        qcompiler.compile(DIGITS / "digits.onnx", objective="energy")
    with pytest.raises(qcompiler.CompileError, match="one of latency, energy, edp, not cost"):
        qcompiler.compile(
            DIGITS / "digits.onnx", calibration=CALIBRATION, max_drift=1, objective="cost"
        )
