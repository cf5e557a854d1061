"""Corners of ONNX: flags beyond 0 and 1, ambiguous padding, and where onnxruntime is wrong."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from qcompiler.comparison.onnxruntime_faults import onnxruntime_faults
from qcompiler.data import Data
from qcompiler.explain.measure.onnx_reference import run_outputs
from qcompiler.frontend.import_model import check_model, import_model
from qcompiler.frontend.importers.layers.interpolation import Axis, taps_of
from qcompiler.ir import InvalidModel, UnsupportedModel, evaluate
from qcompiler.ir.formats.text import show
from tests.support.onnx_models import agrees, batches, ints, model, run_reference

IMAGE = "float[N,3,9,8] x"
POOL = "kernel_shape=[3,3], strides=[2,2]"
TURNED = "y = ConvTranspose<strides=[2,2], {}>(x, w)"


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("y = ReduceMean<axes=[2,3], keepdims=2>(x)", "keepdims=2"),
        (f"y = MaxPool<{POOL}, ceil_mode=-1>(x)", "ceil_mode=-1"),
        (f"y = AveragePool<{POOL}, count_include_pad=3>(x)", "count_include_pad=3"),
        ("y = CumSum<exclusive=1, reverse=2>(x, a)", "reverse=2"),
        ("f = Flatten(x) y = Gemm<transB=5>(f, v)", "transB=5"),
        ("m = ReduceSum<keepdims=-1>(v) y = Add(x, m)", "keepdims=-1"),
    ],
)
def test_flags_are_0_or_1(body: str, what: str) -> None:
    proto = model(IMAGE, body, a=np.int64(-1), v=(5, 216))
    for entry in (import_model, check_model):
        with pytest.raises(InvalidModel, match=f"has {what}, which must be 0 or 1") as caught:
            entry(proto)
        assert caught.value.diagnostics[0].nodes


@pytest.mark.parametrize(
    ("body", "opset", "what"),
    [
        ("y = DFT<axis=1>(x)", 20, "axis, which opset 20 does not know: give it as an input, or"),
        ("y = ReduceSum<axes=[1]>(x)", 13, "axes, which .* give it as an input, or state"),
        ("y = Relu<alpha=0.5>(x)", 17, "alpha, which .* remove it, or state the opset"),
    ],
)
def test_attributes_that_an_opset_does_not_know(body: str, opset: int, what: str) -> None:
    with pytest.raises(InvalidModel, match=f'"y_node": .* has the attribute {what}'):
        import_model(model("float[N,6,4,1] x", body, opset))


@pytest.mark.parametrize("more", ["[2,2]", "[1,2]", "[-1,0]", "[3,3]"])
def test_output_padding_is_below_the_stride(more: str) -> None:
    body = TURNED.format(f"output_padding={more}")
    with pytest.raises(InvalidModel, match=r"output_padding .* must be from 0 to below"):
        import_model(model(IMAGE, body, w=(3, 2, 3, 3)))


def test_output_shapes_beyond_what_output_padding_can_state_are_refused() -> None:
    # Where the zeros are differs between onnx's reference and onnxruntime in one and two axes.
    for shape, right in (("[20,17]", True), ("[21,17]", False), ("[20,30]", False)):
        proto = model(IMAGE, TURNED.format(f"output_shape={shape}"), w=(3, 2, 3, 2))
        if right:
            agrees(proto)
            continue
        with pytest.raises(InvalidModel, match=r"output_shape .* leave output_shape out"):
            import_model(proto)


def test_output_shapes_have_the_lengths_of_all_axes() -> None:
    proto = model(IMAGE, TURNED.format("output_shape=[20]"), w=(3, 2, 3, 2))
    with pytest.raises(InvalidModel, match=r"output_shape \(20,\) for 2 spatial axes"):
        import_model(proto)


@pytest.mark.parametrize("mode", ["reflect", "edge", "wrap"])
def test_only_constant_pads_crop(mode: str) -> None:
    proto = model(IMAGE, f'y = Pad<mode="{mode}">(x, p)', p=ints(0, 0, -2, 1, 0, 0, 3, 0))
    with pytest.raises(UnsupportedModel, match=r"negative pads .*\n.*\n.*Slice"):
        import_model(proto)


@pytest.mark.parametrize("more", ["[0,0]", "[1,0]", "[1,1]"])
def test_valid_output_padding(more: str) -> None:
    agrees(model(IMAGE, TURNED.format(f"output_padding={more}"), w=(3, 2, 3, 3)))


@pytest.mark.parametrize(
    "body",
    [
        'y = Conv<auto_pad="SAME_UPPER", pads=[2,2,2,2]>(x, w)',
        'y = Conv<auto_pad="VALID", pads=[1,1,1,1]>(x, w)',
        f'y = MaxPool<{POOL}, auto_pad="SAME_LOWER", pads=[0,0,2,2]>(x)',
        'y = ConvTranspose<strides=[2,2], auto_pad="SAME_UPPER", pads=[1,1,1,1]>(x, w)',
    ],
)
def test_ambiguous_padding_is_refused(body: str) -> None:
    with pytest.raises(InvalidModel, match="it is ambiguous"):
        import_model(model(IMAGE, body, w=(3, 3, 3, 3)))


@pytest.mark.parametrize("name", ["dilations", "strides", "output_padding", "output_shape"])
def test_empty_lists_of_a_transposed_convolution(name: str) -> None:
    """They are as if not given, as in some versions of onnxruntime; other layers refuse theirs."""
    bodies = "y = ConvTranspose(x, w)", f"y = ConvTranspose<{name}: ints = []>(x, w)"
    w = np.arange(54, dtype=np.float32).reshape(3, 2, 3, 3)
    one, other = (import_model(model(IMAGE, body, w=w)).graph for body in bodies)
    assert show(one) == show(other)


def test_a_batchnorm_divides_by_a_positive_sum() -> None:
    """Rounding leaves variances just below 0, which epsilon makes up for up to its own size."""
    ones = np.ones(2, np.float32)
    for variance in (-1e-6, -1e-4):
        v = np.array([variance, 1], np.float32)
        proto = model("float[N,2] x", "y = BatchNormalization(x, o, o, o, v)", o=ones, v=v)
        if variance + 1e-5 > 0:
            agrees(proto)
            continue
        with pytest.raises(InvalidModel, match="BatchNormalization has a negative variance"):
            import_model(proto)


def test_auto_pad_of_kernels_with_gaps_between() -> None:
    # onnxruntime and the inference of shapes give other shapes than the text of the standard.
    for mode in ("SAME_UPPER", "SAME_LOWER"):
        body = f'y = ConvTranspose<strides=[3,3], auto_pad="{mode}">(x, w)'
        agrees(model(IMAGE, body, w=(3, 2, 3, 3)))
        with pytest.raises(InvalidModel, match="give pads and output_padding"):
            import_model(model(IMAGE, body, w=(3, 2, 2, 2)))


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER"])
def test_auto_pad_of_strides_that_leave_elements_out(mode: str) -> None:
    """Where onnxruntime and others take other elements, of pools and of convolutions."""
    ways = ('MaxPool<{}, auto_pad="{}">(x)', 'Conv<{}, auto_pad="{}">(x, w)')
    for way, kept in zip(ways, (np.eye(3), np.ones((1, 3))), strict=True):
        # Not beside onnxruntime, of which newer ones refuse the pool.
        body = f"y = {way.format('kernel_shape=[1,1], strides=[2,2]', mode)}"
        imported = import_model(model(IMAGE, body, w=kept[..., None, None].astype(np.float32)))
        x = batches(imported)["x"]
        expected = np.tensordot(x[..., ::2, ::2], kept, (1, 1)).transpose(0, 3, 1, 2)
        np.testing.assert_allclose(evaluate(imported.graph, x)[0], expected, 1e-5, 1e-5)
        body = f"y = {way.format('kernel_shape=[1,1], strides=[5,5]', mode)}"
        with pytest.raises(InvalidModel, match="tools read in unlike ways: give pads"):
            import_model(model(IMAGE, body, w=(2, 3, 1, 1)))


@pytest.mark.parametrize(("op", "start"), [("Max", -np.inf), ("Min", np.inf)])
def test_extremes_may_start_at_infinity(op: str, start: float) -> None:
    """As maxima of JAX do."""
    body = f"m = Reduce{op}<axes=[2,3], keepdims=1>(x) n = {op}(s, m) y = Sub(x, n)"
    imported = agrees(model(IMAGE, body, 13, s=np.float32(start)))
    assert not any(np.isinf(constant.data).any() for constant in imported.graph.constants)


@pytest.mark.parametrize("how", ["Mean", "Sum", "Max", "Min", "L2", "LogSumExp"])
@pytest.mark.parametrize("axes", ["1,3", "-1,1,3", "2,4"])
def test_axes_that_are_not_neighbours(how: str, axes: str) -> None:
    for keep in (0, 1):
        body = f"y = Reduce{how}<axes=[{axes}], keepdims={keep}>(x)"
        agrees(model("float[N,2,3,2,3,2] x", body, opset=13 if how != "Sum" else 11))


def test_padding_stated_twice_alike() -> None:
    body = 'y = Conv<auto_pad="SAME_UPPER", pads=[1,1,1,1]>(x, w)'
    agrees(model(IMAGE, body, w=(3, 3, 3, 3)), runner=run_reference)


def resized(mode: str, place: str, scale: float) -> onnx.ModelProto:
    modes = f'mode="{mode}", coordinate_transformation_mode="{place}"'
    scales = np.array([1, 1, scale, 1], np.float32)
    return model(IMAGE, f"y = Resize<{modes}>(x, , s)", s=scales)


PLACES: dict[str, Any] = {
    "half_pixel": lambda at, n, m: (at + Fraction(1, 2)) * n / m - Fraction(1, 2),
    "align_corners": lambda at, n, m: Fraction(at * (n - 1), max(m - 1, 1)),
    "asymmetric": lambda at, n, m: Fraction(at * n, m),
}
PLACES["half_pixel_symmetric"] = PLACES["half_pixel"]  # of whole sizes
NEAREST: dict[str, Any] = {
    "round_prefer_floor": lambda place: math.ceil(place - Fraction(1, 2)),
    "round_prefer_ceil": lambda place: math.floor(place + Fraction(1, 2)),
}


@pytest.mark.parametrize("near", NEAREST)
@pytest.mark.parametrize("place", PLACES)
def test_ties_between_elements_are_exact(place: str, near: str) -> None:
    """As onnxruntime 1.32 has them; 1.23 lets roundings of places decide."""
    for n, m in [(n, m) for n in range(1, 20) for m in range(1, 30)]:
        modes = {"coordinates": place, "nearest": near, "mode": "nearest"}
        line = Axis(
            n,
            m,
            float(np.float32(m) / np.float32(n)),
            cubic=-0.75,
            exclude=False,
            antialias=False,
            region=(0, 1),
            beyond=0,
            **modes,
        )
        wanted = [NEAREST[near](PLACES[place](at, n, m)) for at in range(m)]
        assert taps_of(line).places[:, 0].tolist() == np.clip(wanted, 0, n - 1).tolist()


@pytest.mark.parametrize("near", ["floor", "ceil"])
@pytest.mark.parametrize("place", PLACES)
def test_elements_below_and_above_are_those_of_onnxruntime(place: str, near: str) -> None:
    """ONNX's own evaluator takes others, as it computes in double precision."""
    how = f'nearest_mode="{near}", coordinate_transformation_mode="{place}"'
    pairs = [(n, m) for n in range(1, 10) for m in range(1, 13)]
    body = " ".join(f"y{n}_{m} = Resize<{how}>(x{n}, , , z{m})" for n, m in pairs)
    inputs = ", ".join(f"float[1,2,{n}] x{n}" for n in range(1, 10))
    outputs = " ".join(f"y{n}_{m}" for n, m in pairs)
    sizes: dict[str, Any] = {f"z{m}": ints(1, 2, m) for m in range(1, 13)}
    agrees(model(inputs, body, 19, outputs, **sizes), count=1)


