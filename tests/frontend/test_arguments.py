"""Wrong arguments of the Python interface are a CompileError that names them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler import api
from qcompiler.compilation import network
from qcompiler.ir import CompileError, DataError, InvalidModel, PipelineError, ProgramError
from qcompiler.passes import Pipeline
from tests.support.onnx_models import model

NETWORK = model("float[N,3,4,4] x", "f = Flatten(x) y = Gemm(f, w)", w=(48, 3))
NEITHER: tuple[Any, ...] = (
    5,
    -1,
    2.5,
    [],
    [1],
    ["a"],
    (None,),
    {"x": 1},
    object(),
    np.array([1, 2]),
    b"x",
)
WRONG: dict[str, tuple[Any, ...]] = {
    "target": (None, *NEITHER),
    "passes": NEITHER,
    "layout": NEITHER,
    "objective": (None, *NEITHER),
    "code": ("two-spikes", None, *NEITHER),
    "percentile": ("99", [99], (None,), float("nan"), True, object(), print),
    "activation_error": (None, "x", [0.1], float("nan"), float("inf"), True, print),
    "weight_bits": ("8", 8.5, [8], print),
    "states": (5, b"h:i", [1], {"a": "b"}, print),
    "allow_products": (None, "yes", 2, print),
    "progress": (5, "x", [], True),
    "watch": (5, "x", []),
    "tell": (5, "x", []),
    "client": (5, "x", [], print),
    "labels": (5, [1.5], print),
    "calibration": (5, "none.npz", print, object(), ["a"], [None], {"z": 1}, b"x"),
    "max_drop": ("1", [1], -1, 101, float("nan"), True, print),
    "max_drift": ("1", [1], -1, 101, float("nan"), True, print),
    "effort": (None, 0.5, "1", [1], True, np.bool_(1)),
    "slices": (None, 2.5, "4", True, np.array(2)),
    "t_max": (2.5, "16", [16], True, np.array(8)),
    "proved": (None, "yes", 2, np.array([True, False])),
    "reverse_input_channels": (None, "yes", [1]),
    "mean_values": ("1", "123", ("a",), (None,), {"x": 1}, object(), [[1, 2]], [[1], [1, 2]], b"1"),
    "scale_values": ("16", ["16"], object(), np.array("a"), [1j], np.zeros((2, 2))),
    "input_shapes": (5, "x", [1], {"x": 1}, {"x": "N,3"}, {1: (2, 3)}, np.array([1, 2])),
    "input_values": (5, "x", [1], {"x": "1"}, {1: 2}, {"x": float("nan")}, {"x": 10**400}),
    "max_neurons": ("5", [5], 0, True, float("nan"), print),
    "max_memory": ("5", [5], -1, True, float("inf"), print),
}

LENGTHS: tuple[Any, ...] = (0, "4", (1, 2, 3), 2.5, True, b"x", [], [True, 4])
OF_DATA = ("percentile", "labels", "max_drop", "max_drift")
SAID = {"states": "state", "calibration": "the", "labels": "label", "client": "client"}
BEYOND: dict[str, tuple[Any, ...]] = {
    "percentile": (40, 101, float("nan")),
    "activation_error": (-0.1, 1, float("nan")),
    "t_max": (0, -1, 10**9),
    "weight_bits": (0, 99),
    "effort": (-1, 3),
    "slices": (0, -1),
    "passes": ("nonsense", "quantize{x=1}", "quantize{", "", " ", Pipeline(())),
    "max_neurons": (0, float("nan")),
    "max_memory": (-1, float("inf")),
    "max_drift": (-1, float("nan")),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments(name: str) -> None:
    given: dict[str, Any] = {"calibration": np.ones((50, 3, 4, 4))} if name in OF_DATA else {}
    for wrong in WRONG[name]:
        with pytest.raises(CompileError) as caught:
            qcompiler.compile(NETWORK, **given | {name: wrong})
        message = caught.value.diagnostics[0].message
        said = (name, name.rstrip("_values"), name.replace("_", "-"), SAID.get(name, name))
        assert any(one in message for one in said), message
        assert len(message) < 300


def test_an_array_is_no_integer() -> None:
    with pytest.raises(PipelineError, match=r"t_max must be an integer, not array\(8\)"):
        qcompiler.compile(NETWORK, t_max=np.array(8))  # type: ignore[arg-type]


def test_numbers_of_preprocessing_may_be_an_array_or_none() -> None:
    given = qcompiler.compile(NETWORK, mean_values=None, scale_values=np.array([2.0, 2.0, 2.0]))
    before = given.manifest["preprocessing"]
    assert before["mean"] == [] and before["scale"] == [2.0, 2.0, 2.0]


def test_options_are_looked_at_before_the_model() -> None:
    early = {*WRONG} - {"calibration", "labels"}
    for name in early:
        given = {"calibration": "no.npz"} if name in OF_DATA else {}
        with pytest.raises(PipelineError):
            qcompiler.compile("no.onnx", **given | {name: WRONG[name][0]})
    for name, beyond in BEYOND.items():
        given = {"calibration": "no.npz"} if name in OF_DATA else {}
        for one in beyond:
            with pytest.raises(PipelineError) as caught:
                qcompiler.compile("no.onnx", **given | {name: one})
            assert name[:3] in str(caught.value) or name == "passes"


@pytest.mark.parametrize(
    "wrong",
    [
        *({name: 5} for name in ("path", "label_column", "split")),
        *({"frames": one} for one in (0, 2.5, "9", True)),
        *({"skip_bad": one} for one in (5, "yes", None)),
        *({name: one} for name in ("resize", "crop") for one in LENGTHS),
    ],
)
def test_wrong_data_sets(wrong: dict[str, Any]) -> None:
    given: dict[str, Any] = {"path": "none.npz"} | wrong
    with pytest.raises(DataError, match="path" if "path" in wrong else next(iter(wrong))):
        qcompiler.compile(NETWORK, calibration=qcompiler.DataSet(**given))


def test_whole_numbers_of_numpy_are_whole_numbers(tmp_path: Path) -> None:
    lengths: tuple[Any, ...] = (np.int64(4), np.array([4, 4]), (np.int32(4), 4))
    for length in lengths:
        options = qcompiler.DataSet("x", resize=length, crop=length).options
        assert set(options.resize) == {4} and options.crop == (4, 4)
    np.save(tmp_path / "x.npy", np.ones((9, 3, 4, 4), np.float32))
    frames: Any = np.int64(3)
    given = qcompiler.DataSet(tmp_path / "x.npy", frames=frames)
    program = qcompiler.compile(NETWORK, target="reference", calibration=given)
    assert program.manifest["calibration_images"] == 3


@pytest.mark.parametrize("wrong", [None, *NEITHER[:-1], np.float32(2)])
def test_wrong_models_and_directories(wrong: Any) -> None:
    with pytest.raises(InvalidModel, match="the path of the model is empty"):
        qcompiler.compile("")
    with pytest.raises(InvalidModel, match=r"a model is a path, bytes, an .*, or a Graph, not"):
        qcompiler.compile(wrong)
    with pytest.raises(ProgramError, match="a directory is a path, not"):
        qcompiler.load(wrong)


def test_one_number_is_for_all_channels() -> None:
    same: tuple[Any, ...] = (16, 16.0, np.float32(16), [16], np.array([16]))
    for one in same:
        assert api.preprocessing(scale_values=one).scale == (16.0,)
    assert api.preprocessing(None, None).active is False  # type: ignore[arg-type]
    assert qcompiler.compile(NETWORK, target="reference", states=None).states == ()
    array: Any = np.array([4, 5, 6])
    assert api.preprocessing((1, 2, 3), array).scale == (4.0, 5.0, 6.0)


def test_a_pipeline_is_text() -> None:
    wrongs: tuple[Any, ...] = (5, None, b"quantize", [])
    for wrong in wrongs:
        with pytest.raises(PipelineError, match="a pipeline is read from text, not"):
            Pipeline.parse(wrong)
    passes: tuple[Any, ...] = (5, None, "quantize", object())
    for wrong in passes:
        with pytest.raises(PipelineError, match="a pipeline is a tuple of passes, not"):
            Pipeline(wrong)


def test_wrong_use_of_a_program(tmp_path: Path) -> None:
    program = qcompiler.compile(NETWORK, target="reference")
    data = np.zeros((2, 3, 4, 4), np.float32)
    wrongs: tuple[Any, ...] = (None, 5, [], {}, np.array([1, 2]))
    for wrong in wrongs:
        with pytest.raises(ProgramError, match="no engine named"):
            program.run(data, engine=wrong)
        with pytest.raises(ProgramError, match="a directory is a path"):
            program.save(wrong)
    named: Any = "loihi1"
    for ask in (program.energy, program.report):
        with pytest.raises(ProgramError, match="model must be a CostModel"):
            ask(model=named)
    with pytest.raises(ProgramError, match="progress must be a function"):
        program.measure(data, progress=5)  # type: ignore[arg-type]
    numbers: tuple[Any, ...] = (None, 1.5, "1")
    for wrong in numbers:
        for runs in (program.measure, program.network_inputs):
            with pytest.raises(ProgramError, match="first must be the number of a frame, not"):
                runs(data, first=wrong)
    with pytest.raises(ProgramError, match=r"count must be true or false, not \[\]"):
        program.measure(data, count=[])  # type: ignore[arg-type]
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for call in (program.save, qcompiler.load, qcompiler.Program.load):
        for place in (tmp_path / "loop", "a\0b"):
            with pytest.raises(ProgramError):
                call(place)
        with pytest.raises(ProgramError, match="the path of the program is empty"):
            call("")


def test_too_little_memory_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*arguments: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(network, "oversized", exhausted)
    with pytest.raises(CompileError, match="out of memory") as caught:
        qcompiler.compile(NETWORK)
    assert not isinstance(caught.value, PipelineError)
