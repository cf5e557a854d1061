"""The NIR file on NIRTorch and Norse, which others wrote: spike for spike the reference.

NIRTorch runs the graph, with convolutions and matrices of its own; the neurons are Norse's. It
takes one input and one output, no loops, and sums nothing. So added here are one input with its
parts, one output, sums, and what neither knows: `I`, `Scale`, `Flatten`, and `Delay`, as two nodes
around a line.

    QCOMPILER_NIR_FRAMES=540 python -m pytest tests/backends/test_nir_elsewhere.py
"""

from __future__ import annotations

import os
from collections import deque
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.backends.loihi.netlist.build_netlist import build_netlist
from qcompiler.backends.nir.frame_inputs import frame_inputs
from qcompiler.backends.nir.nir_graph import FrameGraph

nir: Any = pytest.importorskip("nir")
nx: Any = pytest.importorskip("networkx")
torch: Any = pytest.importorskip("torch")
nirtorch: Any = pytest.importorskip("nirtorch")
iaf: Any = pytest.importorskip("norse.torch.module.iaf")

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
FRAMES = int(os.environ.get("QCOMPILER_NIR_FRAMES", "2"))


class Added(nir.NIRNode):  # type: ignore[misc]
    """A node with a function of the values before it."""

    def __init__(self, function: Any) -> None:
        self.function = function
        self.input_type: dict[str, Any] = {}
        self.output_type: dict[str, Any] = {}


class Once(torch.nn.Module):  # type: ignore[misc]
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, *given: Any) -> Any:
        return self.function(*given)


class Steps(Once):
    """A function of the sum of the values before it, and of its state."""

    def forward(self, *given: Any, state: Any = None) -> Any:
        return self.function(sum(given), state)


def neurons(node: Any) -> Any:
    threshold, reset = (torch.from_numpy(a).double() for a in (node.v_threshold, node.v_reset))
    return Steps(iaf.IAFCell(iaf.IAFParameters(v_th=threshold, v_reset=reset), dt=1.0))


def integrate(x: Any, state: Any) -> Any:
    total = x if state is None else state + x
    return total, total


def scaled(node: Any) -> Any:
    scale = torch.from_numpy(node.scale).double()
    return Once(lambda x: scale * x)


def part(first: int, shape: tuple[int, ...]) -> Added:
    return Added(lambda x: x[:, first : first + prod(shape)].reshape(-1, *shape))


def line(node: Any, frames: int) -> tuple[Added, Added]:
    """What a `Delay` gives, and what takes its input behind it."""
    nothing = torch.zeros(frames, *node.delay.shape).double()
    held = deque([nothing] * int(node.delay.flat[0]))
    return Added(lambda: held.popleft()), Added(held.append)


MODULES = {
    Added: lambda node: Once(node.function),
    nir.I: lambda _: Steps(integrate),
    nir.IF: neurons,
    nir.Scale: scaled,
    nir.Flatten: lambda _: Once(lambda x: x.flatten(1)),
}


def rearranged(graph: Any, shapes: dict[str, Any], frames: int) -> tuple[Any, list[str]]:
    """The graph as NIRTorch runs it, and the neurons in the order of its output."""
    nodes, first = {}, 0
    edges = [(a, b) for a, b in graph.edges if not isinstance(graph.nodes[b], nir.Output)]
    for name, shape in shapes.items():
        nodes[name], first = part(first, shape), first + prod(shape)
        edges.append(("every_input", name))
    for name, node in graph.nodes.items():
        if isinstance(node, nir.Delay):
            nodes[name], nodes[f"{name}_end"] = line(node, frames)
            edges = [(a, f"{b}_end" if b == name else b) for a, b in edges]
        elif not isinstance(node, nir.Input | nir.Output):
            nodes[name] = node
    fired = [name for name, node in graph.nodes.items() if isinstance(node, nir.IF)]
    nodes["joined"] = Added(lambda *x: torch.cat([one.flatten(1) for one in x], 1))
    nodes["every_input"] = nir.Input({"input": np.array([first])})
    nodes["all_spikes"] = nir.Output({"output": np.array([1])})
    edges += [*((name, "joined") for name in fired), ("joined", "all_spikes")]
    order = [n for n in nx.topological_sort(nx.DiGraph(edges)) if n != "all_spikes"]
    # Lines give before they take, and the output is last.
    order.sort(key=lambda name: (name != "every_input", name.endswith("_end")))
    ordered = {name: nodes[name] for name in (*order, "all_spikes")}
    return nir.NIRGraph(ordered, edges, type_check=False), fired


def run(graph: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    """Spikes of every `IF`, ``steps x frames x neurons``, for ``steps x frames x shape``."""
    steps, frames = next(iter(inputs.values())).shape[:2]
    shapes = {name: given.shape[2:] for name, given in inputs.items()}
    whole, fired = rearranged(graph, shapes, frames)
    module = nirtorch.nir_to_torch(whole, MODULES).double()
    state, sent = dict.fromkeys(whole.nodes), []
    flat = [given.reshape(steps, frames, -1) for given in inputs.values()]
    with torch.no_grad():
        for x in torch.from_numpy(np.concatenate(flat, 2)).double():
            spikes, state = module(x, state)
            sent.append(spikes.numpy())
    ends = np.cumsum([graph.nodes[name].v_threshold.size for name in fired])[:-1]
    return dict(zip(fired, np.split(np.stack(sent), ends, axis=2), strict=True))


@pytest.mark.filterwarnings("ignore")
def test_digits(tmp_path: Path) -> None:
    program = qcompiler.compile(
        DIGITS / "digits.onnx",
        calibration=DIGITS / "digits_calibration.npz",
        scale_values=(16,),
        target="nir",
    )
    program.save(tmp_path / "net.nir")
    graph = nir.read(tmp_path / "net.nir" / "network.nir")
    images = np.load(DIGITS / "digits_test.npz")["images"][:FRAMES, None].astype(np.float32)
    given = [frame_inputs(program.graph, {"image": image}) for image in images]
    found = run(graph, {name: np.stack([one[name] for one in given], 1) for name in given[0]})
    names, expected = FrameGraph(build_netlist(program.graph)).names, program.spikes(images)
    compared = 0
    for name in expected.keys() & names.keys():
        if names[name] in found:
            sent = found.pop(names[name])
            first = np.where(sent.any(axis=0), sent.argmax(axis=0), -1)
            np.testing.assert_array_equal(first, expected[name].reshape(len(images), -1))
            compared += first.size
    assert not found and compared == 980 * FRAMES
