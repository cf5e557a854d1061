"""Data sets on Dask's workers: the results of one process, whatever happens to a worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler import api
from qcompiler.backends.loihi.target import LOIHI
from qcompiler.cli.compiling import qcompile
from qcompiler.cli.running import qrun
from qcompiler.cluster import client as dask_client
from qcompiler.cluster import runs as cluster
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import DataError, PipelineError, ProgramError
from qcompiler.search.halves import Measuring, here, on_cluster

distributed = pytest.importorskip("distributed")
# Dask's own: of sockets and processes that end with a worker.
pytestmark = pytest.mark.filterwarnings("ignore")

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
TEST = DIGITS / "digits_test.npz"


@pytest.fixture(scope="module")
def program() -> qcompiler.Program:
    data = DIGITS / "digits_calibration.npz"
    return qcompiler.compile(
        DIGITS / "digits.onnx", calibration=data, scale_values=[16], effort=0, t_max=4
    )


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with cluster.connected(2, None) as client:
        yield client


@pytest.fixture(scope="module")
def images() -> np.ndarray[Any, Any]:
    found: np.ndarray[Any, Any] = np.load(TEST)["images"][:, None]
    return np.concatenate([found] * 4)


def test_a_worker_that_dies_changes_nothing(
    program: qcompiler.Program, client: Any, images: np.ndarray[Any, Any]
) -> None:
    alone = program.measure(images, engine="steps")
    victims, seen = list(client.run(os.getpid).values())[:1], list[int]()

    def progress(frames: int) -> None:
        seen.append(frames)
        if victims:
            os.kill(victims.pop(), signal.SIGKILL)

    read = list[int]()

    def parts() -> Iterator[tuple[Any, ...]]:
        for part in cluster.partitions((images,), program):
            read.append(len(seen))
            yield part

    found = cluster.measure(program, parts(), client, "steps", progress)
    assert read[-1] > 0  # the last part is read when others are done
    assert not victims and seen == sorted(seen) and seen[-1] == len(images)
    assert len(seen) > 3  # partitions that were left when it died
    assert found.outputs["scores"].tobytes() == alone.outputs["scores"].tobytes()
    assert found.counters == alone.counters


def test_the_command_prints_and_writes_the_same(
    program: qcompiler.Program, client: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program.save(tmp_path / "digits")
    found = []
    for name, where in (("one", []), ("two", ["--dask", client.scheduler.address])):
        out = tmp_path / f"{name}.npz"
        arguments = [str(tmp_path / "digits"), str(TEST), "--json", "-o", str(out), *where]
        assert qrun.main(arguments) == 0
        found.append((json.loads(capsys.readouterr().out), out.read_bytes()))
    assert found[0] == found[1]


def test_a_search_finds_the_same(client: Any) -> None:
    data = np.load(DIGITS / "digits_calibration.npz")["images"][:60, None]
    tried: list[list[str]] = [[], []]
    options: dict[str, Any] = {"max_drift": 60, "effort": 0, "slices": 1, "target": "reference"}
    alone, found = (
        qcompiler.compile(
            DIGITS / "digits.onnx", calibration=data, tell=lines.append, client=where, **options
        )
        for where, lines in zip((None, client), tried, strict=True)
    )
    assert found.graph == alone.graph and found.manifest == alone.manifest
    assert len(tried[0]) > 2 and tried[0] == tried[1]


def test_wrong_arguments_are_a_sentence(program: qcompiler.Program, client: Any) -> None:
    wrongs: tuple[Any, ...] = (0, True, "2", 2.5)
    for wrong in wrongs:
        with pytest.raises(PipelineError, match="workers must be"), cluster.connected(wrong, None):
            pass
        with pytest.raises(ProgramError, match="a cluster runs a program, not"):
            list(cluster.partitions((np.zeros((1, 1, 8, 8)),), wrong))
        with pytest.raises(ProgramError, match="a cluster runs a program, not"):
            cluster.measure(wrong, [], client)
        with pytest.raises(PipelineError, match="client must be a client of Dask, not"):
            cluster.measure(program, [], wrong)


def test_costs_of_a_schedule_are_the_same(client: Any) -> None:
    data = np.load(DIGITS / "digits_calibration.npz")["images"][:60, None]
    steps = api.pipeline("loihi", None, {"t_max": 4, "effort": 0})
    graph = import_model(DIGITS / "digits.onnx").graph
    common = Measuring(graph, LOIHI, (data,), costs=True)
    halves = zip(here(common)(steps), on_cluster(common, client)(steps), strict=True)
    costs = []
    for one, other in halves:
        assert one.outputs.tobytes() == other.outputs.tobytes()
        assert one[1:] == other[1:]
        costs.append(one.cost)
    assert costs[0] is not None and costs[1] is None


@pytest.mark.parametrize("count", ["1025", "9" * 20])
def test_processes_are_so_many_as_a_machine_may_have(count: str, capsys: Any) -> None:
    with pytest.raises(SystemExit):
        qrun.main(["p", "d.npz", "--workers", count])
    assert f"at most 1,024 processes, not {count}" in capsys.readouterr().err


def test_only_a_search_takes_workers(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        qcompile.main(["net.onnx", "--workers", "2"])
    assert "they need --max-drop or --max-drift" in capsys.readouterr().err


def test_faults_of_a_partition_come_back(
    program: qcompiler.Program, client: Any, images: np.ndarray[Any, Any]
) -> None:
    broken = images.astype(np.float32)
    broken[300, 0, 0, 0] = np.nan
    with pytest.raises(DataError, match="NaN"):
        cluster.measure(program, [(broken[:300],), (broken[300:],)], client)
    with pytest.raises(DataError, match="NaN"):
        next(cluster.partitions((broken,), program))
    with pytest.raises(DataError, match="empty"):
        cluster.measure(program, [], client)
    with pytest.raises(ProgramError, match="no engine named"):
        cluster.measure(program, [(images[:1],)], client, "none")


def test_workers_of_another_version_are_refused(
    program: qcompiler.Program,
    client: Any,
    images: np.ndarray[Any, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cluster, "own_version", lambda: "9.9")
    with pytest.raises(ProgramError, match=r"a worker has qcompiler .*, not 9\.9"):
        cluster.measure(program, [(images[:1],)], client)


@pytest.mark.parametrize("address", ["foo://x:1", "tcp://127.0.0.1:1"])
def test_nobody_at_an_address_is_a_sentence(
    address: str, program: qcompiler.Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_client, "_CONNECTING", 1)
    with (
        pytest.raises(ProgramError, match=f"no Dask scheduler answers at {address}"),
        cluster.connected(None, address),
    ):
        pass


def test_missing_dask_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(ProgramError, match=r"pip install 'qcompiler-snn\[dask\]'"),
        cluster.connected(2, None),
    ):
        pass


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_the_second_interrupt_ends_all_at_once(program: qcompiler.Program, tmp_path: Path) -> None:
    psutil = pytest.importorskip("psutil")
    program.save(tmp_path / "digits")
    np.savez(tmp_path / "d.npz", images=np.zeros((200_000, 1, 8, 8), np.uint8))
    code = "import sys; from qcompiler.cli.commands import qrun; sys.exit(qrun())"
    given = ["digits", "d.npz", "--engine", "steps", "--workers", "2", "-o", "out.npz"]
    command = [sys.executable, "-c", code, *given]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        workers: list[Any] = []
        while len(workers) < 2 and process.poll() is None:
            children = psutil.Process(process.pid).children(recursive=True)
            workers = [one for one in children if "spawn_main" in " ".join(one.cmdline())]
            time.sleep(0.1)
        time.sleep(1)  # the run may have begun, or not
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            time.sleep(0.02)
        assert process.stderr is not None
        errors = process.stderr.read()
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert not psutil.wait_procs(workers, timeout=30)[1]
    assert not (tmp_path / "out.npz").exists()
