"""Levels of calibration images: parallel synapses and wide weights, in few 8-bit kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qcompiler.ir import Spikes
from qcompiler.ir.snn import Connect, Convolve, Relay, Synapse
from qcompiler.passes.calibration import level_sums
from qcompiler.passes.calibration.level_sums import SumLevels, sums_of
from qcompiler.passes.calibration.synapse_sums import SynapseSum
from qcompiler.passes.quantization.integer_layer import BranchSynapses

PLANE = Convolve((1, 1), (1, 1, 1, 1), (1, 1))
GROUPS = Convolve((1, 1), (1, 1, 1, 1), (1, 1), 2)
LAYER = (PLANE, (6, 6, 3, 3))
CASES: list[tuple[tuple[int, ...], list[tuple[Synapse, tuple[int, ...]]]]] = [
    ((6, 5, 7), [LAYER, (Relay(), (6, 1, 1))]),
    ((6, 5, 7), [LAYER, LAYER]),
    ((6, 5, 7), [(GROUPS, (6, 3, 3, 3)), (Relay(), (6, 5, 7))]),
    ((12,), [(Connect(), (8, 12)), (Connect(), (8, 12))]),
]


@pytest.mark.parametrize(("shape", "synapses"), CASES)
@pytest.mark.parametrize(("copies", "top"), [(1, 15), (6, 15), (6, 100)])
@pytest.mark.parametrize("threads", ["1", "3"])
def test_parallel_synapses_give_their_sums(
    shape: tuple[int, ...],
    synapses: Any,
    copies: int,
    top: int,
    threads: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    monkeypatch.setattr(level_sums, "_BATCH", 1 << 14)
    made: list[tuple[Any, Any]] = []

    def spied(some: Any, *given: Any) -> SynapseSum:
        found = SynapseSum(some, *given)
        made.append((some, found))
        return found

    monkeypatch.setattr(level_sums, "SynapseSum", spied)
    rng = np.random.default_rng(copies)
    levels = [rng.integers(0, top + 1, (11, *shape)).astype(np.uint8) for _ in synapses]
    parts = [
        BranchSynapses(branch, op, rng.integers(-127, 128, size))
        for branch, (op, size) in enumerate(synapses)
        for _ in range(copies)
    ]
    found = sums_of(parts, levels)
    ((merged, summed),) = made
    one = [SynapseSum([(p.synapse, p.weight)], [levels[p.branch]]) for p in parts]
    wanted = sum(sums([levels[p.branch]]) for sums, p in zip(one, parts, strict=True))
    np.testing.assert_array_equal(found, wanted)
    grouped = any(op == GROUPS for op, _ in synapses)
    assert (summed.kind is np.uint8) != grouped
    if top == 15:
        wide = sum(op not in (Relay(), GROUPS) for op, _ in synapses) if copies > 1 else 0
        assert len(merged) == len(synapses) + wide

    code = Spikes(found.shape[1:], 16, 0.5, 3)
    become = SumLevels(code, rng.integers(-9, 10, found.shape[1:]), np.full(1, 300))
    np.testing.assert_array_equal(become.of(found), become.behind(parts, levels))
