"""Arrays by name: which is that of an input, which holds labels, and parts such as x_test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qcompiler.backends.program.given_arrays import LABELS
from qcompiler.data.frames.held import Inputs
from qcompiler.ir import DataError

_IMAGES = ("images", "x", "inputs")


def ungrouped(named: Mapping[str, Any], inputs: Sequence[str]) -> dict[str, Any]:
    """Arrays by names without their groups: ``data/x`` is ``x``.

    Where several groups have a name, that of the group stands before it: ``train/x`` is
    ``train_x``. An array that is named as an input, groups included, keeps its name.
    """
    parts = {name: name.split("/") for name in named if name not in inputs}
    while len(parts) > 1 and len({way[0] for way in parts.values()}) == 1:
        if any(len(way) == 1 for way in parts.values()):
            break
        parts = {name: way[1:] for name, way in parts.items()}
    last = [*(way[-1] for way in parts.values()), *({*named} - {*parts})]
    unique = len({*last}) == len(last)
    short = {name: way[-1] if unique else "_".join(way) for name, way in parts.items()}
    return {short.get(name, name): array for name, array in named.items()}


def of_split(named: Mapping[str, Any], split: str | None, where: str) -> dict[str, Any]:
    """The arrays of a part, by their names without it: ``x_test`` is ``x`` of the part test.

    A part may also be a group, as in ``test/x`` or ``x/test``.
    """
    if split is None:
        return dict(named)
    found = {}
    for name, array in named.items():
        groups = "/".join(part for part in name.split("/") if part != split)
        for plain in (groups, name.removesuffix(f"_{split}"), name.removeprefix(f"{split}_")):
            if plain != name:
                found[plain] = array
    if not found:
        raise DataError(f"{where} holds no arrays of the split {split}; it holds {shown(named)}")
    return found


def choose(named: Mapping[str, Any], inputs: Inputs, where: str) -> tuple[Any, ...]:
    """The array of each input: by its name, or the usual one, or the only one besides labels.

    DataError if there is none, and if none of several has such a name.
    """
    if all(name in named for name, _ in inputs):
        return tuple(named[name] for name, _ in inputs)
    if len(inputs) > 1:
        names = ", ".join(name for name, _ in inputs)
        raise DataError(f"{where} needs one array per input: {names}")
    ends = {name.rpartition("_")[2] for name in named} | {name.partition("_")[0] for name in named}
    if len(parts := sorted(ends & {"train", "test", "val", "valid"})) > 1:
        raise DataError(f"{where} holds {' and '.join(parts)}: choose with --split {parts[0]}")
    others = [key for key in named if key not in LABELS]
    usual = [key for key in _IMAGES if key in named] or others
    if not usual:
        raise DataError(f"{where} holds no images: name an array images, x or inputs")
    if usual is others and len(others) > 1:
        text = f"{where} holds several arrays, {shown(others)}, none of which is named as the input"
        raise DataError(f"{text}: name it {inputs[0][0]}, images, x or inputs, and labels labels")
    return (named[usual[0]],)


def shown(names: Sequence[str] | Mapping[str, Any]) -> str:
    """Some names, as one would say them."""
    some = [f"{name:.40}" for name in list(names)[:8]]
    return ", ".join(some) + (", .." if len(names) > len(some) else "") if some else "nothing"
