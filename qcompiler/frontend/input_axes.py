"""The axes of a model's inputs: their lengths, and which of them is the batch's.

A model says neither. If an axis is open, it takes any number of samples along it. If all are fixed,
the inputs hold a batch of some size, or they are one sample, with an axis of length 1 or without
any axis of the batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import index
from typing import TypeAlias

from qcompiler.frontend.model.node_errors import Refused
from qcompiler.frontend.model.placement import FIRST, WHOLE, Placement
from qcompiler.frontend.model.scope import Shape
from qcompiler.ir import InvalidModel

Axes: TypeAlias = "tuple[int | str, ...]"  # lengths, and names of those that are open
_UNKNOWN = "?"


@dataclass(frozen=True)
class Reading:
    """A size of the batch, None if it is open, and where each input has its axis."""

    batch: int | None
    places: dict[str, Placement]


def stated_axes(given: Mapping[str, Sequence[int | str | None]]) -> dict[str, Axes]:
    """Axes that the user states; None leaves one open. InvalidModel for what is no length."""
    return {name: tuple(_stated(name, axis) for axis in axes) for name, axes in given.items()}


def _stated(name: str, axis: int | str | None) -> int | str:
    if axis is None or isinstance(axis, str):
        return axis or "N"
    try:
        length = index(axis)
    except TypeError:
        length = 0
    if length < 1:
        raise InvalidModel(f'input "{name}": {axis!r} is no length of an axis')
    return length


def with_shapes(found: dict[str, Axes], given: Mapping[str, Axes]) -> dict[str, Axes]:
    """The axes of inputs, some of them stated by the user; InvalidModel if that does not fit."""
    for name, axes in given.items():
        old = found[name] or (_UNKNOWN,) * len(axes)
        if len(axes) != len(old) or any(
            isinstance(n, int) and n != new for n, new in zip(old, axes, strict=True)
        ):
            raise InvalidModel(
                f'input "{name}" has the shape {written(old)}: {written(axes)} does not fit'
            )
    return {**found, **given}


def written(axes: Axes) -> str:
    """As in ``[N, 3, 8, 8]``."""
    return f"[{', '.join(map(str, axes))}]"


def fixing(name: str, axes: Axes, batch: int | None) -> str:
    """How to fix the open axes of an input; that of the batch may stay open."""
    if len(axes) == 1:
        return (
            f"fix it if it is the size of a sample, --input-shape {name}=.., or export the model "
            "with a batch axis: [N, 1]"
        )
    kept = [str(n) if at == batch or isinstance(n, int) else ".." for at, n in enumerate(axes)]
    shape = f"--input-shape {name}={','.join(kept)}"
    return f"state their lengths in place of the dots, or N for the batch axis: {shape}"


def sample_shape(name: str, axes: Axes, place: Placement) -> Shape:
    """The shape of one sample of an input; Refused if it is not fixed."""
    at = place.at
    sample = axes if at is None else axes[:at] + axes[at + 1 :]
    shape = tuple(n for n in sample if isinstance(n, int))
    if len(shape) < len(sample):
        raise Refused(
            f'input "{name}" has the shape {written(axes)}, which has variable dimensions',
            fixing(name, axes, at),
        )
    return shape


def readings(
    inputs: Mapping[str, Axes], stated: Sequence[str], sequences: Sequence[str]
) -> list[Reading]:
    """The ways to read the inputs of a model, the likeliest first.

    ``stated`` names inputs whose axes the user states: what is open there is the batch's.
    ``sequences`` names those that a recurrent cell reads with the batch axis second.
    """
    fixed = {n: axes for n, axes in inputs.items() if all(isinstance(i, int) for i in axes)}
    open_ = {name: axes for name, axes in inputs.items() if name not in fixed}
    places = _open_places(open_, stated, sequences)
    if not fixed:
        return [Reading(None, places)]
    found: list[Reading] = []
    firsts = {name: int(name in sequences and len(axes) > 1) for name, axes in fixed.items()}
    for size in dict.fromkeys(axes[firsts[name]] for name, axes in fixed.items()):
        if not found and all(len(axes) > 1 and size in axes[:2] for axes in fixed.values()):
            assert isinstance(size, int)
            known = {
                name: Placement(at if axes[at := firsts[name]] == size else axes.index(size))
                for name, axes in fixed.items()
            }
            found.append(Reading(size, places | known))
    if not found or found[0].batch != 1:
        alone = {n: FIRST if axes[0] == 1 < len(axes) else WHOLE for n, axes in fixed.items()}
        found.append(Reading(1, places | alone))
    return found


def _open_places(
    inputs: Mapping[str, Axes], stated: Sequence[str], sequences: Sequence[str]
) -> dict[str, Placement]:
    """Which open axis is that of the batch: one that all inputs have, or the first."""
    if not inputs:
        return {}
    names = [[n for n in axes if isinstance(n, str) and n != _UNKNOWN] for axes in inputs.values()]
    shared = [n for n in names[0] if all(n in others for others in names[1:])] if names[1:] else []
    firsts = [axes[0] for axes in inputs.values()]
    shared.sort(key=lambda n: n not in firsts)
    found = {}
    for name, axes in inputs.items():
        opened = [at for at, length in enumerate(axes) if isinstance(length, str)]
        if len(inputs) == len(axes) == 1:  # an open vector, which is no batch of numbers
            found[name] = WHOLE
            continue
        if shared:
            at = axes.index(shared[0])
        elif name in sequences and 1 in opened:
            at = 1
        else:
            at = 0 if axes[0] == 1 and name not in stated else opened[0]
        found[name] = Placement(at)
    return found
