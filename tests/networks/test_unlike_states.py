"""States whose elements differ in size or change little, and functions and copies of them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import onnx
import pytest

import qcompiler
from qcompiler import Program
from qcompiler.backends.program.states import carried_states
from qcompiler.backends.program.stream import run_stream
from tests.support.cells import cell, run_recurrently, sequences
from tests.support.onnx_models import ints, model

Array = np.ndarray[Any, Any]
SIZES = np.geomspace(0.01, 10, 4).astype(np.float32)
AVERAGE = "a = Mul(h_in, k) b = Mul(x, l) h_out = Add(a, b) "
pytestmark = pytest.mark.filterwarnings("ignore::qcompiler.CompileWarning")


def average(body: str = "y = MatMul(h_out, v)") -> onnx.ModelProto:
    """Moving averages of four features."""
    weights = np.random.default_rng(0).normal(size=(4, 3)) / SIZES[:, None]
    given: dict[str, Any] = {"k": np.float32(0.9), "l": np.float32(0.1)}
    given |= {"v": weights.astype(np.float32)} if "v" in body else {}
    outputs = "y h_out" if body else "h_out"
    return model("float[N,4] x, float[N,4] h_in", AVERAGE + body, outputs=outputs, **given)


def noise(seed: int) -> Array:
    return np.random.default_rng(seed).normal(size=(16, 100, 4)).astype(np.float32)


def compiled(proto: onnx.ModelProto, sizes: Array | float, t_max: int = 16) -> Program:
    x = sizes * noise(seed=0)
    return qcompiler.compile(proto, target="reference", calibration=x, states="auto", t_max=t_max)


def worst(proto: onnx.ModelProto, program: Program, x: Array, name: str = "h_out") -> float:
    """The largest error of an element, as a share of its spread."""
    wanted = run_recurrently(proto, x)[name].reshape(-1, 4)
    found = run_stream(program, (x,), count=False).outputs[name].reshape(-1, 4)
    return float((np.sqrt(np.square(found - wanted).mean(axis=0)) / wanted.std(axis=0)).max())


def test_elements_have_ranges_of_their_own() -> None:
    """Sizes hardly matter: those of one size lose as much."""
    proto, x = average(), noise(seed=1)
    program = compiled(proto, SIZES)
    alike = worst(proto, compiled(proto, 1.0), x)
    assert worst(proto, program, SIZES * x) < 1.5 * alike
    (one,) = carried_states(program.graph, program.states)
    low, high = one.bounds
    assert np.ptp(high) > 100 * high.min() and np.ptp(low) > -100 * low.max()


def test_engines_agree_on_elements_of_their_own() -> None:
    program, x = compiled(average(), SIZES), SIZES * sequences(2, 5, seed=2)
    one, other = (run_stream(program, (x,), engine, count=False) for engine in ("fast", "steps"))
    for name, array in one.outputs.items():
        np.testing.assert_array_equal(array, other.outputs[name])
    stream = program.stream()
    stream.begin({"h_in": one.outputs["h_out"][:1]})
    levels = stream.levels["h_in"]
    stream.begin({"h_in": stream._states[0].real(levels)})
    np.testing.assert_array_equal(stream.levels["h_in"], levels)


def test_a_state_of_its_own_range_outgrows_it() -> None:
    program = compiled(average(), SIZES)
    told: list[str] = []
    x = np.zeros((1, 40, 4), np.float32)
    x[..., 1] = 10
    run_stream(program, (x,), count=False, tell=lambda finding: told.append(finding.text))
    assert len(told) == 1 and "outgrows its range at its element [1], -" in told[0]


def test_a_moved_state_keeps_one_code() -> None:
    """A ring buffer of unlike features: levels move unchanged."""
    program = qcompiler.compile(
        cell("ring"), target="reference", calibration=SIZES * sequences(8, 30), states="auto"
    )
    stream, before = program.stream(), None
    for frame in (SIZES * sequences(2, 8, seed=3)).swapaxes(0, 1):
        stream.step(frame)
        now = stream.levels["cache_in"]
        if before is not None:
            np.testing.assert_array_equal(now[:, :, :-1], before[:, :, 1:])
        before = now


def test_one_code_where_weights_cannot_make_up_for_more() -> None:
    """A level of x, one code for all features, is more than a hundred of the smallest element."""
    body = "u = Unsqueeze(x, first) a = Mul(h_in, k) h_out = Add(a, u) y = Neg(a)"
    given: dict[str, Any] = {"first": ints(0), "k": np.float32(0.9)}
    proto = model("float[N,4] x, float[1,N,4] h_in", body, outputs="y h_out", **given)
    program = compiled(proto, SIZES)
    (one,) = carried_states(program.graph, program.states)
    assert one.rescaling is None


def test_functions_of_a_state_read_exact_sums() -> None:
    """They have copies of its layer: no population rounds the state in front of them."""
    program = compiled(average("t = Tanh(h_out) y = Neg(t)"), 1.0)
    assert "h_out" not in {node.result.name for node in program.graph.nodes}


COPIES = {  # of an input that nothing else reads
    "scaled": ("4", "h_out = Mul(x, k)"),
    "shifted": ("4", "h_out = Add(x, k)"),
    "arranged": ("2,2", "a = Mul(x, k) b = Reshape(a, s) h_out = Transpose<perm=[0,2,1]>(b)"),
    "in a buffer": ("8", "a = Mul(x, k) b = Slice(h_in, m, n, i) h_out = Concat<axis=1>(b, a)"),
}


@pytest.mark.parametrize("kind", COPIES)
def test_a_state_that_is_a_copy_of_an_input(kind: str) -> None:
    """Both of its ends keep one code; x has its own, levels of 0.5 spreads at most."""
    shape, body = COPIES[kind]
    known = {"k": np.float32(0.5), "s": ints(0, 2, 2), "m": ints(4), "n": ints(8), "i": ints(1)}
    given: dict[str, Any] = {name: known[name] for name in known if re.search(rf"\b{name}\b", body)}
    given["v"] = np.ones((8 if shape == "8" else 4, 3), np.float32)
    proto = model(
        f"float[N,4] x, float[N,{shape}] h_in",
        f"{body} f = Flatten(h_in) y = MatMul(f, v)",
        outputs="y h_out",
        **given,
    )
    assert worst(proto, compiled(proto, 1.0), noise(seed=1)) < 0.5 / np.sqrt(12)


def test_an_output_that_is_the_state_is_read_at_its_end() -> None:
    """It has the state's scales and levels, and takes no population of its own."""
    proto, x = average("y = Identity(h_out)"), SIZES * noise(seed=1)
    program = compiled(proto, SIZES)
    assert worst(proto, program, x) < 0.1  # one scale for all loses the smallest: 1
    found = run_stream(program, (x,), count=False).outputs
    np.testing.assert_array_equal(found["y"], found["h_out"])
    assert sum(one.kind != "input" for one in program.report().populations) == 2  # two digits


