"""Bounds are the same observed by rows of levels, and for changed channels alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Connect, Convolve, Relay, Synapse
from qcompiler.ir.spiking.input_bounds import Bounds, Incoming
from qcompiler.passes.calibration import observed_membranes, spike_columns
from qcompiler.passes.calibration.observed_membranes import observed_bounds
from qcompiler.passes.calibration.spike_columns import are_columns
from qcompiler.passes.integers import observed_channels
from qcompiler.passes.integers.observed_channels import ObservedChannels

PLANE = Convolve((1, 1), (1, 1, 1, 1), (1, 1))
STRIDED = Convolve((2, 1), (0, 1, 2, 1), (1, 2))
LINE = Convolve((1,), (2, 0), (1,))
GROUPS = Convolve((1, 1), (1, 1, 1, 1), (1, 1), 2)
LAYER = (PLANE, (6, 6, 3, 3))
CASES: list[tuple[tuple[int, ...], list[tuple[Synapse, tuple[int, ...]]]]] = [
    ((6, 5, 7), [LAYER]),
    ((6, 5, 7), [LAYER, (Relay(), (6, 1, 1)), LAYER]),
    ((3, 9, 9), [(STRIDED, (4, 3, 3, 2))]),
    ((5, 11), [(LINE, (2, 5, 3))]),
]
OTHERS: list[tuple[tuple[int, ...], list[tuple[Synapse, tuple[int, ...]]]]] = [
    ((6, 5, 7), [(GROUPS, (6, 3, 3, 3))]),
    ((6, 5, 7), [LAYER, (Relay(), (6, 5, 7))]),
    ((12,), [(Connect(), (8, 12)), (Connect(), (8, 12))]),
]


def population(
    shape: tuple[int, ...], synapses: Sequence[tuple[Synapse, tuple[int, ...]]], largest: int
) -> tuple[list[Incoming], list[Array]]:
    """Weights, and levels of 9 images; the first source sends a second slice."""
    rng = np.random.default_rng(largest)
    made = [(op, rng.integers(-largest, largest + 1, size)) for op, size in synapses]
    made.append(made[0])
    tops = [*(5, 3, 6)[: len(made) - 1], 5]
    levels = [rng.integers(0, top + 1, (9, *shape)).astype(np.uint8) for top in tops]
    incoming = [Incoming(op, w, shape, top) for (op, w), top in zip(made, tops, strict=True)]
    return incoming, levels


def equal(one: Bounds, other: Bounds) -> None:
    for name, first, second in zip(Bounds._fields, one, other, strict=True):
        np.testing.assert_array_equal(first, second, err_msg=name)


@pytest.mark.parametrize(("shape", "synapses"), CASES)
@pytest.mark.parametrize("many", [1, 99])  # neurons that are looked at together
def test_batches_and_threads_give_the_bounds_of_all(
    shape: Any, synapses: Any, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    incoming, levels = population(shape, synapses, 1016)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    whole = observed_bounds(incoming, levels)[0]
    monkeypatch.setattr(spike_columns, "_SUMS", many * len(incoming[0].weight))
    for threads in "14":
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        equal(observed_bounds(incoming, levels)[0], whole)


@pytest.mark.parametrize(("shape", "synapses"), CASES)
@pytest.mark.parametrize("largest", [127, 1016])
def test_rows_of_levels_give_the_bounds_of_sums(
    shape: Any, synapses: Any, largest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    incoming, levels = population(shape, synapses, largest)
    assert are_columns(incoming)
    found = observed_bounds(incoming, levels)
    monkeypatch.setattr(observed_membranes, "are_columns", lambda _: False)
    bounds, images = observed_bounds(incoming, levels)
    assert found[1] == images == 9
    equal(found[0], bounds)


@pytest.mark.parametrize(("shape", "synapses"), CASES + OTHERS)
def test_channels_whose_weights_stay_keep_their_bounds(
    shape: Any, synapses: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    incoming, levels = population(shape, synapses, 99)
    observed: list[int] = []

    def spied(some: Sequence[Incoming], read: Sequence[Array], images: int = 0) -> Any:
        observed.append(len(some[0].weight))
        return observed_bounds(some, read, images)

    monkeypatch.setattr(observed_channels, "observed_bounds", spied)
    channels = ObservedChannels(lambda: levels)
    first, _ = channels(incoming)
    weight = incoming[0].weight.copy()
    weight[1] += 1
    changed = [
        one._replace(weight=weight) if one.weight is incoming[0].weight else one for one in incoming
    ]
    alone = all(op.groups == 1 for op, _ in synapses if isinstance(op, Convolve))
    for given in (changed, changed, incoming):
        bounds, images = channels(given)
        assert (bounds, images) == channels.bounds and images == 9
        equal(bounds, observed_bounds(given, levels)[0])
    assert observed[1:] == ([1, 1] if alone else [len(weight)] * 3)
    equal(first, observed_bounds(incoming, levels)[0])
