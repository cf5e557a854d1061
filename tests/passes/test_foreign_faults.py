"""Faults of passes that users write: one sentence that names the pass, and what to do."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import qcompiler
from qcompiler.ir import (
    CompileError,
    Graph,
    InvalidGraph,
    Node,
    Op,
    PipelineError,
    Type,
    UnsupportedModel,
    Value,
    drop_dead,
)
from qcompiler.passes import Pass, Pipeline
from qcompiler.passes.base import HIDDEN
from tests.support.random_networks import random_batch, random_network

HEAD = """
from dataclasses import dataclass
from qcompiler.passes import Pass
"""
MODULES = {
    "syntax": ("def f(:", "SyntaxError: invalid syntax", "mend the module: python -c 'import"),
    "needs": ("import nothing_like_it", "No module named 'nothing_like_it'", "install nothing"),
    "thawed": (
        f"{HEAD}@dataclass\nclass Mine(Pass):\n    depth: int = 1\n",
        "cannot inherit non-frozen dataclass",
        "mend the module",
    ),
    "leaves": ("import sys\nsys.exit()", "leaves:Mine: SystemExit", "mend the module"),
    "other": (HEAD, "the module other has nothing named Mine", ""),
    "raises": (
        f"{HEAD}@dataclass(frozen=True)\nclass Mine(Pass):\n    name = 'mine'\n"
        "    def __call__(self, graph): return graph\n    def __post_init__(self): {}['x']\n",
        "raises:Mine: KeyError: 'x'",
        "",
    ),
}


@pytest.mark.parametrize("name", MODULES)
def test_modules_that_fail_are_told_apart(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, message, help_ = MODULES[name]
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(PipelineError) as caught:
        Pipeline.parse(f"{name}:Mine")
    sys.modules.pop(name, None)
    assert message in str(caught.value) and help_ in str(caught.value)
    assert "PYTHONPATH" not in str(caught.value)


def test_a_module_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "single.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(PipelineError, match="correct the name: single is found, and holds no such"):
        Pipeline.parse("single.inner:Mine")
    sys.modules.pop("single", None)


@dataclass(frozen=True)
class Broken(Pass):
    """Returns what is no graph inside."""

    name: ClassVar[str] = "broken"
    how: str = "list"

    def __call__(self, graph: Graph) -> Graph:
        if self.how == "list":
            return replace(graph, nodes=[*graph.nodes])  # type: ignore[arg-type]
        if self.how == "none":
            return replace(graph, nodes=(*graph.nodes, None))  # type: ignore[arg-type]
        return replace(graph, outputs=(), output_names=())


@pytest.mark.parametrize("how", ["list", "none", "no outputs"])
def test_graphs_that_are_none_name_their_pass(how: str) -> None:
    with pytest.raises(CompileError, match="broken"):
        Pipeline((Broken(how),)).run(random_network(0))


@dataclass(frozen=True)
class Mine(Op):
    """An operation that nothing else knows."""

    mnemonic: ClassVar[str] = "mine.op"

    def infer(self, *operands: Type) -> Type:
        return operands[0].layout


@dataclass(frozen=True)
class Foreign(Pass):
    """Puts such an operation in front of the first output."""

    name: ClassVar[str] = "foreign"

    def __call__(self, graph: Graph) -> Graph:
        (value, *others) = graph.outputs
        made = Value(graph.fresh("mine"), value.type.layout)
        nodes = (*graph.nodes, Node(Mine(), (value,), made))
        return replace(graph, nodes=nodes, outputs=(made, *others))


@pytest.mark.parametrize("before", ["normalize", "quantize", "assign-windows", "insert-readout"])
def test_operations_that_are_not_built_in_are_refused(before: str) -> None:
    graph = random_network(0)
    default = qcompiler.compile(graph, calibration=random_batch(graph, 0))
    passes = Pipeline.parse(str(default.manifest["pipeline"])).passes
    at = next(index for index, step in enumerate(passes) if step.name == before)
    steps = Pipeline((*passes[:at], Foreign(), *passes[at:]))
    with pytest.raises(InvalidGraph, match=r"made by mine\.op, which is not built in"):
        qcompiler.compile(graph, passes=steps, calibration=random_batch(graph, 0))


REFUSED = "error: the pass refuses refuses the network"


@dataclass(frozen=True)
class Refuses(Pass):
    """Raises what is given."""

    error: CompileError = field(default_factory=CompileError, metadata=HIDDEN)
    name: ClassVar[str] = "refuses"

    def __call__(self, graph: Graph) -> Graph:
        raise self.error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (UnsupportedModel(3), f"{REFUSED}\nerror: 3"),  # type: ignore[arg-type]
        (UnsupportedModel(), f"{REFUSED}\nerror: UnsupportedModel"),
    ],
)
def test_errors_without_a_text_are_told(error: CompileError, text: str) -> None:
    with pytest.raises(UnsupportedModel) as caught:
        qcompiler.compile(random_network(0), passes=Pipeline((Refuses(error),)))
    assert str(caught.value) == text


@dataclass(frozen=True)
class Looks(Pass):
    """Has an option for anything, also for calibration data."""

    name: ClassVar[str] = "looks"
    calibration: Any = None

    def __call__(self, graph: Graph) -> Graph:
        return graph


@pytest.mark.parametrize("value", [(np.ones(3),), [1], "a b", "", "x,y", "{"])
def test_what_has_no_text_is_told_before_passes_run(value: Any) -> None:
    steps = Pipeline((Refuses(UnsupportedModel("ran")), Looks(value)))
    with pytest.raises(PipelineError, match="the option calibration has no text") as caught:
        qcompiler.compile(random_network(0), passes=steps)
    assert "give its field metadata=HIDDEN" in str(caught.value)


@dataclass(frozen=True)
class LayerBefore(Pass):
    """Returns what the last node reads."""

    name: ClassVar[str] = "layer-before"

    def __call__(self, graph: Graph) -> Graph:
        (last,) = (node for node in graph.nodes if node.result == graph.outputs[0])
        value = last.operands[0]
        assert isinstance(value, Value)
        return drop_dead(replace(graph, outputs=(value,), output_names=("before",)))


def test_outputs_of_other_shapes_are_told() -> None:
    graph = random_network(3)
    default = qcompiler.compile(graph, calibration=random_batch(graph, 3))
    passes = Pipeline.parse(str(default.manifest["pipeline"])).passes
    steps = Pipeline((LayerBefore(), *passes))
    program = qcompiler.compile(graph, passes=steps, calibration=random_batch(graph, 3))
    assert program.graph.outputs[0].type.shape != graph.outputs[0].type.shape
    assert any("layer-before changes the shapes of outputs" in text for text in program.warnings)
    assert np.isfinite(program.run(random_batch(graph, 3))).all()
