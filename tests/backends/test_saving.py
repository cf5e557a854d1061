"""Programs on disk: old or new whoever dies or races, nothing of others lost, nothing hangs."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import threading
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qcompiler.backends.program.program import Program
from qcompiler.backends.saving import loading, storage
from qcompiler.cli.outputs import write_text
from qcompiler.ir import PipelineError, ProgramError
from tests.support.killed_writers import GRAPHS, MANIFEST

FILES = ("manifest.json", "network.qir", "arrays.npz")


@pytest.fixture
def program(tmp_path: Path) -> Path:
    storage.save(tmp_path / "p", MANIFEST, GRAPHS[0])
    return tmp_path / "p"


def save(place: Path, which: int = 1) -> None:
    storage.save(place, MANIFEST, GRAPHS[which])


def content(place: Path) -> Any:
    return loading.load(place)[1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("exchange", ["", "--without-exchange"])
@pytest.mark.parametrize(("how", "count"), [("kills", 30), ("race", 40)])
def test_a_program_is_old_or_new(how: str, count: int, exchange: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.support.killed_writers", how, str(tmp_path), str(count)]
    found = subprocess.run(
        [*command, *exchange.split()], capture_output=True, text=True, check=True, timeout=300
    )
    counted = json.loads(found.stdout)
    assert counted["read"] > 0
    assert not any(counted.get(what) for what in ("mixed", "failed", "left at the end"))


def test_what_a_dead_writer_took_away_comes_back(program: Path) -> None:
    scratch = program.with_name(".p.qcompile-dead")
    for recover in (lambda: content(program), lambda: save(program)):
        (scratch / "new").mkdir(parents=True, exist_ok=True)
        program.rename(scratch / "old")
        recover()
        assert content(program) in GRAPHS
    assert content(program) == GRAPHS[1]
    assert [path.name for path in program.parent.iterdir()] == ["p"]


def test_folders_of_others_are_not_swept(program: Path) -> None:
    kept = [program.with_name(name) for name in (".p.settings", ".p.abcd1234", ".q.qcompile-x")]
    for path in kept:
        path.mkdir()
    save(program)
    assert all(path.is_dir() for path in kept)


def change(place: Path, **entries: Any) -> None:
    manifest = json.loads((place / "manifest.json").read_text())
    (place / "manifest.json").write_text(json.dumps(manifest | entries))


@pytest.mark.parametrize("files", [5, None, {"a": 1}, "abc", [1, 2], [["x"]]])
def test_a_damaged_manifest_is_no_fault(files: Any, program: Path) -> None:
    change(program, files=files)
    with pytest.raises(ProgramError):
        loading.load(program)
    with pytest.raises(ProgramError, match="or remove it"):
        save(program)
    assert (program / "arrays.npz").exists()


def foreign(place: Path) -> None:
    for name in FILES:
        (place / name).unlink()
    (place / "manifest.json").write_text('{"format": "chrome-ext", "target": "es2020"}')


def folder_of_the_user(place: Path) -> None:
    (place / "thesis").mkdir()
    (place / "thesis" / "a.tex").write_text("years of work")
    change(place, files=["thesis"])


def file_in_the_cache(place: Path) -> None:
    (place / "__pycache__").mkdir()
    (place / "__pycache__" / "mine.txt").write_text("mine")


def link_of_the_user(place: Path) -> None:
    (place / "data").symlink_to(place.parent)


@pytest.mark.parametrize("make", [foreign, folder_of_the_user, file_in_the_cache, link_of_the_user])
def test_what_is_not_a_program_is_kept(make: Callable[[Path], None], program: Path) -> None:
    make(program)
    before = sorted(path for path in program.rglob("*"))
    with pytest.raises(ProgramError, match="is no compiled program"):
        save(program)
    assert sorted(path for path in program.rglob("*")) == before


def test_a_manifest_that_is_no_json_is_told(program: Path) -> None:
    circle: list[Any] = []
    circle.append(circle)
    cases: dict[str, Any] = {
        "type object is not JSON": {"x": object()},
        "Circular": {"x": circle},
        "not supported": {1: 2},
    }
    for told, wrong in cases.items():
        message = f"the manifest cannot be written as JSON: .*{told}"
        with pytest.raises(ProgramError, match=message):
            storage.save(program, {**MANIFEST, **wrong}, GRAPHS[1])
        assert content(program) == GRAPHS[0]
    assert [path.name for path in program.parent.iterdir()] == ["p"]


def test_what_finds_targets_is_a_function(program: Path) -> None:
    find: Any = 3
    with pytest.raises(ProgramError, match=r"find must be a function .*, not 3"):
        Program.load(program, find)

    def broken(name: str) -> None:
        raise ValueError(name)

    with pytest.raises(PipelineError, match=r"the function find .*test_saving fails: Val"):
        Program.load(program, broken)


def test_bytecode_of_the_emitted_module_is_replaced(program: Path) -> None:
    (program / "__pycache__").mkdir()
    (program / "__pycache__" / "network.cpython-310.pyc").write_bytes(b"")
    save(program)
    assert content(program) == GRAPHS[1]


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").write_text("")
    for place in ("loop", "file", "file/p", "a\0b", "n" * 300):
        with pytest.raises(ProgramError):
            save(tmp_path / place)


def test_names_may_be_as_long_as_the_file_system_takes(tmp_path: Path) -> None:
    for name in ("n" * 255, "\u00fc" * 127):
        place = tmp_path / name[:1] / name
        for which in (0, 1):
            save(place, which)
        assert os.listdir(place.parent) == [name]
        assert content(place) == GRAPHS[1]
    write_text(tmp_path / f"{'n' * 250}.html", "--report", "text")
    assert (tmp_path / f"{'n' * 250}.html").read_text() == "text"


def within(seconds: float, call: Callable[[], Any]) -> None:
    """Call something that must raise a ProgramError in time."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(call())
        except ProgramError as error:
            found.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert found and isinstance(found[0], ProgramError)
    assert len(str(found[0])) < 1000


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("how", ["pipe", "zero", "folder", "sparse", "empty", "passwords"])
@pytest.mark.parametrize("name", FILES)
def test_files_of_another_kind_or_size(name: str, how: str, program: Path) -> None:
    path = program / name
    path.unlink()
    match how:
        case "pipe":
            os.mkfifo(path)
        case "zero":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case "sparse":
            with path.open("wb") as file:
                file.truncate(3 << 30)
        case "empty":
            path.write_bytes(b"")
        case "passwords":
            path.symlink_to("/etc/passwd")
    within(60, lambda: loading.load(program))


