"""Where the batch axis of a model may stand: anywhere, joined with others, or nowhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qcompiler.frontend.import_model import import_model
from qcompiler.ir import InvalidModel, UnsupportedModel
from tests.support.onnx_models import agrees_alone, agrees_in_place, ints, model

Weights = dict[str, Any]

TURNED = "y = Gemm<transA=1, beta=0.5>(x, w, b)"

# inputs, nodes, weights: models of one sample without a batch axis, or with one that is 1
ALONE: dict[str, tuple[str, str, Weights]] = {
    "matrices as PyTorch writes them": (
        "float[5] x",
        "h = MatMul(w1, x) a = Add(b1, h) r = Relu(a) y = MatMul(r, w2)",
        {"w1": (6, 5), "b1": (6,), "w2": (6, 3)},
    ),
    "functions of a vector": (
        "float[5] x",
        "a = LeakyRelu<alpha=0.1>(x) h = MatMul(w1, a) s = Sigmoid(h) y = Sub(s, b2)",
        {"w1": (6, 5), "b2": (1,)},
    ),
    "softmax of a vector": ("float[5] x", "y = Softmax<axis=0>(x)", {}),
    "vector to row": (
        "float[5] x",
        "r = Reshape(x, s) y = Gemm(r, w)",
        {"s": ints(1, -1), "w": (5, 2)},
    ),
    "expand": ("float[5] x", "s = Shape(x) y = Expand(x, s)", {}),
    "row added": ("float[5] x", "y = Add(x, w)", {"w": (1, 5)}),
    "sum of all": ("float[5] x", "y = ReduceSum(x)", {}),
    "mean of all": ("float[1,5] x", "y = ReduceMean(x)", {}),
    "vector beside row": ("float[1,5] x, float[5] v", "y = Add(x, v)", {}),
    "sum of unlike ranks": ("float[1,5] x, float[1,4,5] v", "y = Add(x, v)", {}),
    "smallest of unlike ranks": (
        "float[1,5] x",
        "r = Reshape(x, s) a = Neg(r) y = Add(a, x)",
        {"s": ints(1, 1, 5)},
    ),
    "vector beside column": ("float[1,4,5] x, float[4,1] v", "y = Add(x, v)", {}),
    "squeeze": ("float[1,5] x", "h = Gemm(x, w) y = Squeeze(h)", {"w": (5, 3)}),
    "turned": ("float[6,2] x", TURNED, {"w": (6, 3), "b": (3,)}),
    "turned, a bias for each row": ("float[6,2] x", TURNED, {"w": (6, 3), "b": (2, 3)}),
    "turned, a number for each row": ("float[6,2] x", TURNED, {"w": (6, 3), "b": (2, 1)}),
    "turned row, a bias for each": ("float[1,6] x", TURNED, {"w": (1, 3), "b": (6, 3)}),
    "a bias for each row": ("float[2,6] x", "y = Gemm(x, w, b)", {"w": (6, 3), "b": (2, 3)}),
    "a value for each row": (
        "float[1,2,6] x",
        "r = Reshape(x, s) m = MatMul(r, v) y = Gemm(r, w, m)",
        {"s": ints(-1, 6), "w": (6, 3), "v": (6, 1)},
    ),
    "rows of one": (
        "float[1,2,6] x",
        "r = Reshape(x, s) y = Gemm(r, w, b)",
        {"s": ints(-1, 6), "w": (6, 3), "b": (2, 1)},
    ),
    "turned row": ("float[1,6] x", "y = Gemm<transA=1, transB=1>(x, w)", {"w": (3, 1)}),
    "squeeze to a scalar": ("float[1,5] x", "h = Gemm(x, w) y = Squeeze(h)", {"w": (5, 1)}),
    "squeeze, then more": (
        "float[1,3,6,6] x",
        "c = Conv(x, w) s = Squeeze(c) r = Relu(s) u = Unsqueeze(r, z) y = Conv(u, v)",
        {"w": (4, 3, 3, 3), "v": (2, 4, 3, 3), "z": ints(0)},
    ),
    "view to a vector": (
        "float[1,3,4,4] x",
        "c = Conv(x, w) f = Reshape(c, m) h = MatMul(f, v) y = Relu(h)",
        {"w": (2, 3, 3, 3), "m": ints(-1), "v": (8, 3)},
    ),
    "first of the batch": (
        "float[1,3,4,4] x",
        "g = Gather<axis=0>(x, z) u = Unsqueeze(g, o) y = Conv(u, w)",
        {"z": np.array(0), "o": ints(0), "w": (2, 3, 3, 3)},
    ),
    "slice of the batch": (
        "float[1,3,4] x",
        "s = Slice(x, a, b) q = Squeeze(s, a) y = Relu(q)",
        {"a": ints(0), "b": ints(1)},
    ),
    "split of a batch of one": ("float[1,6] x", "y = Split<axis=0>(x)", {}),
    "reshape to fewer rows": (
        "float[1,6] x",
        "r = Reshape(x, s) y = Gemm(r, w)",
        {"s": ints(2, 3), "w": (3, 4)},
    ),
    "tile of the batch": (
        "float[1,4] x",
        "t = Tile(x, r) y = Gemm(t, w, c)",
        {"r": ints(3, 1), "w": (4, 2), "c": (2,)},
    ),
    "stacked": ("float[1,4] x", "v = Neg(x) c = Concat<axis=0>(x, v) y = Relu(c)", {}),
    "image without a batch axis": (
        "float[3,8,8] x",
        "u = Unsqueeze(x, z) c = Conv(u, w) r = Relu(c) y = Squeeze(r, z)",
        {"w": (4, 3, 3, 3), "z": ints(0)},
    ),
    "channels first of an unbatched image": (
        "float[8,8,3] x",
        """t = Transpose<perm=[2,0,1]>(x) u = Unsqueeze(t, z) c = Conv(u, w) f = Reshape(c, m)
        y = Relu(f)""",
        {"w": (4, 3, 3, 3), "z": ints(0), "m": ints(-1)},
    ),
    "attention heads": (
        "float[1,6,8] x",
        """t = Transpose<perm=[1,0,2]>(x) h = Reshape(t, s1) u = Transpose<perm=[1,0,2]>(h)
        m = MatMul(u, w) v = Transpose<perm=[1,0,2]>(m) z = Reshape(v, s2)
        y = Transpose<perm=[1,0,2]>(z)""",
        {"s1": ints(6, 2, 4), "s2": ints(6, 1, 8), "w": (4, 4)},
    ),
    "windows of an image": (
        "float[1,4,4,2] x",
        """r = Reshape(x, s1) t = Transpose<perm=[0,1,3,2,4,5]>(r) f = Reshape(t, s2)
        m = MatMul(f, w) b = Add(m, c) y = Relu(b)""",
        {"s1": ints(1, 2, 2, 2, 2, 2), "s2": ints(4, 4, 2), "w": (2, 3), "c": (4, 4, 3)},
    ),
    "frames of a video": (
        "float[1,4,1,8,8] x",
        """r = Reshape(x, s1) c = Conv<pads=[1,1,1,1]>(r, w, b) a = Relu(c)
        p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(a) n = BatchNormalization(p, g, b, b, g)
        q = GlobalAveragePool(n) f = Reshape(q, s2) y = Gemm(f, v)""",
        {
            "s1": ints(-1, 1, 8, 8),
            "s2": ints(1, 12),
            "w": (3, 1, 3, 3),
            "b": (3,),
            "g": np.array([1, 2, 3], np.float32),
            "v": (12, 3),
        },
    ),
    "frames, channels last": (
        "float[1,4,6,6,2] x",
        """r = Reshape(x, s1) t = Transpose<perm=[0,3,1,2]>(r) c = Conv<group=2>(t, w, b)
        d = Transpose<perm=[0,2,3,1]>(c) y = Reshape(d, s2)""",
        {"s1": ints(-1, 6, 6, 2), "s2": ints(-1, 4, 64), "w": (4, 1, 3, 3), "b": (4,)},
    ),
    "sequence of one": (
        "float[4,1,5] x",
        "h, l = RNN<hidden_size=3>(x, w, r) s = Squeeze(l, z) y = Gemm(s, v)",
        {"w": (1, 3, 5), "r": (1, 3, 3), "z": ints(0), "v": (3, 2)},
    ),
    "states of layers": (
        "float[1,5] x, float[2,1,6] h",
        """a = Gather<axis=0>(h, i) b = Gather<axis=0>(h, j) m = Gemm(x, w) c = Add(m, a)
        d = Add(c, b) e = Unsqueeze(c, z) f = Unsqueeze(d, z) y = Concat<axis=0>(e, f)""",
        {"i": np.array(0), "j": np.array(1), "w": (5, 6), "z": ints(0)},
    ),
    "batch sizes that differ": (
        "float[2,3] x, float[4,3] v",
        "c = Concat<axis=0>(x, v) y = Relu(c)",
        {},
    ),
    "frames up and down": (
        "float[1,3,2,4,4] x",
        """r = Reshape(x, s) u = Resize<mode="linear">(r, , k) d = ConvTranspose(u, w, b)
        p = AveragePool<kernel_shape=[2,2]>(d) m = GlobalMaxPool(p) y = Squeeze(m)""",
        {
            "s": ints(3, 2, 4, 4),
            "k": np.array([1, 1, 2, 2], np.float32),
            "w": (2, 3, 2, 2),
            "b": (3,),
        },
    ),
    "batch sizes that differ, one open": (
        "float[2,3] x, float[4,3] v, float[N,3] w",
        "c = Concat<axis=0>(x, v, w) y = Relu(c)",
        {},
    ),
    "states of layers, open batch elsewhere": (
        "float[N,6] x, float[2,1,6] h",
        "a = Gather<axis=0>(h, i) c = Add(x, a) y = Relu(c)",
        {"i": np.array(1)},
    ),
    "vector beside open rows": ("float[N,5] x, float[5] v", "c = Add(x, v) y = Relu(c)", {}),
    "padded frames": (
        "float[1,6,4] x",
        "r = Reshape(x, s) p = Pad(r, n) y = Conv(p, w)",
        {"s": ints(3, 2, 4), "n": ints(0, 0, 1, 0, 0, 1), "w": (3, 2, 3)},
    ),
}


@pytest.mark.parametrize("name", ALONE)
def test_one_sample(name: str) -> None:
    inputs, body, weights = ALONE[name]
    agrees_alone(model(inputs, body, **weights))


# inputs, nodes, outputs, weights: models of an open batch, which is not first or not alone
OPEN: dict[str, tuple[str, str, str, Weights]] = {
    "frames of a video": (
        "float[N,4,1,8,8] x",
        """r = Reshape(x, s1) c = Conv<pads=[1,1,1,1]>(r, w, b) a = Relu(c)
        p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(a) n = BatchNormalization(p, g, b, b, g)
        q = GlobalAveragePool(n) f = Reshape(q, s2) y = Gemm(f, v)""",
        "y",
        {
            "s1": ints(-1, 1, 8, 8),
            "s2": ints(-1, 12),
            "w": (3, 1, 3, 3),
            "b": (3,),
            "g": np.array([1, 2, 3], np.float32),
            "v": (12, 3),
        },
    ),
    "frames, channels last": (
        "float[N,4,6,6,2] x",
        """r = Reshape(x, s1) t = Transpose<perm=[0,3,1,2]>(r) c = Conv<group=2>(t, w, b)
        d = Transpose<perm=[0,2,3,1]>(c) y = Reshape(d, s2)""",
        "y",
        {"s1": ints(-1, 6, 6, 2), "s2": ints(-1, 4, 64), "w": (4, 1, 3, 3), "b": (4,)},
    ),
    "rows of sequences": (
        "float[N,6,8] x",
        "r = Reshape(x, s1) g = Gemm(r, w, c) h = Tanh(g) b = Add(h, d) y = Reshape(b, s2)",
        "y",
        {"s1": ints(-1, 8), "w": (8, 3), "c": (3,), "d": (3,), "s2": ints(-1, 6, 3)},
    ),
    "rows that stay joined": (
        "float[N,6,8] x",
        "r = Reshape(x, s) y = Gemm(r, w)",
        "y",
        {"s": ints(-1, 8), "w": (8, 3)},
    ),
    "heads": (
        "float[N,6,8] x",
        """r = Reshape(x, s1) t = Transpose<perm=[0,2,1,3]>(r) j = Reshape(t, s2)
        m = MatMul(j, w) n = ReduceMean<axes=[1], keepdims=0>(m) y = Reshape(n, s3)""",
        "y",
        {"s1": ints(0, 6, 2, 4), "s2": ints(-1, 6, 4), "w": (4, 4), "s3": ints(-1, 8)},
    ),
    "time first": (
        "float[4,N,5] x",
        "h, y = RNN<hidden_size=3>(x, w, r)",
        "y",
        {"w": (1, 3, 5), "r": (1, 3, 3)},
    ),
    "time first, rows": (
        "float[4,N,5] x",
        "s = Reshape(x, a) g = Gemm(s, w) r = Relu(g) y = Reshape(r, b)",
        "y",
        {"a": ints(-1, 5), "w": (5, 3), "b": ints(4, -1, 3)},
    ),
    "time first, frames": (
        "float[4,N,2,5] x",
        "s = Reshape(x, a) g = Conv(s, w) t = Split<axis=1>(g) y = Reshape(t, b)",
        "y",
        {"a": ints(-1, 2, 5), "w": (4, 2, 3), "b": ints(4, -1, 12)},
    ),
    "state of one layer": (
        "float[N,5] x, float[1,N,3] h",
        "u = Unsqueeze(x, z) o, e = RNN<hidden_size=3>(u, w, r, b, , h) y = Squeeze(e, z)",
        "y e",
        {"w": (1, 3, 5), "r": (1, 3, 3), "b": (1, 6), "z": ints(0)},
    ),
    "states of two directions": (
        "float[4,N,5] x, float[2,N,3] h",
        """o, e = RNN<hidden_size=3, direction="bidirectional">(x, w, r, , , h)""",
        "o e",
        {"w": (2, 3, 5), "r": (2, 3, 3)},
    ),
    "same name of the batch": (
        "float[1,batch,4] x, float[batch,4] v",
        "s = Squeeze(x, z) y = Add(s, v)",
        "y",
        {"z": ints(0)},
    ),
    "a number a sample": (
        "float[N,5] x, float[N] v",
        "u = Unsqueeze(v, z) y = Add(x, u)",
        "y",
        {"z": ints(1)},
    ),
    "batch behind": ("float[5,N] x", "t = Transpose(x) y = Gemm(t, w)", "y", {"w": (5, 3)}),
    "softmax, batch behind": ("float[4,N,5] x", "y = Softmax<axis=-1>(x)", "y", {}),
}


@pytest.mark.parametrize("name", OPEN)
def test_open_batch(name: str) -> None:
    inputs, body, outputs, weights = OPEN[name]
    agrees_in_place(model(inputs, body, outputs=outputs, **weights))


def test_states_of_gru_and_lstm() -> None:
    gru_weights: Weights = {"w": (1, 9, 5), "r": (1, 9, 3), "b": (1, 18), "z": ints(0)}
    gru = model(
        "float[N,5] x, float[N,3] h",
        """u = Unsqueeze(x, z) g = Unsqueeze(h, z)
        o, e = GRU<hidden_size=3, linear_before_reset=1>(u, w, r, b, , g) y = Squeeze(e, z)""",
        **gru_weights,
    )
    lstm_weights: Weights = {"w": (1, 12, 5), "r": (1, 12, 3)}
    lstm = model(
        "float[2,1,5] x, float[1,1,3] h, float[1,1,3] c",
        "o, y, e = LSTM<hidden_size=3>(x, w, r, , , h, c)",
        outputs="o y e",
        **lstm_weights,
    )
    for proto in (gru, lstm):
        agrees_alone(proto, allow_products=True)


# inputs, what is stated of them, and the shape of samples of the first
STATED: dict[str, tuple[str, dict[str, Any], tuple[int, ...]]] = {
    "all": ("float[N,3,H,W] x", {"x": (1, 3, 4, 8)}, (3, 4, 8)),
    "all but the batch": ("float[N,3,H,W] x", {"x": ("N", 3, 4, 8)}, (3, 4, 8)),
    "axes of one name": ("float[N,3,?,?] x", {"x": ("?", 3, 4, 8)}, (3, 4, 8)),
    "nothing in place of a name": ("float[N,3,H,W] x", {"x": (None, 3, np.int64(4), 8)}, (3, 4, 8)),
    "time": ("float[T,N,5] x", {"x": (4, "N", 5)}, (4, 5)),
    "one time step": ("float[T,N,5] x", {"x": (1, "N", 5)}, (1, 5)),
    "a batch of one behind": ("float[T,N,5] x", {"x": (4, 1, 5)}, (1, 5)),
    "a vector": ("float[n] x", {"x": (7,)}, (7,)),
    "one of two": ("float[N,T,5] x, float[N,5] v", {"x": ("N", 4, 5)}, (4, 5)),
    "no shape": ("float[] x", {"x": ("N", 4)}, (4,)),
}


@pytest.mark.parametrize("name", STATED)
def test_stated_axes(name: str) -> None:
    inputs, stated, shape = STATED[name]
    given = "v" if "v" in inputs else "x"
    proto = model(inputs, f"y = Relu(x) z = Relu({given})", outputs="y z")
    found = import_model(proto, input_shapes=stated)
    assert found.graph.inputs[0].type.shape == shape


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"x": (1, 4, 4, 8)}, r"\[N, 3, H, W\]: \[1, 4, 4, 8\] does not fit"),
        ({"x": (1, 3, 4)}, "does not fit"),
        ({"x": (1, 3, 0, 8)}, "0 is no length"),
        ({"x": (1, 3, 4.5, 8)}, "4.5 is no length"),
        ({"z": (1, 3, 4, 8)}, 'no input "z": its inputs are x'),
    ],
)
def test_stated_axes_that_do_not_fit(stated: Any, message: str) -> None:
    with pytest.raises(InvalidModel, match=message):
        import_model(model("float[N,3,H,W] x", "y = Relu(x)"), input_shapes=stated)


@pytest.mark.parametrize(
    ("inputs", "option"),
    [
        ("float[N,3,?,?] x", "x=N,3,..,.."),
        ("float[1,3,H,W] x", "x=1,3,..,.."),
        ("float[T,N,5] x, float[1,N,3] h", "x=..,N,5"),
    ],
)
def test_the_option_that_is_offered(inputs: str, option: str) -> None:
    body = "y = Relu(x)" if "h" not in inputs else "o, y = RNN<hidden_size=3>(x, w, r, , , h)"
    weights: Weights = {"w": (1, 3, 5), "r": (1, 3, 3)} if "h" in inputs else {}
    with pytest.raises(UnsupportedModel) as caught:
        import_model(model(inputs, body, **weights))
    (finding,) = caught.value.diagnostics
    assert (finding.help or "").endswith(f"--input-shape {option}")
    axes = option.partition("=")[2].replace("..", "4").split(",")
    stated = {"x": tuple(int(n) if n.isdecimal() else n for n in axes)}
    import_model(model(inputs, body, **weights), input_shapes=stated)


def test_sequences_that_a_cell_reads_have_their_batch_second() -> None:
    weights: Weights = {"w": (1, 3, 5), "r": (1, 3, 3)}
    found = import_model(model("float[4,1,5] x", "o, y = RNN<hidden_size=3>(x, w, r)", **weights))
    assert found.graph.inputs[0].type.shape == (4, 5)
    proto = model("float[T,N,5] x", "o, y = RNN<hidden_size=3>(x, w, r)", **weights)
    with pytest.raises(UnsupportedModel, match=r"--input-shape x=\.\.,N,5"):
        import_model(proto)


def test_a_cell_that_gets_the_batch_first_says_what_it_takes() -> None:
    body = "a = Relu(x) o, y = RNN<hidden_size=3>(a, w, r)"
    weights: Weights = {"w": (1, 3, 5), "r": (1, 3, 3)}
    with pytest.raises(UnsupportedModel, match=r"\[T, N, F\]: --input-shape"):
        import_model(model("float[T,1,5] x", body, **weights))
    import_model(model("float[T,1,5] x", body, **weights), input_shapes={"x": (4, 1, 5)})


def test_products_of_unlike_ranks() -> None:
    proto = model("float[1,5] x, float[1,4,5] v", "y = Mul(x, v)")
    agrees_alone(proto, allow_products=True)


# Queries that are learned, as decoders of detectors have them: one set, repeated for the batch.
REPEATED = """
    s = Shape(x) n = Gather(s, zero) size = Concat<axis = 0>(n, rest)
    q = Expand(w, size)
