"""Sources of a plugin's reader that fail, or lose frames: told with the name of the reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qcompiler.data import DataSet, Indexed, Reader, as_given, find, open_stream, read
from qcompiler.ir import DataError, PipelineError
from qcompiler.ir.kernels import Array

INPUT = (("x", (3,)),)


class Sound(Indexed):
    """Four frames."""

    def __init__(self, *given: Any) -> None:
        super().__init__()

    def __len__(self) -> int:
        return 4

    def read(self, places: Array) -> tuple[tuple[Array, ...], Array]:
        return (np.ones((len(places), 3), np.float32),), places


class Unmade(Sound):
    def __init__(self, *given: Any) -> None:
        pass


class Told(Sound):
    told = 5  # type: ignore[assignment]


def boom(*given: Any) -> Any:
    raise ValueError("boom")


def sound(**parts: Any) -> type[Sound]:
    """A source with other parts."""
    return type("Mine", (Sound,), {"__module__": __name__, **parts})


def reads(change: Any) -> type[Sound]:
    return sound(read=lambda self, places: change(*Sound.read(self, places)))


MINE = f"the reader Mine of {__name__}"
FAULTS: dict[str, type[Sound]] = {
    f"{MINE} fails: ValueError: boom": sound(__len__=boom),
    f"{MINE} fails: ValueError: __len__": sound(__len__=lambda self: -1),
    f"{MINE} fails: TypeError: 'float'": sound(__len__=lambda self: 2.5),
    f"{MINE} reads 1 frames for 4 places": reads(lambda arrays, places: ((arrays[0][:1],), places)),
    f"{MINE} reads no array for each": reads(lambda arrays, places: (arrays[0], places)),
    f"{MINE} reads places that are not": reads(lambda arrays, places: (arrays, places[::-1])),
    f"{MINE} gives 0 of 4 frames": reads(lambda arrays, places: ((arrays[0][:0],), places[:0])),
    f"reader mine of {__name__} opens a Told whose told is 5: it must be a tuple of texts": Told,
    f"reader mine of {__name__} opens a Unmade without a set of skipped: call": Unmade,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "d.mine").touch()
    return tmp_path / "d.mine"


def install(monkeypatch: pytest.MonkeyPatch, source: type[Sound]) -> None:
    """A plugin whose reader opens such a source, and one that cannot load."""
    reader = Reader("mine", "a .mine file", lambda path: path.suffix == ".mine", source)
    found = {"mine": reader, "other": None}
    monkeypatch.setattr(find, "plugins", lambda *given: found)
    monkeypatch.setattr(find, "load", lambda group, name, own: found[name])


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_name_the_reader(fault: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FAULTS[fault])
    with pytest.raises(PipelineError, match=fault):
        read(path, INPUT)
    with pytest.raises(PipelineError, match=fault):
        list(open_stream(path, INPUT).batches(4))
    labelled = DataSet(path, labels=np.arange(4))
    with pytest.raises(PipelineError, match=fault):
        read(labelled, INPUT)
    if "gives 0" not in fault:  # of a data set in one piece nothing is left
        with pytest.raises(PipelineError, match=fault):
            as_given(path, INPUT)


def test_an_indexed_source_takes_labels(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, Sound)
    (batch,) = open_stream(DataSet(path, labels=np.arange(4)), INPUT).batches(4)
    assert batch.labels is not None and batch.labels.tolist() == [0, 1, 2, 3]
    install(monkeypatch, sound(takes_labels=False))
    message = "the option labels is of no use for .*, which is a .mine file"
    with pytest.raises(DataError, match=message):
        open_stream(DataSet(path, labels=np.arange(4)), INPUT)


def test_an_unknown_file_is_told_beside_broken_plugins(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, Sound)
    other = path.with_suffix(".xyz")
    other.touch()
    with pytest.raises(PipelineError) as caught:
        open_stream(other, INPUT)
    unknown, broken = (finding.message for finding in caught.value.diagnostics)
    assert unknown.startswith(f"{other} is no file of a known kind: give")
    assert broken == "the plugin reader other is not a qcompiler.data.Reader"
