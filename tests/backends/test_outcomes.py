"""What engines of plugins return is checked, batch by batch, and told as their fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.backends import REFERENCE, EngineFactory, Outcome, Program
from qcompiler.backends.energy.activity import Levels
from qcompiler.ir import Graph, PipelineError
from tests.support.onnx_models import model

DATA = np.random.default_rng(0).random((20, 6), np.float32)
Change = Callable[[Outcome], Any]


def outputs(change: Callable[[Any], Any]) -> Change:
    return lambda found: replace(found, outputs=(change(found.outputs[0]),))


def levels(change: Callable[[dict[str, Any]], Any]) -> Change:
    """What changes the levels, where they are asked for."""
    return lambda found: (
        replace(found, levels=change(dict(found.levels))) if found.levels else found
    )


def first_changed(change: Callable[[Any], Any]) -> Change:
    return levels(lambda held: {**held, "x:digit1": change(held["x:digit1"])})


def counters(**changed: Any) -> Change:
    return lambda found: replace(found, counters=replace(found.counters, **changed))


OTHER = "counters whose activity is not that of the network: with None"
OF_COUNTERS = {
    "counters whose frames is '20': it must be a whole number from 0 on": counters(frames="20"),
    "counters whose spikes is '5': it must": counters(spikes="5"),
    "counters whose spikes is -5: it must": counters(spikes=-5),
    "counters whose events is None: it must": counters(events=None),
    "counters whose saturated is 0.5: it must": counters(saturated=0.5),
    "counters whose exceeded_by_population holds no whole numbers by": counters(
        exceeded_by_population={"x": "1"}
    ),
    OTHER: counters(activity={"x": Levels()}),
    f"{OTHER} it is counted": counters(activity={"x:digit1": 1}),
}
OF_OUTPUTS = {
    "no Outcome, but NoneType": lambda found: None,
    "no Counters, but NoneType": lambda found: replace(found, counters=None),
    "counters of 0 frames for a batch of 20": counters(frames=0),
    "0 outputs, but the network has 1": lambda found: replace(found, outputs=()),
    "outputs that are no tuple of arrays, but NoneType": lambda found: replace(found, outputs=None),
    'the output "y" as list: it must be a numpy array': outputs(lambda array: array.tolist()),
    r'the output "y" of shape \(19, 3\): it must be \(20, 3\)': outputs(lambda array: array[:-1]),
    r'the output "y" of shape \(20,\): it must be \(20, 3\)': outputs(lambda array: array[:, 0]),
    'the output "y" with NaN, infinite or non-real': outputs(
        lambda array: np.full_like(array, np.nan)
    ),
    'the output "y" with NaN, infinite or': outputs(lambda array: array.astype(object)),
    'the output "y" as int64: it must hold real numbers, in the units of the model': outputs(
        lambda array: array.astype(np.int64)
    ),
    'the output "y" as bool: it must hold real': outputs(lambda array: array > 0),
}
OF_LEVELS = {
    "levels that are no arrays by population, but NoneType": levels(lambda held: None),
    "no levels of %x:digit1": levels(lambda held: {"y:digit1": held["y:digit1"]}),
    "levels of %x:digit1 as NoneType: it must be": first_changed(lambda array: None),
    r"levels of %x:digit1 of shape \(19, 6\): it must": first_changed(lambda array: array[:-1]),
    "levels of %x:digit1 with NaN, infinite or": first_changed(
        lambda array: np.full_like(array, np.inf, float)
    ),
    "levels of %x:digit1 as float64: they must be integers": first_changed(
        lambda array: array + 0.5
    ),
    r"levels of %x:digit1 from -5 to -?\d: they must be from 0 to": first_changed(
        lambda array: array - array.min() - 5
    ),
    r"levels of %x:digit1 from 1000 to \d+: they must be from 0 to": first_changed(
        lambda array: array - array.min() + 1000
    ),
}


@pytest.fixture(scope="module")
def compiled() -> Program:
    proto = model("float[N,6] x", "h = Gemm(x, w) y = Relu(h)", w=(6, 3))
    return qcompiler.compile(proto, target="reference", calibration=DATA)


def program(compiled: Program, change: Change) -> Program:
    """The program, for a target whose engine returns what ``change`` makes of an outcome."""
    (fast,) = (engine for engine in REFERENCE.engines if engine.name == "fast")

    def make(graph: Graph) -> Any:
        inner = fast.make(graph)
        return lambda *given, **asked: change(inner(*given, **asked))

    engine = EngineFactory("mine", "an engine of the tests", make)
    target = replace(compiled.backend, engines=(engine,))
    return Program(compiled.graph, target, compiled.manifest)


@pytest.mark.parametrize("fault", OF_COUNTERS | OF_OUTPUTS)
def test_faults_of_outputs_and_counters_name_the_engine(compiled: Program, fault: str) -> None:
    with pytest.raises(
        PipelineError, match=f"^error: the engine mine of {__name__} returns {fault}"
    ):
        program(compiled, (OF_COUNTERS | OF_OUTPUTS)[fault]).measure(DATA, engine="mine")


@pytest.mark.parametrize("fault", OF_LEVELS)
def test_faults_of_levels_name_the_engine(compiled: Program, fault: str) -> None:
    found = program(compiled, OF_LEVELS[fault])
    found.run(DATA, engine="mine")  # without levels, which nobody asks for
    with pytest.raises(PipelineError, match=f"the engine mine of {__name__} returns {fault}"):
        found.levels(DATA, engine="mine")


def test_a_sound_engine_may_leave_counters_out(compiled: Program) -> None:
    uncounted = program(compiled, counters(frames=0, spikes="5"))
    np.testing.assert_array_equal(uncounted.run(DATA, engine="mine"), compiled.run(DATA))
    assert uncounted.measure(DATA, engine="mine", count=False).counters.frames == len(DATA)
    sound = program(compiled, lambda found: found)
    assert sound.measure(DATA, engine="mine").counters == compiled.measure(DATA).counters
    for name, array in sound.levels(DATA, engine="mine").items():
        np.testing.assert_array_equal(array, compiled.levels(DATA)[name])


def test_numbers_of_numpy_become_those_of_python(compiled: Program) -> None:
    def in_numpy(found: Outcome) -> Outcome:
        held: Any = found.counters
        held.spikes, held.events = np.int64(held.spikes), np.uint32(held.events)
        return found

    found = program(compiled, in_numpy).measure(DATA, engine="mine").counters
    assert found == compiled.measure(DATA).counters
    assert {type(found.spikes), type(found.events)} == {int}


def test_indices_stay_integers() -> None:
    proto = model("float[N,6] x", "h = Gemm(x, w) y = ArgMax<axis=1>(h)", w=(6, 3))
    compiled = qcompiler.compile(proto, target="reference", calibration=DATA)
    found = program(compiled, lambda found: found).run(DATA, engine="mine")
    np.testing.assert_array_equal(found, compiled.run(DATA))
    wrong = program(compiled, outputs(lambda array: array.astype(np.float32)))
    with pytest.raises(PipelineError, match='"y" as float32: it must hold integers'):
        wrong.run(DATA, engine="mine")


def test_engines_cannot_change_the_data(compiled: Program) -> None:
    def make(graph: Graph) -> Any:
        def engine(array: Any, **asked: Any) -> Any:
            array[...] = 0

        return engine

    factory = EngineFactory("mine", "an engine of the tests", make)
    found = Program(compiled.graph, replace(REFERENCE, engines=(factory,)), compiled.manifest)
    given = DATA.copy()
    with pytest.raises(
        PipelineError, match=r"the engine mine of .* fails: ValueError: .* read-only"
    ):
        found.run(given, engine="mine")
    np.testing.assert_array_equal(given, DATA)


def test_what_is_no_engine_is_told(compiled: Program) -> None:
    factory = EngineFactory("mine", "an engine of the tests", lambda graph: None)  # type: ignore[arg-type,return-value]
    found = Program(compiled.graph, replace(REFERENCE, engines=(factory,)), compiled.manifest)
    message = f"the engine mine of {__name__}: its make returns no engine, but None"
    with pytest.raises(PipelineError, match=message):
        found.run(DATA, engine="mine")