"""


@pytest.mark.parametrize(
    "body",
    [
        "y = MatMul(q, x)",
        "u = Transpose<perm = [0,2,1]>(x) t = Transpose<perm = [0,2,1]>(q) y = MatMul(u, t)",
        "h = Reshape(x, halves) k = Reshape(q, columns) y = MatMul(k, h)",
        "r = Relu(x) h = Reshape(r, rows) k = Reshape(q, columns)"
        " t = Transpose<perm = [0,2,1]>(k) m = MatMul(h, t) y = Reshape(m, back)",
    ],
)
def test_matrices_that_are_the_same_for_all_samples(body: str) -> None:
    weights: Weights = {
        "w": (1, 5, 4),
        "zero": ints(0),
        "rest": ints(5, 4),
        "halves": ints(-1, 2, 6),
    }
    weights |= {"columns": ints(-1, 5, 2), "rows": ints(-1, 6, 2), "back": ints(-1, 2, 6, 5)}
    agrees_in_place(model("float[N,4,6] x", REPEATED + body, **weights))


# What PyTorch makes of `as_strided`: elements of a flat tensor, the same ones of each sample.
STRIDED = """
    s = Shape<start = 0, end = 1>(x) n = Squeeze(s) r = Range(zero, n, one) b = Mul(r, length)
    u = Unsqueeze(b, axes) i = Add(u, within) f = Reshape(x, flat) g = Gather<axis = 0>(f, i)
"""


def strided(length: int, *within: int) -> Weights:
    return {
        **{"zero": np.int64(0), "one": np.int64(1), "length": np.int64(length), "axes": ints(1, 2)},
        **{"within": np.array(within, np.int64).reshape(1, 2, -1), "flat": ints(-1)},
    }


@pytest.mark.parametrize("within", [(0, 3, 1, 4, 2, 5), (5, 5, 0, 1)])
def test_elements_of_a_flat_tensor(within: tuple[int, ...]) -> None:
    proto = model("float[N,2,3] x", STRIDED + "y = Relu(g)", 18, **strided(6, *within))
    agrees_in_place(proto)


@pytest.mark.parametrize(("length", "within"), [(5, (0, 1, 2, 3)), (6, (0, 1, 2, 6))])
def test_elements_of_other_samples_are_refused(length: int, within: tuple[int, ...]) -> None:
    proto = model("float[N,2,3] x", STRIDED + "y = Relu(g)", 18, **strided(length, *within))
    with pytest.raises(UnsupportedModel, match="the indices of Gather depend on the batch size"):
        import_model(proto)