@pytest.mark.parametrize(
    "views", ["y = Unsqueeze(h_out, one)", "b1 = Reshape(h_out, s) y = Transpose<perm=[0,2,1]>(b1)"]
)
def test_a_view_of_a_state_is_read_at_its_end(views: str) -> None:
    """It has the state's scales, not one for all elements, and layers read sums without them."""
    known = {"one": ints(1), "s": ints(0, 2, 2)}
    given: dict[str, Any] = {name: known[name] for name in known if f", {name})" in views}
    given |= {"k": np.float32(0.9), "l": np.float32(0.1)}
    proto = model("float[N,4] x, float[N,4] h_in", AVERAGE + views, outputs="y h_out", **given)
    program, x = compiled(proto, SIZES), SIZES * noise(seed=1)[:4, :40]
    assert worst(proto, program, x) < 0.1
    found = run_stream(program, (x,), count=False).outputs
    y = found["y"] if "Unsqueeze" in views else found["y"].swapaxes(1, 2)
    np.testing.assert_array_equal(y.reshape(-1, 4), found["h_out"])
    assert sum(one.kind != "input" for one in program.report().populations) == 2  # two digits


def test_two_shapes_of_one_sum_share_the_end_of_the_state() -> None:
    body = "g = Squeeze(h_in, i) a = Mul(g, k) b = Mul(x, l) y = Add(a, b) h_out = Unsqueeze(y, i)"
    given: dict[str, Any] = {"i": ints(1), "k": np.float32(0.9), "l": np.float32(0.1)}
    proto = model("float[N,4] x, float[N,1,4] h_in", body, outputs="y h_out", **given)
    program, x = compiled(proto, SIZES), SIZES * noise(seed=1)[:4, :40]
    assert worst(proto, program, x, "y") < 0.1


def test_noise_of_an_input_counts_for_each_element_of_a_state() -> None:
    """The largest does not hide what one code for all features of x does to the others."""
    proto, x = average(""), SIZES * noise(seed=1)[:, :40]
    program = qcompiler.compile(
        proto, target="reference", calibration=SIZES * noise(seed=0)[:, :40], states="h_out:h_in"
    )
    assert worst(proto, program, x) < 0.1


def test_two_states_of_one_value_end_apart() -> None:
    given: dict[str, Any] = {"k": np.float32(0.6), "l": np.float32(0.1), "q": np.float32(0.3)}
    body = "a = Mul(h_in, k) b = Mul(x, l) c = Mul(g_in, q) d = Add(a, b) h_out = Add(c, d) "
    inputs = "float[N,4] x, float[N,4] h_in, float[N,4] g_in"
    proto = model(inputs, body + "g_out = Identity(h_out)", outputs="h_out g_out", **given)
    x, states = noise(seed=0)[:, :30], ["h_out:h_in", "g_out:g_in"]
    program = qcompiler.compile(proto, target="reference", calibration=x, states=states)
    assert len(carried_states(program.graph, program.states)) == 2
    assert worst(proto, program, x) < 0.1


@pytest.mark.parametrize(
    "end", ["Relu(c)", "Clip(c, low, high)", "Clip(c, zero, high)", "LeakyRelu(c)", "Add(c, r)"]
)
def test_factors_go_through_a_clip(end: str) -> None:
    """The largest element is cut in some frames, the others only at zero, if at all."""
    given: dict[str, Any] = {"k": np.float32(0.5), "l": np.float32(0.5)}
    bounds = {"low": np.float32(-3), "high": np.float32(3), "zero": np.float32(0)}
    given |= {name: one for name, one in bounds.items() if name in end}
    layer = f"c = Add(a, b) r = Relu(b) h_out = {end}"
    body = AVERAGE.replace("h_out = Add(a, b)", layer) + "y = Neg(x)"
    proto = model("float[N,4] x, float[N,4] h_in", body, outputs="y h_out", **given)
    program, x = compiled(proto, SIZES), SIZES * noise(seed=1)[:4, :50]
    assert worst(proto, program, x) < 0.25  # sums read 16 levels; one scale for all errs by 1
    engines = (run_stream(program, (x[:1, :5],), one, count=False) for one in ("fast", "steps"))
    one, other = (found.outputs["h_out"] for found in engines)
    np.testing.assert_array_equal(one, other)
