"""NIR graphs, step by step in numpy: what the primitives say, and nothing of ours.

An edge takes no time. At a step `I` and `IF` add their input, as Euler's method with dt = 1 does;
`IF` then fires where its membrane is above the threshold, and is reset.
"""

from __future__ import annotations

from typing import Any

import networkx as nx
import nir
import numpy as np

Array = np.ndarray[Any, Any]


def simulate(graph: Any, inputs: dict[str, Array], steps: int) -> dict[str, Array]:
    """Spikes of every `IF`, ``steps x shape``, for those of every input."""
    states: dict[str, Array] = {}
    sent: dict[str, list[Array]] = {name: [] for name in graph.nodes}
    before: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for sender, receiver in graph.edges:
        before[receiver].append(sender)
    instant = nx.DiGraph()
    instant.add_nodes_from(graph.nodes)
    instant.add_edges_from(e for e in graph.edges if not isinstance(graph.nodes[e[1]], nir.Delay))
    order = list(nx.topological_sort(instant))
    for step in range(steps):
        for name in order:
            node = graph.nodes[name]
            if isinstance(node, nir.Input):
                sent[name].append(inputs[name][step])
            elif isinstance(node, nir.Delay):
                (source,), back = before[name], int(node.delay.flat[0])
                past = sent[source][step - back] if step >= back else np.zeros(node.delay.shape)
                sent[name].append(past)
            else:
                given = sum(sent[sender][step] for sender in before[name])
                sent[name].append(_computed(node, given, states, name))
    return {n: np.stack(s) for n, s in sent.items() if isinstance(graph.nodes[n], nir.IF)}


def _computed(node: Any, given: Any, states: dict[str, Array], name: str) -> Array:
    match node:
        case nir.I():
            states[name] = states.get(name, 0) + node.r * given
            return np.asarray(states[name])
        case nir.IF():
            v = states.get(name, 0) + node.r * given
            spikes = v > node.v_threshold
            states[name] = np.where(spikes, node.v_reset, v)
            return np.asarray(spikes.astype(float))
        case nir.Scale():
            return np.asarray(node.scale * given)
        case nir.Linear():
            return np.asarray(node.weight.astype(float) @ given)
        case nir.Flatten():
            assert node.start_dim == 0
            return np.asarray(given).reshape(-1)
        case nir.Output():
            return np.asarray(given)
        case nir.Conv1d() | nir.Conv2d():
            return _convolved(node, np.asarray(given))
    raise TypeError(type(node))


def _convolved(node: Any, image: Array) -> Array:
    """As PyTorch defines it, tap by tap."""
    assert node.groups == 1
    rank = node.weight.ndim - 2
    axes = [np.broadcast_to(a, (rank,)) for a in (node.stride, node.padding, node.dilation)]
    stride, padding, dilation = axes
    padded = np.pad(image, [(0, 0), *((p, p) for p in padding)])
    shape = [int(n) for n in node.output_type["output"][1:]]
    total = np.zeros((len(node.weight), *shape))
    for tap in np.ndindex(*node.weight.shape[2:]):
        taken = tuple(
            slice(t * d, t * d + (n - 1) * s + 1, s)
            for t, d, n, s in zip(tap, dilation, shape, stride, strict=True)
        )
        of_tap: Any = (slice(None), slice(None), *tap)
        kernel = node.weight[of_tap].astype(float)
        seen: Any = (slice(None), *taken)
        total += np.tensordot(kernel, padded[seen], axes=1)
    ones = (1,) * rank
    return np.asarray(total + node.bias.reshape(-1, *ones))