def cropped(mode: str, *scales: float) -> onnx.ModelProto:
    """Resizes a part of an image; of a sample each axis has its scale."""
    region = np.array([0, 0, 0.125, 0, 1, 1, 0.75, 1], np.float32)
    return model(
        IMAGE,
        f'y = Resize<mode="{mode}", coordinate_transformation_mode="tf_crop_and_resize">(x, r, s)',
        r=region,
        s=np.array([1, *scales], np.float32),
    )


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_axes_that_are_not_scaled(mode: str) -> None:
    agrees(cropped(mode, 1, 1, 1), runner=run_reference)
    agrees(cropped(mode, 1, 2, 1))
    half = f'mode="{mode}", coordinate_transformation_mode="tf_half_pixel_for_nn"'
    scales = np.array([1, 1, 1, 2], np.float32)
    none = np.zeros(0, np.float32)
    agrees(model(IMAGE, f"y = Resize<{half}>(x, r, s)", 11, r=none, s=scales))


def padded(mode: str, rows: int, columns: int) -> onnx.ModelProto:
    """Pads an image in front of its 9 rows and 8 columns, and behind the rows."""
    pads = ints(rows, columns, rows, 0)
    return model(IMAGE, f'y = Pad<mode="{mode}">(x, p, , a)', 19, p=pads, a=ints(2, -1))


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (8, 7), (9, 8), (30, 30)])
@pytest.mark.parametrize("mode", ["reflect", "edge", "wrap"])
def test_pads_may_be_longer_than_the_axis(mode: str, rows: int, columns: int) -> None:
    proto = padded(mode, rows, columns)
    agrees(proto, runner=run_reference)
    if rows < 9 or mode == "edge":
        agrees(proto)


