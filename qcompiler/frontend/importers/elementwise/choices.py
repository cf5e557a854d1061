"""Importers of logic and `Where`: choices that are functions of one variable."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

import numpy as np
from onnx import TensorProto, helper

from qcompiler.frontend.importers.views.movement import scatter_or_where
from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.frontend.model.sample_constants import per_sample
from qcompiler.frontend.model.scope import AbstractValue, Masked
from qcompiler.ir import Value
from qcompiler.ir.ann import Add, Affine, Function
from qcompiler.ir.ann.formula import COMPARISONS

from .activations import constant_for, spread
from .conditions import boolean, real, sum_of
from .formulas import Term, expansion, formulas, summed
from .guards import chosen_or_zero
from .joined_masks import hides_also, hiding, note_choice
from .masks import chooses_mask, finite, highest, only_hides
from .padding import flag
from .products import mul

_SUMS = {"And": "x 1.5 >", "Or": "x 0.5 >", "Xor": "x 0.5 > 1.5 x > *"}
_LOGIC = {"And": "{} {} *", "Or": "{} {} max", "Xor": "{} {} - abs"}
_HELP = (
    "a choice is supported if the condition and both values depend on one and the same value, "
    "as in Where(h > 0, h, 0.1 * h): cut the model before this node; or use --allow-products"
)


def logic(node: NodeContext) -> Value:
    """And, Or, Xor and Not of conditions on one value, or on several."""
    values = [item for item in node.inputs if isinstance(item, Value)]
    found = [formulas(node, value) for value in values]
    root = found[0][0]
    if any(other != root for other, _ in found):
        return boolean(node, sum_of(node, *values), _SUMS[node.op_type])
    if node.op_type == "Not":
        return boolean(node, root, f"1 {found[0][1]} -")
    sides = [formula for _, formula in found]
    for item in node.inputs:
        if isinstance(item, KnownArray):
            array, shape = constant_for(node, real(item), values[0])
            if array.size != 1:
                return _with_each(node, spread(node, values[0], shape), array)
            root = spread(node, root, shape)
            sides.append(repr(float(array.reshape(-1)[0])))
    return boolean(node, root, _LOGIC[node.op_type].format(*sides))


def _with_each(node: NodeContext, x: Value, chosen: Array) -> Value:
    """And, Or or Xor of a condition and a constant for each element: what it is times, and more."""
    none = np.zeros_like(chosen)
    scale, shift = {
        "And": (chosen, none),
        "Or": (1 - chosen, chosen),
        "Xor": (1 - 2 * chosen, chosen),
    }[node.op_type]
    found = node.add(Affine(), x, node.constant("scale", scale), node.constant("shift", shift))
    node.scope.kinds[found.name] = TensorProto.BOOL
    return found


def where(node: NodeContext) -> Value:
    """Where: by a constant mask, or by a condition on the value that both choices depend on."""
    kinds = [kind for item in node.inputs[1:] if (kind := _kind(node, item)) is not None]
    inputs = [
        finite(real(item)) if isinstance(item, KnownArray) else item for item in node.inputs[1:]
    ]
    found = _chosen(replace(node, inputs=(node.item(0), *inputs)))
    if kinds:
        node.scope.kinds[found.name] = kinds[0]
    return found


def _chosen(node: NodeContext) -> Value:
    condition, a, b = (node.item(index) for index in range(3))
    if isinstance(condition, KnownArray):
        if isinstance(a, Value) and isinstance(b, Value):
            return _masked(node, condition, a, b)
        return hiding(node, condition) if chooses_mask(node) else scatter_or_where(node)
    if not isinstance(condition, Value):
        raise InvalidNode("has no condition")
    root, choice = formulas(node, condition)
    if not COMPARISONS & {*choice.split()}:  # a boolean input
        choice = f"{choice} 0.5 >"
    first, second = _terms(node, a, root), _terms(node, b, root)
    if first is None or second is None:
        return _of_two(node, root, choice, a, b)
    shapes = [constant_for(node, c, root)[1] for c in (a, b) if isinstance(c, KnownArray)]
    shapes += [term.factor.shape for term in first + second if term.factor is not None]
    root = spread(node, root, np.broadcast_shapes(root.type.shape, *shapes))
    if all(len(terms) == 1 and terms[0].factor is None for terms in (first, second)):
        formula = f"{choice} {first[0].formula} {second[0].formula} where"
        return node.add(Function(formula), root)
    chosen = [term._replace(formula=f"{choice} {term.formula} 0 where") for term in first]
    chosen += [term._replace(formula=f"{choice} 0 {term.formula} where") for term in second]
    return summed(node, root, chosen)


def _kind(node: NodeContext, item: AbstractValue) -> int | None:
    """The ONNX type of integers and booleans."""
    if isinstance(item, Value):
        return node.scope.kinds.get(item.name)
    if isinstance(item, KnownArray) and item.arrays[0].dtype.kind in "iub":
        return int(helper.np_dtype_to_tensor_dtype(item.arrays[0].dtype))
    return None


def _terms(node: NodeContext, item: AbstractValue, root: Value) -> list[Term] | None:
    """A choice as functions of a value, each times a constant; None if it is none of that."""
    if isinstance(item, KnownArray):
        array, _ = constant_for(node, item, root)
        if array.size == 1:
            return [Term(repr(float(array.reshape(-1)[0])), None)]
        return [Term("1", array.reshape(array.shape or (1,) * len(root.type.shape)))]
    if not isinstance(item, Value):
        raise InvalidNode("has two inputs only")
    return expansion(node, item, root)


def _of_two(
    node: NodeContext, root: Value, choice: str, a: AbstractValue, b: AbstractValue
) -> Value:
    """The larger or smaller one of two values that are compared; else a product, if allowed."""
    if (guarded := _guarded(node, root, choice, a, b)) is not None:
        return guarded
    pair = node.scope.differences.get(root.name)
    if isinstance(b, Value) and pair in ((a, b), (b, a)):
        change = "x" if pair == (a, b) else "0 x -"
        beyond = node.part("beyond", Function(f"{choice} {change} 0 where"), root)
        return node.add(Add(), spread(node, b, root.type.shape), beyond)
    if not node.scope.allow_products:
        raise Refused("Where between values that depend on the data is not supported", _HELP)
    choices = ((a, b, choice), (b, a, f"1 {choice} -"))
    masks = [
        (x, flag(node, root, formula), highest(other))
        for x, other, formula in choices
        if isinstance(x, Value) and only_hides(other)
    ]
    for mask in masks:
        if (found := hides_also(node, *mask)) is not None:
            return found
    shares = [(item, node.part("share", Function(formula), root)) for item, _, formula in choices]
    parts = [mul(replace(node.within("chosen"), inputs=share)) for share in shares]
    shape = np.broadcast_shapes(*(part.type.shape for part in parts))
    found = node.add(Add(), *(spread(node, part, shape) for part in parts))
    for x, present, number in masks:
        nothing = Masked(spread(node, x, shape), np.zeros(shape, np.bool_))
        note_choice(node, found, nothing.of_data(present, number))
    return found


def _guarded(
    node: NodeContext, root: Value, choice: str, a: AbstractValue, b: AbstractValue
) -> Value | None:
    """What is chosen and need not be finite elsewhere, without a product by the condition."""
    zero = node.scope.known(np.zeros((), np.float32), "zero")
    for x, other, formula, rest in (
        (a, b, choice, (zero, b)),
        (b, a, f"1 {choice} -", (a, zero)),
    ):
        if not isinstance(x, Value):
            continue
        beside = other.type.shape if isinstance(other, Value) else ()
        if isinstance(other, KnownArray):
            beside = constant_for(node, other, x)[1]
        shape = np.broadcast_shapes(root.type.shape, x.type.shape, beside)
        if (kept := chosen_or_zero(node, root, formula, x, shape)) is None:
            continue
        if isinstance(other, KnownArray) and not any(array.any() for array in other.arrays):
            return kept
        chosen = _chosen(replace(node.within("rest"), inputs=(node.item(0), *rest)))
        return node.add(Add(), kept, spread(node, chosen, shape))
    return None


def _masked(node: NodeContext, mask: KnownArray, a: Value, b: Value) -> Value:
    """One value where a constant mask is true, the other one elsewhere."""
    shapes = a.type.shape, b.type.shape
    if len(shapes[0]) != len(shapes[1]):
        raise Refused("Where between values of different rank is not supported")
    chosen = per_sample(node, mask, len(shapes[0])).astype(np.float32)
    shape = np.broadcast_shapes(*shapes, chosen.shape)
    if len(shape) != len(shapes[0]):
        raise Refused("Where with a constant that adds axes to the value is not supported")
    zero = node.constant("shift", np.zeros((1,) * len(shape), np.float32))
    parts = []
    for x, share in ((a, chosen), (b, 1 - chosen)):
        factor = node.constant("mask", share.reshape(share.shape or (1,) * len(shape)))
        if share.any():
            parts.append(node.part("chosen", Affine(), spread(node, x, shape), factor, zero))
    return reduce(lambda one, other: node.add(Add(), one, other), parts)
