"""Targets, engines and passes of users whose parts fail: told as theirs, never as ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli import test_cli

folder, run = test_cli.folder, test_cli.run
MODULE = """
import os, shutil, sys
from dataclasses import dataclass, replace
from functools import partial
from qcompiler.backends import REFERENCE, EngineFactory
from qcompiler.backends.host import Counters, Outcome
from qcompiler.ir import Invariant
from qcompiler.passes import Pass

def fault(*given, **options):
    match os.environ["FAULT"]:
        case "ValueError":
            raise ValueError("boom")
        case "SystemExit":
            sys.exit(0)
        case "BaseException":
            raise BaseException("boom")
        case "GeneratorExit":
            raise GeneratorExit

NOTHING = Outcome((), {}, Counters(20))
FAULTY = Invariant("odd", lambda graph: fault() or ())
READY = replace(REFERENCE, name="ready", ready=fault)
EMITS = replace(REFERENCE, name="emits", emit=lambda graph, folder: fault())
NEEDS = replace(REFERENCE, name="needs", requires=(FAULTY,))
RUNS = replace(
    REFERENCE, name="runs", engines=(EngineFactory("made", "made", fault),
        EngineFactory("called", "called", lambda graph: partial(fault)),
        EngineFactory("empty", "empty", lambda graph: lambda *given, **options: None),
        EngineFactory("few", "few", lambda graph: lambda *given, **options: NOTHING)),
)
HALF = replace(REFERENCE, name="half", requires=[FAULTY])
OTHER = replace(REFERENCE, name="else")
PRICED = replace(REFERENCE, name="priced", energy="x")
PIPED = replace(REFERENCE, name="piped", pipeline=3)
WRITES = replace(REFERENCE, name="writes", emit="x")
NUMBERED = replace(REFERENCE, name="numbered", engines=(EngineFactory(5, "five", fault),))
NAMELESS = replace(REFERENCE, name="nameless", engines=(EngineFactory("", "none", fault),))
UNMADE = replace(REFERENCE, name="unmade", engines=(EngineFactory("some", "some", None),))
FEWER = replace(REFERENCE, name="fewer", most_weight_bits=0)
REMOVES = replace(REFERENCE, name="removes", emit=lambda graph, folder: shutil.rmtree(folder))
FASTER = replace(REFERENCE, name="faster", engines=(EngineFactory("fast", "faster", fault),))

class Same(Pass):
    name = "same"
    def __call__(self, graph):
        return graph

@dataclass(frozen=True)
class Requires(Same):
    requires = (FAULTY,)

@dataclass(frozen=True)
class Promises(Same):
    establishes = (FAULTY,)

@dataclass(frozen=True)
class Number(Same):
    requires = 5

@dataclass(frozen=True)
class Calls(Same):
    __call__ = fault

@dataclass(frozen=True)
class Text(Same):
    __str__ = fault

@dataclass(frozen=True)
class Made(Same):
    __post_init__ = fault

@dataclass(frozen=True)
class Nameless(Pass):
    def __call__(self, graph):
        return graph