COUNTED = f"y = AveragePool<{POOL}, ceil_mode=1, count_include_pad=1>(x)"
WRONG = {
    "AveragePool with ceil_mode": model(IMAGE, COUNTED),
    "AveragePool with count_include_pad": model(
        IMAGE, f"y = AveragePool<{POOL}, count_include_pad=1, pads=[0,0,1,1]>(x)", opset=19
    ),
    "AveragePool with ceil_mode=1 and auto_pad": model(
        IMAGE, f'y = AveragePool<{POOL}, ceil_mode=1, auto_pad="VALID">(x)'
    ),
    "Resize with tf_crop_and_resize": cropped("nearest", 1, 1, 2),
    "MaxPool with auto_pad": model(
        IMAGE, 'y = MaxPool<kernel_shape=[3,3], auto_pad="SAME_UPPER", dilations=[2,2]>(x)'
    ),
    "Resize with align_corners": resized("linear", "align_corners", 1.7),
    "Resize with scales other than 1 that leave": resized("cubic", "asymmetric", 1.1),
    "Resize with align_corners and scales": model(
        IMAGE,
        'y = Resize<coordinate_transformation_mode="align_corners", axes=[2,3],'
        ' keep_aspect_ratio_policy="not_larger">(x, , , z)',
        19,
        z=ints(5, 7),
    ),
    "TopK with sorted=0 in an order of its own": model(
        IMAGE, "y, i = TopK<sorted=0>(x, k)", k=ints(3)
    ),
    "Pad with mode reflect": padded("reflect", 9, 0),
    "Pad with mode reflect or wrap and more": padded("wrap", 0, 9),
    "ConvTranspose with output_padding": model(
        IMAGE, "y = ConvTranspose<dilations=[3,3], output_padding=[1,2]>(x, w)", w=(3, 2, 3, 3)
    ),
}
RIGHT = (
    model(IMAGE, "y, i = TopK<sorted=0>(x, k)", k=ints(1)),
    model(IMAGE, "y, i = TopK(x, k)", k=ints(3)),
    model(IMAGE, COUNTED, opset=19),
    model(IMAGE, f"y = AveragePool<{POOL}, ceil_mode=1>(x)"),
    model(IMAGE, f"y = AveragePool<{POOL}, count_include_pad=1, pads=[0,0,1,1]>(x)"),
    model(IMAGE, f'y = MaxPool<{POOL}, auto_pad="VALID">(x)'),
    cropped("linear", 1, 2, 1),
    resized("cubic", "align_corners", 2.0),
    resized("nearest", "align_corners", 2 / 3),
    resized("cubic", "half_pixel", 0.6),
    resized("cubic", "asymmetric", 1.2),
    model(IMAGE, TURNED.format("output_padding=[1,1]"), w=(3, 2, 3, 3)),
    padded("reflect", 8, 7),
    padded("wrap", 9, 8),
    padded("edge", 20, 20),
)


