"""Functions, products and recurrent cells: compiled, against onnxruntime and between engines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import evaluate, parse
from qcompiler.ir.ann.formula import compose, values
from qcompiler.passes import Pipeline
from qcompiler.passes.activations.gates import product_neurons
from qcompiler.passes.activations.segments import fit
from qcompiler.passes.tensor.lower_activations import LowerActivations
from tests.support.error_bound import PASSES, bounds
from tests.support.onnx_models import ints, model, run_onnx
from tests.support.zoo import trained

LOWERED = (
    "lower-activations{output_t_max=TMAX},quantize{output_t_max=TMAX},assign-windows,insert-readout"
)
FUNCTION = """
graph @function(%x: f32[4]) {
  %y: f32[4] = ann.function(%x) {formula='x tanh'} from "Tanh"
  return %y
}
"""
LAYERS = "h = MatMul(x, w) {} y = MatMul(t, v)"
USEFUL = 0.04  # of the output's range: what the bounds of functions stay below
FUNCTIONS = {  # the nodes between two layers
    "leaky": "t = LeakyRelu<alpha=0.1>(h)",
    "prelu": "t = PRelu(h, c)",
    "abs": "t = Abs(h)",
    "hard sigmoid": "t = HardSigmoid(h)",
    "max": "t = Max(h, c)",
    "min": "t = Min(c, h)",
    "max of two": "k = MatMul(x, v) t = Max(h, k)",
    "sigmoid": "t = Sigmoid(h)",
    "tanh": "t = Tanh(h)",
    "silu": "s = Sigmoid(h) t = Mul(h, s)",
    "elu": "t = Elu(h)",
    "softplus": "t = Softplus(h)",
    "hard swish": "t = HardSwish(h)",
    "mish": "a = Softplus(h) b = Tanh(a) t = Mul(h, b)",
    "square": "t = Mul(h, h)",
    "atan": "t = Atan(h)",
    "asinh": "t = Asinh(h)",
    "sinh": "t = Sinh(h)",
    "cosh": "t = Cosh(h)",
    "leaky by where": "g = Greater(h, z) m = Mul(h, l) t = Where(g, h, m)",
    "prelu by where": "g = Less(z, h) m = Mul(h, c) t = Where(g, h, m)",
    "relu by product": "g = GreaterOrEqual(h, z) m = Cast<to=1>(g) t = Mul(h, m)",
    "larger by where": "k = MatMul(x, v) g = Greater(h, k) t = Where(g, h, k)",
    "softplus by where": (
        "a = Exp(h) b = Add(a, e) d = Log(b) g = Greater(h, far) t = Where(g, h, d)"
    ),
    "soft shrink": "t = Shrink<lambd=0.5, bias=0.5>(h)",
    "sine": "t = Sin(h)",
    "cosine": "t = Cos(h)",
    "quotient": "a = Abs(h) o = Add(a, e) t = Div(h, o)",
}
PRODUCTS = {
    "product": "k = MatMul(x, v) t = Mul(h, k)",
    "gate": "k = MatMul(x, v) s = Sigmoid(k) t = Mul(h, s)",
    "gate near one": "k = MatMul(x, v) s = Sigmoid(k) d = Add(s, far) t = Mul(h, d)",
    "quotient of two": "k = MatMul(x, v) s = Exp(k) d = Add(s, e) t = Div(h, d)",
    "product and its operands": "k = MatMul(x, v) p = Mul(h, k) q = Add(p, h) t = Sub(q, k)",
    "product of views": (
        "k = MatMul(x, v) i = Reshape(h, rows) j = Reshape(k, columns) m = Mul(i, j)"
        " s = ReduceSum(m, first) t = Reshape(s, flat)"
    ),
}


def compiled(proto: Any, batch: Any, **options: Any) -> Any:
    chosen = {"target": "reference", "t_max": 256, "weight_bits": 16, **options}
    return qcompiler.compile(proto, calibration=batch, allow_products=True, **chosen)


def within(proto: Any, batch: Any, share: float) -> Any:
    """Hold a program to the bound derived for every output, which is a share of their range."""
    program = compiled(proto, batch, passes=PASSES, effort=0)
    (derived,) = bounds(proto, program, (batch,))
    (wanted,) = run_onnx(proto, {"x": batch})
    assert derived.max() <= share * np.ptp(wanted)
    assert (np.abs(program.run(batch) - wanted) <= derived + 1e-5).all()
    repaired = compiled(proto, batch, passes=PASSES)  # its weights are not rounded to nearest
    assert np.abs(repaired.run(batch) - wanted).max() <= derived.max()
    return repaired


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_against_onnxruntime(name: str) -> None:
    nodes = FUNCTIONS[name]
    rng = np.random.default_rng(3)
    weights: dict[str, Any] = {
        n: (rng.standard_normal((6, 6)) / 2).astype(np.float32) for n in "wv"
    }
    if "c)" in nodes or "(c" in nodes:
        weights["c"] = rng.standard_normal(6).astype(np.float32) / 4
    weights |= {"e": np.float32(1), "l": np.float32(0.1), "z": np.float32(0), "far": np.float32(20)}
    proto = model("float[N,6] x", LAYERS.format(nodes), **weights)
    batch = rng.uniform(-2, 2, (200, 6)).astype(np.float32)
    program = within(proto, batch, USEFUL)
    np.testing.assert_array_equal(program.run(batch[:10]), program.run(batch[:10], engine="steps"))


@pytest.mark.parametrize("name", PRODUCTS)
def test_product_against_onnxruntime(name: str) -> None:
    """Without a warning, so with no larger error than levels explain."""
    rng = np.random.default_rng(3)
    weights: dict[str, Any] = {n: rng.standard_normal((6, 6)).astype(np.float32) / 2 for n in "wv"}
    weights |= {"e": np.float32(1), "far": np.float32(20), "first": ints(1), "flat": ints(-1, 6)}
    weights |= {"rows": ints(0, 1, 6), "columns": ints(0, 6, 1)}
    proto = model("float[N,6] x", LAYERS.format(PRODUCTS[name]), **weights)
    batch = rng.uniform(-2, 2, (200, 6)).astype(np.float32)
    program = compiled(proto, batch, t_max=64, weight_bits=8)
    assert not program.warnings
    np.testing.assert_array_equal(program.run(batch[:9]), program.run(batch[:9], engine="steps"))


JUMPS = {  # and the heights of their jumps
    "hard shrink": ("t = Shrink<lambd=0.5>(h)", 0.5),
    "threshold": ("t = ThresholdedRelu<alpha=0.5>(h)", 0.5),
    "sign": ("t = Sign(h)", 2),
    "step": ("g = Greater(h, z) t = Cast<to=1>(g)", 1),
    "not above": ("g = Greater(h, z) n = Not(g) t = Cast<to=1>(n)", 1),
}


@pytest.mark.parametrize("target", ["reference", "loihi"])
@pytest.mark.parametrize("t_max", [16, 64])
@pytest.mark.parametrize("name", JUMPS)
def test_functions_that_jump(name: str, t_max: int, target: str) -> None:
    """Values beside a jump may fall on its other side; all others are right."""
    nodes, height = JUMPS[name]
    rng = np.random.default_rng(3)
    weights: dict[str, Any] = {"w": np.eye(6, dtype=np.float32), "z": np.float32(0)}
    proto = model("float[N,6] x", f"h = MatMul(x, w) {nodes} y = Add(t, z)", **weights)
    batch = rng.uniform(-2, 2, (200, 6)).astype(np.float32)
    program = compiled(proto, batch, target=target, t_max=t_max, weight_bits=8)
    (wanted,) = run_onnx(proto, {"x": batch})
    found = program.run(batch)
    off = np.abs(found - wanted)
    level = np.ptp(batch) / 63  # inputs have at least 64 levels
    place = np.minimum(abs(batch - 0.5), abs(batch + 0.5)) if height == 0.5 else abs(batch)
    assert off[place > level].max() <= 3 * np.ptp(wanted) / (t_max - 1)
    assert off.max() <= height + 3 * np.ptp(wanted) / (t_max - 1)
    np.testing.assert_array_equal(found, program.run(batch, engine="steps"))


def test_zeros_of_a_relu_lie_on_a_jump() -> None:
    proto = model(
        "float[N,6] x", "r = Relu(x) g = Greater(r, z) y = Cast<to=1>(g)", z=np.float32(0)
    )
    batch = np.random.default_rng(5).choice([-1.0, 0.0, 0.5, 1.0], (200, 6)).astype(np.float32)
    program = compiled(proto, batch, t_max=16, weight_bits=8)
    np.testing.assert_array_equal(program.run(batch), batch > 0)


def test_jumps_are_steps_beside_a_continuous_function() -> None:
    for formula, heights in (
        ("x 0 >", [1.0]),
        ("x 0.5 > -0.5 x > max x 0 where", [0.5, 0.5]),
        ("x 0 > 0 x > -", [2.0]),
        ("x 0 > x 0.1 x * where", []),
        ("x 20 > x x exp 1 + log where", []),
    ):
        found = fit(formula, (-3.0, 30.0), 0.05)
        np.testing.assert_allclose([jump.height for jump in found.jumps], heights, 1e-6)
        x = np.linspace(-3, 30, 5001)
        y = np.interp(x, found.knots, found.values)
        far = np.ones(len(x), bool)
        for jump in found.jumps:
            y += np.clip((x - jump.begin) / jump.width, 0, 1) * jump.height
            far &= (x < jump.begin) | (x > jump.begin + jump.width)
        assert np.abs(y - values(formula, x))[far].max() <= 0.05 * 1.01
    with pytest.raises(ValueError, match="chooses between formulas at 70 places"):
        fit("x 2 * floor", (-2.9, 32.1), 0.1)


def test_functions_for_loihi() -> None:
    rng = np.random.default_rng(4)
    weights: dict[str, Any] = {n: rng.standard_normal((6, 6)).astype(np.float32) for n in "wv"}
    batch = rng.standard_normal((40, 6)).astype(np.float32)
    for nodes in ("t = LeakyRelu(h)", "t = Sigmoid(h)"):
        proto = model("float[N,6] x", LAYERS.format(nodes), **weights)
        program = compiled(proto, batch, target="loihi", t_max=16, weight_bits=8)
        np.testing.assert_array_equal(program.run(batch), program.run(batch, engine="steps"))


# and what the bound stays below, as a share of the output's range
CELLS = {
    "relu": ("RNN", 1, ', activations=["Relu"]', 1, 0.02),
    "rnn": ("RNN", 1, ', direction="bidirectional"', 2, 0.05),
    "gru": ("GRU", 3, ", linear_before_reset=1", 1, None),  # whose products have no bound
    "lstm": ("LSTM", 4, "", 1, None),
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.long if CELLS[name][1] > 1 else ()) for name in CELLS],
)
def test_cell_against_onnxruntime(name: str) -> None:
    kind, gates, attributes, ways, share = CELLS[name]
    rng, size = np.random.default_rng(5), 2
    shapes = {"w": (ways, gates * size, 2), "r": (ways, gates * size, size)}
    weights: dict[str, Any] = {
        n: rng.standard_normal(s).astype(np.float32) for n, s in shapes.items()
    }
    body = f"t = Transpose<perm=[1,0,2]>(x) a, h = {kind}<hidden_size={size}{attributes}>(t, w, r)"
    proto = model("float[N,2,2] x", f"{body} y = Transpose<perm=[1,0,2]>(h)", **weights)
    batch = rng.uniform(-1, 1, (64, 2, 2)).astype(np.float32)
    if share is not None:
        within(proto, batch, share)
    (wanted,) = run_onnx(proto, {"x": batch})
    program = compiled(proto, batch, t_max=64)  # as it is compiled by default
    found = program.run(batch)
    assert np.abs(found - wanted).max() <= 0.1 * np.ptp(wanted)
    np.testing.assert_array_equal(found[:3], program.run(batch[:3], engine="steps"))


def test_squeeze_and_excitation_against_onnxruntime() -> None:
    network = trained("squeeze and excitation")
    batch = network.calibration[0][:50]
    program = compiled(network.proto, batch, t_max=64, weight_bits=8)
    assert not program.warnings
    np.testing.assert_array_equal(program.run(batch[:3]), program.run(batch[:3], engine="steps"))


def test_fit_keeps_its_bound() -> None:
    for formula in ("x sigmoid", "x tanh", "x x *", "x x softplus tanh *"):
        for bound in (0.1, 0.01):
            found = fit(formula, (-4.0, 3.0), bound)
            x = np.linspace(-4, 3, 5000)
            error = np.abs(np.interp(x, found.knots, found.values) - values(formula, x)).max()
            assert error <= bound * 1.01
    with pytest.raises(ValueError, match="not finite"):
        fit("x log", (-1.0, 1.0), 0.1)
    assert compose("x x *", "x exp") == "x exp x exp *"


def test_a_sine_that_turns_often_has_segments_for_each_turn() -> None:
    """Of 64 segments, three would be left to each of 20 periods."""
    wide = (-62.0, 62.0)
    found = fit("x sin", wide, 1 / 64, 0.25)
    assert found.error <= 1 / 64
    assert np.diff(found.knots).min() >= 0.25
    flat = fit("x tanh x 1e-9 * sin 1e-12 * +", wide, 1 / 64)  # swings that are no turns
    assert len(flat.knots) < 16


def test_lengths_of_all_steps_are_no_lengths() -> None:
    body = "t = Transpose<perm=[1,0,2]>(x) a, y = RNN<hidden_size=3>(t, w, r, , l)"
    body += " z = Transpose<perm=[1,0,2]>(y)"
    lengths = np.array([5, 5], np.int32)
    proto = model("float[2,5,4] x", body, outputs="z", w=(1, 3, 4), r=(1, 3, 3), l=lengths)
    batch = np.random.default_rng(6).standard_normal((2, 5, 4)).astype(np.float32)
    (wanted,) = run_onnx(proto, {"x": batch})
    (found,) = evaluate(import_model(proto).graph, batch)
    np.testing.assert_allclose(found, wanted, 1e-5, 1e-5)


def test_a_product_takes_as_many_neurons_as_is_said() -> None:
    """Relays aside, which repeat the operand that waits for bits."""
    rng = np.random.default_rng(8)
    batch = rng.uniform(-1, 1, (200, 2)).astype(np.float32)
    proto = model("float[N,2] x", "a, b = Split<axis=1>(x) y = Mul(a, b)")
    for t_max in (16, 64):
        text = f"normalize{{output_t_max={t_max}}},{LOWERED.replace('TMAX', str(t_max))}"
        found = compiled(proto, batch, t_max=t_max, passes=text).report().populations
        assert sum(p.neurons for p in found if p.name[0] == "y") == product_neurons(t_max)


@pytest.mark.parametrize(("low", "high"), [(0, 15), (-8, 7), (0, 31), (-20, 11)])
def test_products_of_levels_are_exact(low: int, high: int) -> None:
    """All pairs of integers that are levels of their inputs."""
    one = np.arange(low, high + 1, dtype=np.float32)
    pairs = tuple(x.reshape(-1, 1) for x in np.meshgrid(one, one))
    proto = model("float[N,1] a, float[N,1] b", "y = Mul(a, b)")
    wanted = pairs[0] * pairs[1]
    levels = int(np.ptp(wanted)) + 1
    text = f"normalize{{output_t_max={levels}}},{LOWERED.replace('TMAX', str(levels))}"
    program = compiled(proto, pairs, t_max=high - low + 1, passes=text)
    np.testing.assert_allclose(program.run(*pairs), wanted, atol=1e-3)
    np.testing.assert_array_equal(program.run(*pairs, engine="steps"), program.run(*pairs))


def test_segments_that_are_too_few() -> None:
    graph = parse(FUNCTION, {})
    ranged = Pipeline.parse("normalize{low=-8 high=8}").run(graph)
    (far,) = LowerActivations(activation_error=1e-6, weight_bits=16).fits(ranged)
    (near,) = LowerActivations(activation_error=1e-2).fits(ranged)
    assert far.misses
    assert far.segments == 64
    assert far.error > far.bound == 1e-6
    assert not near.misses


STEEP = {  # the nodes behind a layer, of a factor that makes them steep
    "many segments": "s = Mul(h, k) t = Tanh(s)",
    "one segment": "s = Mul(h, k) a = Tanh(s) t = Mul(a, c)",
    "of the input": "s = Mul(x, k) t = Sigmoid(s)",
    "of a wide layer": "g = Concat<axis=1>(h, h, h) d = MatMul(g, u) s = Mul(d, k) t = Tanh(s)",
}


@pytest.mark.parametrize("name", STEEP)
@pytest.mark.parametrize("factor", [20.0, 1e5])
def test_steep_functions_fit_the_weights(name: str, factor: float) -> None:
    rng = np.random.default_rng(6)
    nodes = STEEP[name]
    weights: dict[str, Any] = {
        n: (rng.standard_normal((6, 6)) / 2).astype(np.float32) for n in "wv"
    }
    weights["u"] = (rng.standard_normal((18, 6)) / 4).astype(np.float32)
    weights["c"] = rng.standard_normal(6).astype(np.float32)
    given = {key: value for key, value in weights.items() if f"{key})" in LAYERS + nodes}
    proto = model("float[N,6] x", LAYERS.format(nodes), k=np.float32(factor), **given)
    batch = rng.uniform(-2, 2, (80, 6)).astype(np.float32)
    for t_max, target, bits in ((16, "loihi", 8), (64, "reference", 8), (256, "reference", 6)):
        program = compiled(proto, batch, target=target, t_max=t_max, weight_bits=bits, effort=0)
        found = program.run(batch)
    np.testing.assert_array_equal(found[:2], program.run(batch[:2], engine="steps"))


@pytest.mark.parametrize("formula", ["x tanh", "x sigmoid", "x erf"])
@pytest.mark.parametrize("levels", [16, 64, 256])
def test_saturated_ends_are_flat(formula: str, levels: int) -> None:
    """Saturated values do not differ, however large the weights behind them are."""
    width = float(np.ptp(values(formula, np.array([-60.0, 50.0]))))
    found = fit(formula, (-60.0, 50.0), width / (levels - 1) / 2)
    assert found.slopes[0] == found.slopes[-1] == 0
    assert (found.values[[0, -1]] == values(formula, np.array([-60.0, 50.0]))).all()
    assert -10 < found.knots[1] < found.knots[-2] < 10


def test_no_segment_is_narrower_than_asked() -> None:
    domain = (-100.0, 40.0)
    free = fit("x tanh", domain, 1e-3)
    assert np.diff(free.knots).min() < 0.5
    for narrowest in (0.5, 3.0, 30.0, 1000.0):
        found = fit("x tanh", domain, 1e-3, narrowest)
        assert np.diff(found.knots)[found.slopes != 0].min() >= min(0.99 * narrowest, 140)
        assert found.error > free.error
        assert found.knots[0] == domain[0] and found.knots[-1] == domain[1]