"""
CHIP = """
from dataclasses import replace
from qcompiler.backends import REFERENCE
from qcompiler.backends.loihi.mapping.chips import LOIHI_1
TINY = replace(REFERENCE, name="tiny", chip=replace(LOIHI_1, cores=0))
"""
COMPILE = "qcompile net.onnx -q -o net.out"
FAULTS = {
    "ValueError": "ValueError: boom",
    "SystemExit": "SystemExit: 0",
    "BaseException": "BaseException: boom",
    "GeneratorExit": "GeneratorExit",
}


def install(folder: Path, *targets: str, module: str = "parts") -> None:
    info = folder / f"{targets[0]}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {targets[0]}\nVersion: 1\n")
    points = "".join(f"{name} = {module}:{name.upper()}\n" for name in targets)
    (info / "entry_points.txt").write_text(f"[qcompiler.backends]\n{points}")


@pytest.fixture
def parts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(folder, "ready", "emits", "needs", "runs")
    (folder / "parts.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("FAULT", "none")


def check(result: Any, message: str) -> None:
    status, _, err = result
    assert status == 1 and message in err, err
    assert "bug in qcompiler" not in err and "Traceback" not in err


@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--target ready", "the target ready of parts fails: "),
        ("--target emits", "the target emits of parts fails to write its files: "),
        ("--target needs", "the check of odd of parts fails: "),
        ("--passes parts:Requires", "the check of odd of parts fails: "),
        ("--passes parts:Promises", "the check of odd of parts fails: "),
        ("--passes parts:Calls", "the pass same of parts fails: "),
        ("--passes parts:Text", "the pass same of parts fails: "),
        ("--passes parts:Made", "parts:Made: "),
    ],
)
def test_faults_while_compiling_are_those_of_the_user(
    run: Any, folder: Path, monkeypatch: Any, fault: str, options: str, message: str
) -> None:
    monkeypatch.setenv("FAULT", fault)
    told = "boom" if (fault, options) == ("ValueError", "--passes parts:Made") else FAULTS[fault]
    check(run(f"{COMPILE} {options}"), message + told)
    assert not (folder / "net.out").exists()


@pytest.mark.usefixtures("parts")
def test_what_passes_and_targets_lack_is_told(run: Any, folder: Path, monkeypatch: Any) -> None:
    install(folder, "half")
    message = "the pass Nameless of parts has no name: give its class one"
    check(run(f"{COMPILE} --passes parts:Nameless"), message)
    message = "the plugin target half: requires must be a tuple of Invariant, not ["
    check(run(f"{COMPILE} --target half"), message)
    check(run(f"{COMPILE} --passes parts:Number"), "the pass same of parts fails: TypeError")
    monkeypatch.setenv("FAULT", "ValueError")
    promised = "the result of pass same is invalid: the pass promises odd"
    check(run(f"{COMPILE} --passes parts:Promises"), promised)


@pytest.mark.usefixtures("parts")
def test_parts_of_targets_are_what_they_must_be(run: Any, folder: Path) -> None:
    parts = {
        "other": "calls itself 'else': give it the name of its entry point",
        "priced": "energy must be a CostModel, not 'x'",
        "piped": "pipeline must be a text, not 3",
        "writes": "emit must be a function, not 'x'",
        "numbered": "of an engine: name must be a text that is not empty, not 5",
        "nameless": "of an engine: name must be a text that is not empty, not ''",
        "unmade": "of an engine: make must be a function, not None",
        "fewer": "most_weight_bits must be a whole number from 2 on, not 0",
        "faster": "its engine fast has the name of a built-in one",
    }
    install(folder, *parts)
    for name, message in parts.items():
        kind = " " if name == "other" else ": "
        check(run(f"{COMPILE} --target {name}"), f"the plugin target {name}{kind}{message}")
        assert not (folder / "net.out").exists()


@pytest.mark.usefixtures("parts")
def test_a_folder_that_is_removed_names_the_target(run: Any, folder: Path) -> None:
    install(folder, "removes")
    message = "the target removes of parts fails to write its files: it removes the folder for them"
    check(run(f"{COMPILE} --target removes"), message)
    assert not (folder / "net.out").exists()


@pytest.mark.usefixtures("parts")
def test_a_chip_without_room_is_refused(run: Any, folder: Path) -> None:
    (folder / "tiny_chip.py").write_text(CHIP)
    install(folder, "tiny", module="tiny_chip")
    message = "cannot load: cores of the chip Loihi 1 must be a whole number from 1 on, not 0"
    check(run(f"{COMPILE} --target tiny"), f"the plugin tiny of tiny {message}")
    assert not (folder / "net.out").exists()


@pytest.mark.usefixtures("parts")
def test_faults_of_engines_are_those_of_the_user(run: Any, monkeypatch: Any) -> None:
    assert run(f"{COMPILE} --target runs")[0] == 0
    for fault, told in FAULTS.items():
        monkeypatch.setenv("FAULT", fault)
        for engine in ("made", "called"):
            message = f"the engine {engine} of parts fails: {told}"
            check(run(f"qrun net.out data.npz --engine {engine}"), message)
    message = "the engine empty of parts returns no Outcome, but NoneType"
    check(run("qrun net.out data.npz --engine empty"), message)
    message = "the engine few of parts returns 0 outputs, but the network has 1"
    check(run("qrun net.out data.npz --engine few"), message)


@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize("text", [":bad", "bad:", ":", ".bad:Mine"])
def test_half_names_of_classes_are_told(run: Any, text: str) -> None:
    message = f"'{text}' names no class of a module"
    status, _, err = run(f"{COMPILE} --passes {text}")
    assert status == 1 and message in err and "write it as module:Class" in err
