"""What a manifest remembers of channels.

`equalize` divides channels by factors, `split-ranges` parts them. A compiled program has both in
its weights, where they cannot be recognized; whoever compares its values with those of the real
network needs them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import index
from typing import Any

import numpy as np

from qcompiler.ir import Graph, ProgramError
from qcompiler.ir.ann import MaxPool
from qcompiler.ir.kernels import Array
from qcompiler.ir.memory import give_back
from qcompiler.passes import Pass, Watcher
from qcompiler.passes.calibration.data import run, sample
from qcompiler.passes.calibration.moments import mean_squares
from qcompiler.passes.quantization.levels import spiking_values
from qcompiler.passes.tensor.equalize import Equalize

_FRAMES = 32
_KEY, _PARTS = "channel_scales", "channel_parts"


class ScaleRecorder:
    """Watches a pipeline, and hands on what it sees; ``manifest`` is what there is to remember.

    ``parts`` is where `split-ranges` notes which channels of a value are values of their own.
    """

    def __init__(
        self,
        graph: Graph,
        data: tuple[Array, ...] | None,
        watch: Watcher | None,
        parts: dict[str, list[int]],
    ) -> None:
        self.before = graph
        self.data = data
        self.watch = watch
        self.manifest: dict[str, Any] = {}
        self.parts = parts

    def __call__(self, step: Pass, graph: Graph) -> None:
        """Called behind every pass."""
        if isinstance(step, Equalize) and self.data and graph is not self.before:
            self.manifest[_KEY] = _ratios(self.before, graph, self.data)
        if self.parts:
            self.manifest[_PARTS] = self.parts
        self.before = graph
        if self.watch:
            self.watch(step, graph)


def _ratios(before: Graph, after: Graph, data: tuple[Array, ...]) -> dict[str, list[float]]:
    """The root mean square of every channel before, by that after, where they differ.

    Both graphs compute the same function, so this is exact but for single precision.
    """
    part = sample(data, _FRAMES)
    shapes = {node.result.name: node.result.type.shape for node in before.nodes}
    spiking = {value.name for value in spiking_values(after)}
    spiking |= {node.result.name for node in after.nodes if isinstance(node.op, MaxPool)}
    names = [n.result.name for n in after.nodes if shapes.get(n.result.name) == n.result.type.shape]
    names = [name for name in names if name in spiking]
    one, other = (_channel_energy(graph, part, names) for graph in (before, after))
    found = {}
    for name in names:
        ratio = np.sqrt(one[name] / np.where(other[name] > 0, other[name], 1))
        ratio = np.where((one[name] > 0) & (other[name] > 0), ratio, 1)
        if np.abs(ratio - 1).max() > 1e-4:
            found[name] = [float(f"{value:.6g}") for value in ratio]
    return found


def _channel_energy(graph: Graph, data: tuple[Array, ...], names: list[str]) -> dict[str, Array]:
    """Mean squares of every channel, added up over frames."""
    found: dict[str, Array] = {}
    for values in run(graph, data, names):
        for name, array in values.items():
            found[name] = found.get(name, 0) + mean_squares(array) * len(array)
    give_back()
    return found


def scale_of(manifest: Mapping[str, Any], name: str, shape: tuple[int, ...]) -> Array:
    """The factor of every channel of a value, shaped to spread; ProgramError if it does not fit."""
    try:
        given = manifest.get(_KEY, {}).get(name)
        with np.errstate(over="ignore"):  # what is too large becomes infinite
            found = np.asarray(np.ones(shape[:1]) if given is None else given, np.float32)
    except (AttributeError, TypeError, ValueError) as error:
        raise ProgramError(f"the manifest's {_KEY} are damaged: compile the model again") from error
    if found.shape != shape[:1] or not (np.isfinite(found).all() and (found > 0).all()):
        raise ProgramError(f"the manifest's {_KEY} do not fit %{name}: compile the model again")
    return spread(found, shape)


def channels_of(
    manifest: Mapping[str, Any], name: str, shape: tuple[int, ...], whole: tuple[int, ...]
) -> tuple[int, ...] | None:
    """The channels of a value that one of this name holds; None if that is not one of its parts.

    ``shape`` is that of the part, ``whole`` that of the value. ProgramError if a manifest names
    channels that these cannot be.
    """
    try:
        given = manifest.get(_PARTS, {}).get(name)
        found = None if given is None else tuple(map(index, given))
    except (AttributeError, TypeError) as error:
        raise ProgramError(
            f"the manifest's {_PARTS} are damaged: compile the model again"
        ) from error
    if found is None:
        return None
    if shape != (len(found), *whole[1:]) or list(found) != sorted(set(found)):
        raise does_not_fit(name)
    return found


def check_channels(
    name: str, parts: Sequence[tuple[int, ...] | None], whole: tuple[int, ...]
) -> None:
    """ProgramError unless the parts of a value, of this shape, have each of its channels once."""
    channels = [channel for part in parts for channel in part or ()]
    if parts != [None] and sorted(channels) != list(range(*whole[:1])):
        raise does_not_fit(name)


def does_not_fit(name: str) -> ProgramError:
    """The error for channels that do not fit the manifest."""
    return ProgramError(f"the manifest's {_PARTS} do not fit %{name}: compile the model again")


def spread(array: Array, shape: tuple[int, ...]) -> Array:
    """One number per channel, shaped to broadcast over ``frames x shape``."""
    return array.reshape(-1, *(1,) * (len(shape) - 1))
