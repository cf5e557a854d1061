"""What a manifest remembers of channels.

`equalize` divides channels by factors and takes offsets off them, `split-ranges` parts them. A
compiled program has all that in its weights, where it cannot be recognized; whoever compares its
values with those of the real network needs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import index
from typing import Any, TypeAlias

import numpy as np

from qcompiler.ir import Graph, ProgramError
from qcompiler.ir.ann import MaxPool
from qcompiler.ir.kernels import Array
from qcompiler.ir.memory import give_back
from qcompiler.passes import Pass, Watcher
from qcompiler.passes.calibration.data import run, sample
from qcompiler.passes.calibration.moments import mean_squares
from qcompiler.passes.quantization.levels import spiking_values
from qcompiler.passes.tensor.centre_layers import CENTRED
from qcompiler.passes.tensor.equalize import Equalize

_FRAMES = 32
_KEY, _OFFSETS, _PARTS = "channel_scales", "channel_offsets", "channel_parts"
Offsets: TypeAlias = "dict[str, Array]"


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
            self.manifest |= _remembered(self.before, graph, self.data)
        if self.parts:
            self.manifest[_PARTS] = self.parts
        self.before = graph
        if self.watch:
            self.watch(step, graph)


def _remembered(before: Graph, after: Graph, data: tuple[Array, ...]) -> dict[str, Any]:
    """The scale of every channel before, in that after, and the offsets, where they differ.

    Both graphs compute the same function, so this is exact but for single precision.
    """
    part = sample(data, _FRAMES)
    shapes = {node.result.name: node.result.type.shape for node in before.nodes}
    spiking = {value.name for value in spiking_values(after)}
    spiking |= {node.result.name for node in after.nodes if isinstance(node.op, MaxPool)}
    names = {
        n.result.name: uncentred_name(n.result.name)
        for n in after.nodes
        if n.result.name in spiking
        and shapes.get(uncentred_name(n.result.name)) == n.result.type.shape
    }
    one, other = _moments(before, part, names.values()), _moments(after, part, names)
    scales: dict[str, list[float]] = {}
    offsets: dict[str, list[float]] = {}
    for name, old in names.items():
        (mean, square), (mean_now, square_now) = one[old], other[name]
        if name != old:
            square, square_now = square - mean**2, square_now - mean_now**2
        seen = (square > 0) & (square_now > 0)
        scale = np.where(seen, np.sqrt(square / np.where(seen, square_now, 1)), 1)
        if np.abs(scale - 1).max() > 1e-4:
            scales[name] = _few_digits(scale)
        if name != old:
            offsets[name] = _few_digits(mean - scale * mean_now)
    return {_KEY: scales} | ({_OFFSETS: offsets} if offsets else {})


def _few_digits(array: Array) -> list[float]:
    return [float(f"{number:.6g}") for number in array.tolist()]


def uncentred_name(name: str) -> str:
    """The name of a value whose channels have offsets, without its suffix."""
    return name.removesuffix(CENTRED)


def _moments(
    graph: Graph, data: tuple[Array, ...], names: Iterable[str]
) -> dict[str, tuple[Array, Array]]:
    """The mean and the mean square of every channel."""
    found: dict[str, tuple[Array, Array]] = {}
    for values in run(graph, data, [*dict.fromkeys(names)]):
        for name, array in values.items():
            share = len(array) / len(data[0])
            axes = (0, *range(2, array.ndim))
            mean, square = found.get(name, (np.zeros(()), np.zeros(())))
            found[name] = (
                mean + share * array.mean(axis=axes, dtype=np.float64),
                square + share * mean_squares(array),
            )
    give_back()
    return found


def offsets_of(manifest: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> Offsets:
    """The offsets of the channels of values, by name, shaped to spread.

    ``shapes`` are those of the real network's values. ProgramError if offsets do not fit them.
    """
    found: Offsets = {}
    try:
        for name, given in manifest.get(_OFFSETS, {}).items():
            found[name] = np.asarray(given, np.float32)
    except (AttributeError, TypeError, ValueError) as error:
        raise ProgramError(f"the manifest's {_OFFSETS} are damaged: compile again") from error
    for name, array in found.items():
        shape = shapes.get(uncentred_name(name), ())
        if array.shape != shape[:1] or not shape or not np.isfinite(array).all():
            raise ProgramError(
                f"the manifest's {_OFFSETS} do not fit %{name}: compile the model again"
            )
    return {name: spread(array, shapes[uncentred_name(name)]) for name, array in found.items()}


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