def overlapping(path: Path, count: int, size: int) -> None:
    """An archive of about ``size`` bytes, each entry of which holds all later ones."""
    held, entries = bytes(size), []
    for index in reversed(range(count)):
        shape = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({len(held)},), }}"
        head = shape.ljust(117).encode() + b"\n"
        held = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + held
        name, check = f"#e{index}.npy".encode(), zlib.crc32(held)
        sizes = (len(held), len(held), len(name), 0)
        local = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 0, 0, 33, check, *sizes) + name
        entries.append((name, check, len(held), len(held) + len(local)))
        held = local + held
    directory = b""
    for name, check, length, after in reversed(entries):
        numbers = (20, 20, 0, 0, 0, 33, check, length, length, len(name), 0, 0, 0, 0, 0)
        at = len(held) - after
        directory += struct.pack("<4s6H3I5H2I", b"PK\1\2", *numbers, at) + name
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, len(directory), len(held), 0)
    path.write_bytes(held + directory + end)


def test_entries_that_overlap_are_refused(program: Path) -> None:
    overlapping(program / "arrays.npz", 50, 1 << 12)
    with zipfile.ZipFile(program / "arrays.npz") as archive:
        assert len(archive.infolist()) == 50
    with pytest.raises(ProgramError, match="damaged"):
        loading.load(program)


def test_arrays_beyond_their_file_are_refused(program: Path) -> None:
    head = "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999,), }"
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + head.ljust(117).encode() + b"\n"
    with zipfile.ZipFile(program / "arrays.npz", "w") as archive:
        archive.writestr("#w.npy", data)
    with pytest.raises(ProgramError, match="damaged"):
        loading.load(program)
    np.savez(program / "arrays.npz", **{"#w": np.zeros(3)})
    with pytest.raises(ProgramError, match=r"not the one that was written|is missing"):
        loading.load(program)