@pytest.mark.parametrize("what", WRONG)
def test_nodes_that_onnxruntime_computes_wrongly_are_named(what: str, tmp_path: Path) -> None:
    onnx.save(WRONG[what], tmp_path / "net.onnx")
    (finding,) = onnxruntime_faults(tmp_path / "net.onnx")
    assert what in finding.message and finding.nodes == ("y_node",) and finding.help
    import_model(WRONG[what])


def test_others_are_not(tmp_path: Path) -> None:
    for proto in RIGHT:
        onnx.save(proto, tmp_path / "net.onnx")
        assert onnxruntime_faults(tmp_path / "net.onnx") == ()
    (tmp_path / "net.onnx").write_bytes(b"no model")
    assert onnxruntime_faults(tmp_path / "net.onnx") == ()


def test_a_maximum_of_negative_numbers_and_padding(tmp_path: Path) -> None:
    pads = ints(0, 0, 1, 1, 0, 0, 1, 1)
    proto = model(IMAGE, f"p = Pad(x, q) y = MaxPool<{POOL}>(p)", q=pads)
    onnx.save(proto, tmp_path / "net.onnx")
    data = -1 - np.random.default_rng(0).random((4, 3, 9, 8), np.float32)
    found = run_outputs(tmp_path / "net.onnx", Data((data,)), {})["y"]
    np.testing.assert_array_equal(found, evaluate(import_model(proto).graph, data)[0])
