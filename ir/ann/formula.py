"""Functions of one variable, written in postfix: ``"x x sigmoid *"`` is ``x * sigmoid(x)``.

A comparison gives 1 or 0, and words such as ``floor`` whole numbers: there a function may jump.
``"x 0 > x 0.1 where"`` is x above zero and else 0.1: the choice comes first, and what is not
chosen need not be finite.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from qcompiler.ir.kernels import Array

_MOST_TOKENS = 256
_erf = np.vectorize(math.erf, otypes=[np.float64])

# Name of a function: its ONNX operator, and what it does to arrays.
UNARY: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "abs": ("Abs", np.abs),
    "asin": ("Asin", np.arcsin),
    "asinh": ("Asinh", np.arcsinh),
    "atan": ("Atan", np.arctan),
    "ceil": ("Ceil", np.ceil),
    "cos": ("Cos", np.cos),
    "erf": ("Erf", _erf),
    "exp": ("Exp", np.exp),
    "floor": ("Floor", np.floor),
    "log": ("Log", np.log),
    "round": ("Round", np.round),
    "sigmoid": ("Sigmoid", lambda x: 0.5 + 0.5 * np.tanh(0.5 * x)),
    "sin": ("Sin", np.sin),
    "softplus": ("Softplus", lambda x: np.logaddexp(0, x)),
    "sqrt": ("Sqrt", np.sqrt),
    "tanh": ("Tanh", np.tanh),
}
BINARY: Mapping[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "+": ("Add", np.add),
    "-": ("Sub", np.subtract),
    "*": ("Mul", np.multiply),
    "/": ("Div", np.divide),
    "^": ("Pow", np.power),
    "max": ("Max", np.maximum),
    "min": ("Min", np.minimum),
    ">": ("Greater", lambda a, b: np.greater(a, b).astype(np.float64)),
    ">=": ("GreaterOrEqual", lambda a, b: np.greater_equal(a, b).astype(np.float64)),
}
TERNARY: Mapping[str, tuple[str, Callable[[Any, Any, Any], Any]]] = {
    "where": ("Where", lambda choice, a, b: np.where(choice != 0, a, b)),
}
COMPARISONS = frozenset({">", ">="})
JUMPS = COMPARISONS | {"ceil", "floor", "round"}  # what may jump
_BENDS: Mapping[str, Callable[..., Any]] = {  # what may bend, and the side that it takes
    "abs": lambda x: x >= 0,
    "max": np.greater_equal,
    "min": np.greater_equal,
}
CHOICES = JUMPS | {*_BENDS}
WORDS: Mapping[str, tuple[int, str, Callable[..., Any]]] = {
    word: (count, *meaning)
    for count, table in ((1, UNARY), (2, BINARY), (3, TERNARY))
    for word, meaning in table.items()
}


def run(
    formula: str,
    variable: Any,
    number: Callable[[float], Any],
    apply: Callable[..., Any],
) -> Any:
    """Evaluate a formula over any kind of value.

    ``number`` makes a value of a constant, ``apply`` takes the name of a function and its
    arguments. Raises ValueError if the formula is malformed.
    """
    if not isinstance(formula, str):
        raise ValueError(f"takes a postfix formula as text, not {formula!r:.60}")
    stack: list[Any] = []
    tokens = formula.split()
    if len(tokens) > _MOST_TOKENS:
        raise ValueError(
            f"a formula of {len(tokens)} tokens is too long: the limit is {_MOST_TOKENS}"
        )
    for token in tokens:
        count = WORDS[token][0] if token in WORDS else 0
        if len(stack) < count:
            raise ValueError(f"{formula!r} is not a valid postfix formula")
        if count:
            arguments = stack[-count:]
            del stack[-count:]
            stack.append(apply(token, *arguments))
        else:
            stack.append(variable if token == "x" else number(float(token)))
    if len(stack) != 1:
        raise ValueError(f"{formula!r} is not a valid postfix formula")
    return stack[0]


def values(formula: str, x: Array, precision: Any = np.float64) -> Array:
    """What a formula gives for every element, in double precision; may not be finite.

    In single ``precision`` products and sums round as those of a model do.
    """
    return _evaluated(formula, x, precision)[0]


def choices(formula: str, x: Array, words: frozenset[str] = CHOICES) -> Array:
    """What may jump in a formula, and the sides of what may bend: ``words x elements``, whole.

    ``words`` are those to look at.
    """
    return np.stack(_evaluated(formula, x, words=words)[1])


def _evaluated(
    formula: str, x: Array, precision: Any = np.float64, words: frozenset[str] = CHOICES
) -> tuple[Array, list[Array]]:
    made: list[Array] = []

    def apply(name: str, *arguments: Any) -> Any:
        found = WORDS[name][2](*arguments)
        if name in words:
            side = _BENDS[name](*arguments).astype(np.float64) if name in _BENDS else found
            made.append(np.broadcast_to(side, x.shape))
        return found

    with np.errstate(all="ignore"):
        found = run(formula, x.astype(precision), precision, apply)
    return np.broadcast_to(found, x.shape), made


def compose(outer: str, inner: str) -> str:
    """The formula of ``outer(inner(x))``."""
    return " ".join(inner if token == "x" else token for token in outer.split())
