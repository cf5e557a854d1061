"""Bounds from calibration data: where they are taken, what holds within, what is reported."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import qcompiler
from qcompiler.backends import LOIHI as TARGET
from qcompiler.backends import EngineFactory
from qcompiler.backends.program.program import Program
from qcompiler.backends.reference.fast.fast_engine import FastEngine
from qcompiler.backends.reference.steps_engine import StepsEngine
from qcompiler.cli.running import qrun
from qcompiler.ir import (
    Builder,
    CompileError,
    CompileWarning,
    Constant,
    Graph,
    Tensor,
    UnsupportedModel,
    evaluate,
    parse,
    show,
    verify,
)
from qcompiler.ir.ann import Affine, Clip, Conv, SumPool
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Convolve
from qcompiler.ir.spiking.input_bounds import Bounds, Drive, Incoming
from qcompiler.ir.spiking.integer_network import calibrated, spikes_of
from qcompiler.ir.spiking.synapse import current
from qcompiler.passes import Pipeline
from qcompiler.passes.calibration.observed_membranes import observed_bounds
from qcompiler.passes.quantization.calibrated_bounds import CalibratedBounds
from qcompiler.passes.quantization.membrane_limits import Limits, MembraneLoad
from tests.support.planted_faults import corrupt_text
from tests.support.random_networks import CALIBRATED, PHASES, compiled, random_batch, random_network
from tests.support.spiking import same_spikes

T_MAX = 32
PIECES = ("relu1:digit1", "relu1:digit0")  # of the output, which has 64 levels
NARROW = CALIBRATED.replace("input=32512", "input=1200")  # no proof for a neuron of a few synapses


def wide(channels: int = 96, side: int = 6) -> Graph:
    """Two convolutions whose proofs leave few bits, and a pool of their difference."""
    rng, build = np.random.default_rng(3), Builder("wide")
    value = build.input("x", Tensor((channels, side, side)))
    for index in range(2):
        data = rng.standard_normal((channels, channels, 3, 3)) / np.sqrt(9 * channels)
        weight = Constant(f"w{index}", data.astype(np.float32))
        bias = Constant(f"b{index}", np.zeros((channels, 1, 1), np.float32))
        op = Conv((1, 1), (1, 1, 1, 1), (1, 1))
        value = build.add(op, value, weight, bias, name=f"conv{index}", origin=[f"Conv_{index}"])
        value = build.add(Clip(0.0), value, name=f"relu{index}", origin=[f"Relu_{index}"])
    return build.build([value], ["y"])


def images(count: int, seed: int = 0, channels: int = 96, side: int = 6) -> Array:
    """Whole numbers, one for each level, most of them small, as those of features are."""
    uniform = np.random.default_rng(seed).random((count, channels, side, side), np.float32)
    whole: Array = np.floor(T_MAX * uniform**4)
    return whole


@pytest.fixture(scope="module")
def program() -> Program:
    return qcompiler.compile(wide(), calibration=images(12), t_max=T_MAX, effort=0)


def weights(program: Program) -> list[int]:
    return [row.weight_bits for row in program.report().populations if row.weight_bits]


def test_bounds_are_taken_where_a_proof_costs_bits(program: Program) -> None:
    proved = qcompiler.compile(wide(), calibration=images(12), t_max=T_MAX, effort=0, proved=True)
    assert proved.unproved_checks == ()
    assert not calibrated(proved.graph)
    assert set(calibrated(program.graph)) == {"relu0", *PIECES}
    assert weights(program) > weights(proved)
    assert min(weights(program)) >= 7
    assert max(weights(proved)) <= 7
    first, *_ = program.unproved_checks
    assert "membranes and inputs of %relu0" in first
    assert "12 calibration images with a margin of" in first
    assert program.report().unproved_checks == program.unproved_checks


def test_without_calibration_data_all_is_proved() -> None:
    assert qcompiler.compile(wide(), t_max=T_MAX).unproved_checks == ()


def test_the_reference_has_no_need_of_them() -> None:
    program = qcompiler.compile(
        wide(), target="reference", calibration=images(4), t_max=T_MAX, weight_bits=6
    )
    assert program.unproved_checks == ()


def test_engines_agree_and_nothing_is_beyond(program: Program) -> None:
    batch = np.concatenate([images(12), images(12, seed=1)])
    steps = program.measure(batch, engine="steps")
    fast = program.measure(batch, engine="fast")
    np.testing.assert_array_equal(steps.outputs["y"], fast.outputs["y"])
    assert steps.counters.exceeded_by_population == dict.fromkeys(("relu0", *PIECES), 0)
    assert steps.counters.exceeded == 0
    assert fast.counters.exceeded_by_population is None
    same_spikes(program, "fast", batch)


@pytest.mark.lava
@pytest.mark.parametrize(("engine", "side"), [("lava-single", 6), ("lava-processes", 3)])
def test_lava_shows_the_same_spikes(program: Program, engine: str, side: int) -> None:
    """Processes of their own on a network with as many synapses a neuron, but fewer neurons."""
    if side != 6:
        calibration = images(12, side=side)
        program = qcompiler.compile(wide(side=side), calibration=calibration, t_max=T_MAX, effort=0)
    assert set(calibrated(program.graph)) == {"relu0", *PIECES}
    same_spikes(program, engine, images(2, seed=2, side=side))


def bright(count: int) -> Array:
    """Images within the range of levels that excite one neuron as much as any can."""
    kernel = wide().constants[0].data[0]
    found = np.zeros((count, 96, 6, 6), np.float32)
    found[:, :, 1:4, 1:4] = (T_MAX - 1) * (kernel > 0)
    return found


@pytest.mark.parametrize("method", ["run", "levels", "spikes"])
def test_what_goes_beyond_is_told_where_nothing_is_counted(program: Program, method: str) -> None:
    ask = getattr(program, method)
    with pytest.warns(CompileWarning, match="2 of 5 frames exceed .* limits of %relu0") as caught:
        ask(np.concatenate([images(3, seed=5), bright(2)]), engine="steps")
    assert len(caught) == 1 and "compile with proved=True" in str(caught[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ask(images(3, seed=5), engine="steps")


def test_what_goes_beyond_is_counted_by_frame(program: Program) -> None:
    batch = np.concatenate([images(3, seed=5), bright(2)])
    found = program.measure(batch, engine="steps")
    assert found.counters.exceeded == 2
    assert found.counters.exceeded_by_population is not None
    assert found.counters.exceeded_by_population["relu0"] == 2
    expected = program.measure(batch).outputs["y"]
    np.testing.assert_array_equal(found.outputs["y"][:3], expected[:3])
    levels = StepsEngine(program.graph)(batch, record=True).levels["relu0"]
    assert levels[:3].max() < T_MAX


def test_neurons_that_fire_early_or_never_have_an_end_of_the_range() -> None:
    """Hold and force are made for bounds that leave nothing to the inputs."""
    passes = CALIBRATED.replace(",insert-readout", "")
    graph = compiled(wide(), passes, calibration=(images(12),), t_max=T_MAX)
    for row in Bounds._fields:
        graph = with_bounds(graph, row, 0, 0)
    graph = Pipeline.parse("insert-readout").run(graph)
    outcome = StepsEngine(graph)(images(3), record=True)
    assert outcome.counters.exceeded == 3
    fired = outcome.levels["relu0"]
    plugin = EngineFactory("plugin", "returns it", lambda graph: lambda *given, **asked: outcome)
    told = Program(graph, replace(TARGET, engines=(plugin,)), {}).levels(images(3), engine="plugin")
    np.testing.assert_array_equal(told["relu0"], fired)
    assert (fired > T_MAX - 1).any()  # early
    code = spikes_of(next(n for n in graph.nodes if n.result.name == "relu1").result)
    assert 0 <= outcome.outputs[0].min() <= outcome.outputs[0].max()
    assert outcome.outputs[0].max() <= np.float32(code.scale * (code.top - code.zero))


def test_the_program_is_saved_with_its_bounds(program: Program, tmp_path: Path) -> None:
    program.save(tmp_path / "p")
    loaded = qcompiler.load(tmp_path / "p")
    assert loaded.graph == program.graph
    assert loaded.unproved_checks == program.unproved_checks


@pytest.mark.parametrize(
    ("pattern", "text", "message"),
    [
        (r"images=12", "images=-3", "at least one image"),
        (r"margin=[\d.]+", "margin=0.5", "margin of 1 or more"),
        (r"images=12 margin=[\d.]+", "", "takes a current"),
        (r", #relu0:bounds\)", ")", "calibrated bounds, 9 rows"),
        (r", #relu0:bounds\)", ", #relu0:W)", "calibrated bounds, 9 rows"),
        (r", #relu0:bounds\)", ", #relu0:bounds, #relu0:bounds)", "takes a current"),
        (r"images=12", "images='many'", "images cannot be"),
    ],
)
def test_a_spoilt_text_is_refused(
    program: Program, tmp_path: Path, pattern: str, text: str, message: str
) -> None:
    corrupt_text(program, tmp_path / "p", pattern, text)
    with pytest.raises(CompileError, match=message):
        qcompiler.load(tmp_path / "p")


def test_margins_of_channels_fit_together() -> None:
    """Each could be wide by itself, but the hardest push raises the threshold of both."""
    bias, slope = np.array([1825.0, 3729.0]), np.array([539.0, 343.0])
    zero, far = np.zeros(2), np.array([59540.0, 46909.0])
    drive = Drive(far, far, far, far, zero, Bounds(-far, far, -far, *(-far, far) * 3))
    low, high = np.array([2580.0, -8403.0]), np.array([9834.0, 2890.0])
    seen = Bounds(low, high, low, *(zero,) * 6)
    load = MembraneLoad(drive, 15, bias, slope, 16, Limits(127, 65535, 16000, 1 << 23))
    found = CalibratedBounds.of(seen, 10, load, (2,))
    assert found.margin == 2.5
    assert np.all(found.excess <= 1) and np.all(load.excess_within(found.bounds) <= 1)


@pytest.mark.parametrize(
    ("row", "factor", "more", "message"),
    [
        ("highest", 4, 0, "could fire before its read step"),
        ("final", 4, 0, "misses membrane potentials|contradict|at rest"),
        ("lowest", 50, 0, "the membrane of"),
        ("least", 50, -(1 << 14), "the input of one step"),
        ("highest", 0, -1, "exclude a membrane at rest"),
        ("fall", 0, 1, "exclude a membrane at rest"),
    ],
)
def test_spoilt_bounds_are_refused(
    program: Program, row: str, factor: int, more: int, message: str
) -> None:
    graph = with_bounds(program.graph, row, factor, more)
    with pytest.raises(CompileError, match=message):
        verify(graph, *TARGET.requires)


def test_spoilt_bounds_of_currents_are_refused() -> None:
    """More inputs, as the currents of fewer cannot exceed the limit."""
    data = images(12, channels=192, side=3)
    program = qcompiler.compile(wide(192, 3), calibration=data, t_max=T_MAX, effort=0)
    with pytest.raises(CompileError, match="the input of one step"):
        verify(with_bounds(program.graph, "rise", 50, 1 << 20), *TARGET.requires)


def with_bounds(graph: Graph, row: str, factor: int, more: int) -> Graph:
    """One row of the bounds of all populations changed."""
    arrays: dict[str, Any] = {c.name: c.data for c in graph.constants}
    for name in arrays:
        if name.endswith(":bounds"):
            arrays[name] = changed = arrays[name].astype(np.int64)
            at = Bounds._fields.index(row)
            changed[at] = changed[at] * factor + more
    text = show(graph)
    for constant in graph.constants:
        made = Constant(constant.name, arrays[constant.name])
        old, new = (f"{c.type} = {c.digest}" for c in (constant, made))
        text = text.replace(f"const #{made.name}: {old}", f"const #{made.name}: {new}")
    return parse(text, arrays)


def test_qrun_and_reports_tell(
    program: Program, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program.save(tmp_path / "p")
    np.savez(tmp_path / "d.npz", images=np.concatenate([images(3, seed=7), bright(1)]))
    arguments = [str(tmp_path / "p"), str(tmp_path / "d.npz")]
    assert qrun.main([*arguments, "--engine", "steps", "--json"]) == 0
    first, *_ = json.loads(capsys.readouterr().out)["unproved_checks"]
    assert first.endswith(": 1 of 4 frames exceeded them")
    assert qrun.main([*arguments, "--engine", "steps"]) == 0
    assert "limits of 3 populations" in (told := capsys.readouterr().out)
    assert "1 of 4 frames exceeded them" in told
    assert qrun.main([*arguments]) == 0
    assert "not counted by the fast engine" in capsys.readouterr().out


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, phases=PHASES)
def test_random_networks_keep_to_bounds_of_their_calibration_data(seed: int) -> None:
    graph = random_network(seed, depth=4, branches=bool(seed % 2))
    batch = random_batch(graph, seed)
    try:
        spiking = compiled(graph, NARROW, calibration=(batch,), t_max=8)
    except UnsupportedModel:
        assume(False)
    assume(calibrated(spiking))
    steps, fast = StepsEngine(spiking)(batch, record=True), FastEngine(spiking)(batch, record=True)
    assert steps.counters.exceeded == 0
    for name, levels in fast.levels.items():
        np.testing.assert_array_equal(steps.levels[name], levels, err_msg=name)


def test_bounds_are_those_of_every_step() -> None:
    """Against a simulation of one dense and one convolutional synapse group, spike by spike."""
    rng = np.random.default_rng(0)
    q = rng.integers(0, 6, (5, 4, 3, 3)), rng.integers(0, 4, (5, 4, 3, 3))
    w = rng.integers(-9, 9, (2, 4, 2, 2)), rng.integers(-9, 9, (2, 4, 2, 2))
    op = Convolve((1, 1), (0,) * 4, (1, 1))
    incoming = [Incoming(op, w[0], (4, 3, 3), 5), Incoming(op, w[1], (4, 3, 3), 3)]
    found, images = observed_bounds(incoming, q)
    assert images == len(q[0])
    u = v = np.zeros((5, 2, 2, 2))
    lowest = highest = fall = rise = weakest = strongest = np.zeros((2, 1, 1))

    def low(array: Array) -> Array:
        found: Array = array.min(axis=(0, 2, 3), keepdims=True)[0]
        return found

    def high(array: Array) -> Array:
        found: Array = array.max(axis=(0, 2, 3), keepdims=True)[0]
        return found

    for k in range(5, 0, -1):
        a = current(op, q[0] == k, w[0]) + current(op, q[1] == k, w[1])
        u = u + a
        v = v + u
        weakest, strongest = np.minimum(weakest, low(u)), np.maximum(strongest, high(u))
        fall, rise = np.minimum(fall, low(a)), np.maximum(rise, high(a))
        lowest, highest = np.minimum(lowest, low(v)), np.maximum(highest, high(v))
    ends = fall, rise, low(u), high(u), weakest, strongest
    expected = Bounds(lowest, highest, low(v), *ends)
    for name, one, other in zip(Bounds._fields, found, expected, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=name)


@pytest.mark.parametrize("effort", [0, 1])
def test_the_average_of_a_large_image_fits_for_many_classes(effort: int) -> None:
    """The slopes of 256 levels are small, and a share of 1/169 is in the weights, not in them."""
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((128, 8, 1, 1)).astype(np.float32)
    bias = rng.standard_normal(128).astype(np.float32)
    build = Builder()
    x = build.input("x", Tensor((8, 13, 13)))
    plain: dict[str, Any] = {"strides": (1, 1), "pads": (0,) * 4, "dilations": (1, 1)}
    first = Constant("w", weight), Constant("b", bias.reshape(-1, 1, 1))
    y = build.add(Clip(0.0), build.add(Conv(**plain), x, *first, name="y"), name="r")
    total = build.add(SumPool(kernel=(13, 13), **plain), y, name="total")
    share = Constant("share", np.full((128, 1, 1), 1 / 169, np.float32))
    shift = Constant("shift", np.zeros((128, 1, 1), np.float32))
    graph = build.build([build.add(Affine(), total, share, shift, name="z")])
    data = np.abs(rng.standard_normal((16, 8, 13, 13))).astype(np.float32)
    program = qcompiler.compile(graph, target="loihi", calibration=data, effort=effort)
    golden = evaluate(graph, data[:2])[0]
    np.testing.assert_allclose(program.run(data[:2]), golden, atol=0.1 * np.abs(golden).max())
    same_spikes(program, "fast", data[:2])
