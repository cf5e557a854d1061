"""Pipelines read and print themselves, point at faults, and hold passes to their word."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest

from qcompiler.ir import CompileError, Graph, InvalidGraph, Invariant, PipelineError
from qcompiler.ir.spiking.invariants import NO_BATCHNORM
from qcompiler.passes import BUILT_IN, Pass, Pipeline
from qcompiler.passes.pipeline import built_in
from tests.support.random_networks import LOIHI, REFERENCE, random_network

TENSOR_PASSES = (
    "lower-magnitudes",
    "split-fan-in",
    "standardize",
    "split-inputs",
    "equalize",
    "split-ranges",
    "refine-outputs",
    "normalize",
    "lower-activations",
    "quantize",
)


@pytest.mark.parametrize("text", [REFERENCE, LOIHI, "normalize{method=percentile percentile=99.0}"])
def test_text_reads_back(text: str) -> None:
    assert str(Pipeline.parse(text)) == text


def test_every_built_in_pass_is_named_as_its_file() -> None:
    for name in BUILT_IN:
        found = built_in(name)
        assert found and found.name == name
        _, _, folder, file = found.__module__.split(".")
        assert folder in ("tensor", "spiking") and file == name.replace("-", "_")


def test_defaults_fill_what_the_text_leaves_open() -> None:
    pipeline = Pipeline.parse("normalize,quantize{t_max=4}", defaults={"t_max": 32, "other": 1})
    assert str(pipeline) == "normalize{t_max=32},quantize{t_max=4}"


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ("fold-batchnorm,normalise", "no pass is named 'normalise'", 15),
        ("quantize{levels=3}", "quantize has no option 'levels'", 9),
        ("quantize{t_max=x}", "t_max cannot be 'x'", 15),
        ("quantize{t_max=1}", "t_max must be between", 0),
        ("quantize{t_max}", "expected option=value", 9),
        ("quantize{t_max=4 t_max=8}", "quantize has t_max twice", 17),
        ("quantize{potential=-1}", "potential must be 0 or more, not -1", 0),
        ("split-ranges{potential=-3}", "potential must be 0 or more, not -3", 0),
        ("choose-codes{input=-2}", "input must be 0 or more, not -2", 0),
        ("clip-outputs{low=nan high=1}", "low and high must be within 1e+30", 0),
        ("clip-outputs{high=1e40}", "low and high must be within 1e+30", 0),
        ("clip-outputs{low=3 high=1}", "low must not be above high, 1, but is 3", 0),
        ("normalize{high=inf}", "low and high must be within 1e+30", 0),
        ("normalize{low=1}", "low must be below high", 0),
        ("quantize{proved=1}", "proved cannot be '1'", 16),
        ("a b", "expected a comma", 2),
        ("quantize,", "expected the name of a pass", 9),
        ("normalize{calibration=x}", "has no option 'calibration'", 10),
        ("nowhere.at.all:Pass", "cannot import", 0),
        ("qcompiler.ir:Graph", "not a subclass", 0),
    ],
)
def test_faults_are_pointed_at(text: str, message: str, column: int) -> None:
    with pytest.raises(PipelineError) as caught:
        Pipeline.parse(text if text != "a b" else "quantize b")
    lines = str(caught.value).splitlines()
    assert message in lines[0]
    pointer = next(line for line in lines if line.strip() == "^")
    assert len(pointer) - 1 == (column if text != "a b" else 9)


@dataclass(frozen=True)
class Careless(Pass):
    """Promises what it does not do."""

    name: ClassVar[str] = "careless"
    establishes: ClassVar[tuple[Invariant, ...]] = (NO_BATCHNORM,)

    def __call__(self, graph: Graph) -> Graph:
        return graph


@dataclass(frozen=True)
class Dropper(Pass):
    """Breaks the graph."""

    name: ClassVar[str] = "dropper"

    def __call__(self, graph: Graph) -> Graph:
        return replace(graph, nodes=graph.nodes[1:])


def with_batchnorm() -> Graph:
    return next(
        graph
        for graph in map(random_network, range(100))
        if any(node.op.mnemonic == "ann.batchnorm" for node in graph.nodes)
    )


def test_a_pass_that_breaks_its_promise_is_named() -> None:
    with pytest.raises(InvalidGraph, match="the result of pass careless is invalid"):
        Pipeline((Careless(),)).run(with_batchnorm())


def test_a_pass_that_breaks_the_graph_is_named() -> None:
    with pytest.raises(InvalidGraph, match="the result of pass dropper is invalid"):
        Pipeline((Dropper(),)).run(random_network(1))


def test_a_pass_says_what_it_needs() -> None:
    with pytest.raises(InvalidGraph, match="the input of pass quantize is invalid") as caught:
        Pipeline.parse("quantize").run(with_batchnorm())
    assert "fold-batchnorm" in str(caught.value)


def test_a_pipeline_in_the_wrong_order_gets_a_sentence() -> None:
    for text in ("quantize", "assign-windows", "insert-readout", "normalize,insert-readout"):
        with pytest.raises(CompileError):
            Pipeline.parse(text).run(random_network(1))


QUANTIZED = "fold-batchnorm,fold-linear,normalize{low=-8 high=8},quantize"
READ = f"{QUANTIZED},assign-windows,insert-readout"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *((f"{QUANTIZED},{late}", "at the spiking level already") for late in TENSOR_PASSES),
        *(
            (f"{READ},{late}", "has its readout already")
            for late in ("assign-windows", "choose-codes")
        ),
    ],
)
def test_a_pass_that_comes_too_late_is_named(text: str, message: str) -> None:
    late = text.rpartition(",")[2]
    with pytest.raises(InvalidGraph, match=f"the input of pass {late} is invalid") as caught:
        Pipeline.parse(text).run(random_network(1))
    finding = caught.value.diagnostics[1]
    assert message in finding.message and "run this pass before" in str(finding.help)


def test_the_watcher_sees_every_pass() -> None:
    seen: list[str] = []
    Pipeline.parse("fold-batchnorm,fold-linear").run(
        random_network(1), lambda step, graph: seen.append(step.name)
    )
    assert seen == ["fold-batchnorm", "fold-linear"]
