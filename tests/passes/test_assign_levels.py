"""Every tensor with a t_max of its own: text, windows, and the engines against each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from qcompiler.backends import REFERENCE as TARGET
from qcompiler.backends.program.program import Program
from qcompiler.backends.reference.fast.fast_engine import FastEngine
from qcompiler.backends.reference.steps_engine import StepsEngine
from qcompiler.ir import (
    Builder,
    Constant,
    Graph,
    PipelineError,
    Tensor,
    UnsupportedModel,
    evaluate,
    parse,
    show,
)
from qcompiler.ir.ann import Clip, Dense, Function, Multiply, Softmax
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.integer_network import spikes_of
from qcompiler.passes import Pipeline
from qcompiler.passes.quantization.levels import spiking_values
from qcompiler.passes.tensor.assign_levels import AssignLevels
from qcompiler.search.latency import LatencyModel
from tests.support.random_networks import LOIHI, PHASES, compiled, random_batch, random_network
from tests.support.spiking import equal_neurons, same_spikes

seeds = st.integers(0, 2**32 - 1)
FOLDED = "fold-batchnorm,fold-linear"


def allotted(graph: Graph, seed: int) -> tuple[Graph, tuple[int, ...]]:
    """A folded network whose values have 2 to 20 levels, at random."""
    graph = compiled(graph, FOLDED)
    numbers = np.random.default_rng(seed).integers(2, 21, len(spiking_values(graph))).tolist()
    return AssignLevels(":".join(map(str, numbers)))(graph), tuple(numbers)


def lowered(graph: Graph, batch: Array, text: str) -> Graph:
    """The spiking network, or no example if there is none."""
    text = text.replace("normalize,", "equalize{effort=1},normalize,lower-activations,")
    try:
        return compiled(graph, text, calibration=(batch,))
    except UnsupportedModel:
        assume(False)
        raise


def same(graph: Graph, batch: Array) -> None:
    golden = StepsEngine(graph)(batch, record=True).levels
    equal_neurons(golden, FastEngine(graph)(batch, record=True).levels)


@pytest.mark.long  # the next test is the same with functions, of fewer networks
@given(seed=seeds, branches=st.booleans())
@example(seed=6203, branches=False)  # a sum pool that stays a population behind equalized channels
@settings(max_examples=60, phases=PHASES)
def test_engines_agree_with_a_t_max_for_each_tensor(seed: int, branches: bool) -> None:
    graph, numbers = allotted(random_network(seed, branches=branches), seed)
    batch = random_batch(graph, seed)
    values = spiking_values(graph)
    spiking = lowered(graph, batch[:4], LOIHI)
    same(spiking, 2 * batch)
    made = {node.result.name: node.result for node in spiking.nodes}
    for value, number in zip(values, numbers, strict=True):
        readers = graph.users(value)
        if len(readers) > 1 and all(isinstance(reader.op, Clip) for reader in readers):
            continue  # each has a copy of the layer
        raw = value.name.removesuffix(":standard")
        names = (value.name, f"{raw}:spikes", f"{raw}:digit1", f"{raw}:centred")
        (found,) = (spikes_of(made[name]) for name in names if name in made)
        assert found.t_max == number


@given(seed=seeds)
@settings(max_examples=25, phases=PHASES)
def test_engines_agree_on_functions_with_a_t_max_of_their_own(seed: int) -> None:
    graph = random_network(seed, depth=3, branches=bool(seed % 3), functions=True)
    graph, _ = allotted(graph, seed)
    batch = random_batch(graph, seed)
    same(lowered(graph, batch[:4], LOIHI), 2 * batch)


@pytest.mark.lava
@pytest.mark.parametrize("seed", range(6))
def test_lava_agrees_with_a_t_max_for_each_tensor(seed: int) -> None:
    graph, _ = allotted(random_network(seed, depth=3, branches=bool(seed % 2)), seed)
    batch = random_batch(graph, seed, frames=3)
    text = LOIHI.replace("assign-windows", "assign-windows{delay=63}")
    program = Program(compiled(graph, text, calibration=(batch,)), TARGET, {})
    same_spikes(program, "lava-single", batch)


@pytest.mark.long
@given(seed=seeds, branches=st.booleans())
@settings(max_examples=60, phases=PHASES)
def test_windows_tell_the_latency_before_compiling(seed: int, branches: bool) -> None:
    graph, numbers = allotted(random_network(seed, branches=branches), seed)
    latency_model = LatencyModel(graph)
    spiking = lowered(graph, random_batch(graph, seed)[:4], LOIHI)
    told = Program(spiking, TARGET, {}).report().latency_steps
    assert latency_model.latency(numbers) == told
    more = [n + spare for n, spare in zip(numbers, latency_model.slack(numbers), strict=True)]
    for at, number in enumerate(more):
        assert latency_model.latency([*numbers[:at], number, *numbers[at + 1 :]]) == told
        if number - numbers[at] < 100:  # what no output needs could have any number
            assert latency_model.latency([*numbers[:at], number + 1, *numbers[at + 1 :]]) > told


@given(seed=seeds)
@settings(max_examples=30, phases=PHASES)
def test_text_reads_back(seed: int) -> None:
    graph, _ = allotted(random_network(seed, branches=True, functions=True), seed)
    ranged = compiled(graph, "normalize", calibration=(random_batch(graph, seed),))
    for one in (graph, ranged):
        arrays = {constant.name: constant.data for constant in one.constants}
        assert parse(show(one), arrays) == one


def test_text_is_short() -> None:
    assert str(Tensor((6, 24), range=(0.0, 1.0), t_max=8)) == "f32[6x24 in 0.0:1.0 t=8]"
    assert str(Tensor((6,), t_max=8)) == "f32[6 t=8]"
    assert Tensor((6,), range=(0.0, 1.0), t_max=8).layout == Tensor((6,))


def test_pieces_of_a_function_have_its_levels() -> None:
    """Apart from the bits of a product, which have two."""
    build = Builder()
    x = build.input("x", Tensor((8,)))
    x = build.add(Function("x x *"), x, name="squared")
    graph = build.build([build.add(Multiply(), x, x, name="y")])
    batch = np.random.default_rng(0).random((20, 8), np.float32)
    spiking = lowered(AssignLevels("7:9:11")(graph), batch, f"{LOIHI}")
    found = {
        n.result.name: n.result.type for n in spiking.nodes if n.op.mnemonic == "snn.population"
    }
    assert {spikes_of(n.result).t_max for n in spiking.nodes if n.result.name in found} == {
        2,
        9,
        11,
    }


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        (
            "4:4",
            "assign-levels lists levels for 2 values, but 3 values become spikes: %x, %relu, %y",
        ),
        ("4:1:4", "t_max must be between 2 and"),
        ("4:a:4", "invalid literal"),
    ],
)
def test_levels_that_cannot_be(levels: str, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        Pipeline.parse(f"assign-levels{{levels={levels}}}").run(small())


def test_none_and_0_change_nothing() -> None:
    assert AssignLevels("")(small()) == small()
    assert AssignLevels("0:0:0")(small()) == small()
    assert str(Pipeline.parse("assign-levels{levels=4:0:5}")) == "assign-levels{levels=4:0:5}"


def small(softmax: bool = False) -> Graph:
    """Two dense layers, and maybe a softmax."""
    rng, build = np.random.default_rng(3), Builder()
    x = build.input("x", Tensor((10,)))
    for name, outs, ins in (("hidden", 16, 10), ("y", 5, 16)):
        weight = Constant(f"{name}.w", rng.standard_normal((outs, ins)).astype(np.float32))
        x = build.add(
            Dense(), x, weight, Constant(f"{name}.b", np.zeros(outs, np.float32)), name=name
        )
        x = build.add(Clip(0.0), x, name="relu") if name == "hidden" else x
    return build.build([build.add(Softmax(), x, name="p") if softmax else x])


@pytest.mark.parametrize("softmax", [False, True])
def test_clipped_outputs_keep_what_is_inside(softmax: bool) -> None:
    text = "clip-outputs{low=-1.0 high=2.0}"
    graph, batch = small(), np.random.default_rng(4).random((50, 10), np.float32)
    (real,) = evaluate(graph, batch)
    changed = compiled(small(softmax), text)
    logits = changed.nodes[-2].result if softmax else changed.outputs[0]
    (found,) = evaluate(replace(changed, outputs=(logits,), output_names=()), batch)
    np.testing.assert_array_equal(found, real.clip(-1, 2))
    assert [value.name for value in spiking_values(changed)] == ["x", "relu", "y"]
    assert compiled(small(softmax), "clip-outputs") == small(softmax)
