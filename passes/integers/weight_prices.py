"""What a weight may cost in noise: the part of the outputs' noise that its events are worth.

Noise of one level in the sums of a layer becomes noise at the outputs, which is measured on a few
calibration images. A layer deep in the network, whose noise the next ones average out, can lose
far more weights than one in front of a bottleneck.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from qcompiler.ir import Graph, Tensor, Value, drop_dead, substitute
from qcompiler.ir.ann import Clip
from qcompiler.ir.kernels import Array
from qcompiler.ir.types import size
from qcompiler.ir.view import Reshape
from qcompiler.passes.calibration.data import Images, RealNetwork, run, sample
from qcompiler.passes.calibration.snap import snapped
from qcompiler.passes.calibration.trace import size_of
from qcompiler.passes.fitting.pruning import Pruning
from qcompiler.passes.folding.linear import elements_summed
from qcompiler.passes.quantization.fusion_groups import FusionGroup, fusion_groups
from qcompiler.passes.quantization.levels import levels_of
from qcompiler.passes.quantization.logits import logits

_UNMEASURED = 0.001  # of the variance of sums: hardly any noise
_WORK, _FEWEST, _MOST = 4e10, 4, 64  # products of all runs, and images of each
_MOST_VALUES = 64  # above it nothing is measured: each value takes a run
_LEAST = 1e-9  # noise at the outputs that is none
_NEARLY = 1e-6  # relative difference of spans that are equal up to rounding
_LEFT = 0.1  # of the noise of a coarse digit's sums: the other digit makes up for the rest


def pruning_at(price: float | None, share: float, spare: float) -> Pruning:
    """How many weights a layer may lose, at a price; few if what they are worth is not known.

    ``share`` and ``spare`` are the options of `quantize`.
    """
    if price is not None:
        return Pruning(share, price * spare)
    return Pruning(min(share, _UNMEASURED) if spare else share)


def weight_prices(
    graph: Graph, data: Images, t_max: int, families: Mapping[str, str]
) -> dict[str, float]:
    """The error of a layer's sums, squared, that a synapse of each position is worth.

    All events of a frame are worth the noise that rounding to levels causes at the outputs.
    ``families`` maps the results of slices to that of the lowest, whose weights they have. Empty if
    it is not measured.
    """
    groups = [group for group in fusion_groups(graph) if _ranged(group.result)]
    if not 0 < len(groups) <= _MOST_VALUES:
        return {}
    gains, neurons = defaultdict[str, float](float), Counter[str]()
    rounding, finer = 0.0, _finer_digits(graph, groups, t_max)
    alone = [group for group in groups if group.result.name not in finer]
    of = dict(zip((g.result.name for g in alone), _gains(graph, data, alone, t_max), strict=True))
    for group in groups:
        name = families.get(group.result.name, group.result.name)
        gain = of.get(group.result.name, 0.0)
        rounding += gain * _level(graph, group.result, t_max) ** 2 / 12
        gains[name] += gain or _LEFT * of.get(_finest(finer, group.result.name), 0.0)
        neurons[name] += size(group.result.type)
    each = rounding / sum(_events(group) for group in fusion_groups(graph))
    told = (name for name, gain in gains.items() if gain)  # none reaches an output: not measured
    prices = {name: each * neurons[name] / max(gains[name], _LEAST) for name in told}
    return {name: float(snapped(np.array(price))) for name, price in prices.items()}


def _gains(
    graph: Graph, data: Images, groups: Sequence[FusionGroup], t_max: int
) -> Iterator[float]:
    """The noise at all outputs for noise of variance 1 in the sums of each group."""
    ends = list(dict.fromkeys(e for v in graph.outputs for e in logits(graph, v, Reshape)))
    cut = drop_dead(replace(graph, outputs=tuple(ends), output_names=()))
    images = int(np.clip(_WORK / size_of(graph)[0] / len(groups), _FEWEST, _MOST))
    few = sample(data, images)
    names, real = [end.name for end in ends], dict[str, list[Array]]()
    for part in run(cut, few, list(dict.fromkeys([*names, *(g.result.name for g in groups)]))):
        for name, array in part.items():
            real.setdefault(name, []).append(array)
    known = {name: np.concatenate(arrays) for name, arrays in real.items()}
    for group in groups:
        width = _level(graph, group.result, t_max)
        noisy = _noisy(group, known[group.result.name], width)
        found = _behind(cut, group.result, few, noisy, names)
        shares = (
            np.mean(np.square(found[n] - known[n], dtype=np.float64)) / _variance(known[n])
            for n in names
        )
        yield float(sum(shares)) / width**2


def _finer_digits(graph: Graph, groups: Sequence[FusionGroup], t_max: int) -> dict[str, str]:
    """The finer digit of each value that is a coarse one: it reads that, and spans its level."""
    levels = {group.result.name: _level(graph, group.result, t_max) for group in groups}
    found = {}
    for group in groups:
        span = levels[group.result.name] * (levels_of(graph, group.result, t_max) - 1)
        for name in (branch.source.name for branch in group.branches):
            if name in levels and abs(span / levels[name] - 1) < _NEARLY:
                found[name] = group.result.name
    return found


def _finest(finer: Mapping[str, str], name: str) -> str:
    """The last digit of a value: each but that reads the next coarser one."""
    while name in finer:
        name = finer[name]
    return name


def _behind(
    graph: Graph, value: Value, data: Images, noisy: Array, names: Sequence[str]
) -> dict[str, Array]:
    """The outputs with this value given, which may be an output itself."""
    given = {value.name: noisy} if value.name in names else {}
    behind = [name for name in names if name not in given]
    if not behind:
        return given
    inner = Value(f"{value.name}:noisy", value.type)
    rest = substitute(graph, {value.name: inner})
    ends = tuple(end for end in rest.outputs if end.name in behind)
    rest = drop_dead(replace(rest, inputs=(*graph.inputs, inner), outputs=ends))
    parts = list(RealNetwork(rest, behind, len(noisy))((*data, noisy)))
    return given | {name: np.concatenate([part[name] for part in parts]) for name in behind}


def _noisy(group: FusionGroup, real: Array, width: float) -> Array:
    """A result with noise of one level where no clip hides it."""
    clip = group.clip.op if group.clip else Clip()
    assert isinstance(clip, Clip)
    apart = group.clip.arrays[0] if group.clip and group.clip.arrays else np.ones(())
    low = -np.inf if clip.low is None else clip.low * apart
    high = np.inf if clip.high is None else clip.high * apart
    noise = np.random.default_rng(7).normal(0, width, real.shape).astype(np.float32)
    found: Array = np.where((real > low) & (real < high), real + noise, real)
    return found


def _level(graph: Graph, value: Value, t_max: int) -> float:
    """The distance of two levels."""
    assert isinstance(value.type, Tensor) and value.type.range is not None
    low, high = value.type.range
    return (high - low) / (levels_of(graph, value, t_max) - 1)


def _ranged(value: Value) -> bool:
    bounds = value.type.range if isinstance(value.type, Tensor) else None
    return bounds is not None and bounds[1] > bounds[0]


def _events(group: FusionGroup) -> int:
    """Synaptic events of a frame into a layer, borders aside."""
    summed = 0
    for branch in group.branches:
        digits = branch.source.type.digits if isinstance(branch.source.type, Tensor) else 1
        summed += digits * (elements_summed(branch.linear) if branch.linear else 1)
    return size(group.result.type) * summed


def _variance(array: Array) -> float:
    return float(np.var(array, axis=0, dtype=np.float64).mean()) or 1.0
