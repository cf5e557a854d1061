"""Operators that treat the parts of a concatenation alike: applied to each part."""

from __future__ import annotations

from itertools import groupby
from math import prod

import numpy as np

from qcompiler.ir import Constant, Node
from qcompiler.ir.ann import Affine, Clip, Concat, Function, MaxPool, Pad, SumPool
from qcompiler.ir.kernels import expand_to_rank
from qcompiler.ir.view import Reshape, Take, Transpose

from .concat_parts import ConcatRewriter

_MOST_RUNS = 4  # parts of a concatenation of takes, for each part that is taken from


def parts_alike(new: ConcatRewriter) -> tuple[Node, ...] | None:
    """The concatenation of what the node makes of each part, if it treats them alike."""
    node, axis = new.node, new.axis
    match node.op:
        case Clip() | Function() if not node.arrays:
            return new.done(Concat(axis), *(new.add(node.op, part) for part in new.parts))
        case MaxPool() | SumPool() if axis == 0:
            return new.done(Concat(0), *(new.add(node.op, part) for part in new.parts))
        case Pad() as op if not (op.pads[axis] or op.pads[len(new.shape) + axis]):
            return new.done(Concat(axis), *(new.add(op, part) for part in new.parts))
        case Affine():
            return _affine(new)
        case Transpose(perm):
            parts = [new.add(node.op, part) for part in new.parts]
            return new.done(Concat(perm.index(axis)), *parts)
        case Take(at) if at != axis:
            return new.done(Concat(axis), *(new.add(node.op, part) for part in new.parts))
        case Take() as op:
            return _taken(new, op)
        case Reshape(shape):
            return _reshaped(new, shape)
    return None


def _affine(new: ConcatRewriter) -> tuple[Node, ...]:
    layers = []
    for index, part in enumerate(new.parts):
        constants = []
        for role, operand in zip(("scale", "shift"), new.node.operands[1:], strict=True):
            assert isinstance(operand, Constant)
            array = expand_to_rank(operand.data, len(new.shape))
            if array.shape[new.axis] > 1:
                at = (slice(None),) * new.axis + (slice(new.begins[index], new.ends[index]),)
                constants.append(Constant(f"{operand.name}:{role}{index}", array[at]))
            else:
                constants.append(operand)
        layers.append(new.add(new.node.op, part, *constants))
    return new.done(Concat(new.axis), *layers)


def _taken(new: ConcatRewriter, op: Take) -> tuple[Node, ...] | None:
    """Runs of indices that lie in one part are taken from it."""
    places = [int(np.searchsorted(new.ends, index, side="right")) for index in op.indices]
    runs = [
        (part, [index - new.begins[part] for _, index in run])
        for part, run in groupby(zip(places, op.indices, strict=True), key=lambda pair: pair[0])
    ]
    if len(runs) > _MOST_RUNS * len(new.parts):
        return None
    found = [new.add(Take(op.axis, tuple(run)), new.parts[part]) for part, run in runs]
    return new.done(Concat(op.axis), *found)


def _reshaped(new: ConcatRewriter, shape: tuple[int, ...]) -> tuple[Node, ...] | None:
    """A reshape that keeps the parts apart along an axis of its result."""
    before = prod(new.shape[: new.axis])
    sizes = [prod(part.type.shape[new.axis :]) for part in new.parts]
    for axis in range(len(shape)):
        step = prod(shape[axis + 1 :])
        if prod(shape[:axis]) == before and all(size % step == 0 for size in sizes):
            found = [
                new.add(Reshape((*shape[:axis], size // step, *shape[axis + 1 :])), part)
                for part, size in zip(new.parts, sizes, strict=True)
            ]
            return new.done(Concat(axis), *found)
    return None
