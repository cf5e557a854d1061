"""Models of one sample without a batch axis, whose inputs are ``[n]``.

Batches of such samples go through what treats every element alike, and through products with a
matrix: an axis more in front changes nothing there. What counts axes would need another number.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

import onnx

from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.node_context import AbstractValue, Refused, Unknown
from qcompiler.ir import Value

_HELP = "export the model with a batch axis in front: [1, n] or [N, n] in place of [n]"


def is_unbatched(inputs: Iterable[onnx.ValueInfoProto]) -> bool:
    """Whether a model takes samples without a batch axis; Refused if only some inputs are so."""
    vectors = {len(value.type.tensor_type.shape.dim) == 1 for value in inputs}
    if len(vectors) > 1:
        raise Refused("some inputs have a batch axis, others do not", _HELP)
    return True in vectors


def aligned(
    op_type: str, inputs: tuple[AbstractValue, ...], elementwise: Collection[str]
) -> tuple[AbstractValue, ...]:
    """The operands of a node for batches of samples; Refused if axes would have to be counted.

    ``alike`` names the operators that treat every element alike.
    """
    match op_type, inputs:
        case "MatMul", (Value(), KnownArray(arrays=(array, *_))) if array.ndim == 2:
            return inputs
        case "MatMul", (KnownArray(arrays=(array, *others)) as weight, Value() as x) if (
            array.ndim == 2
        ):
            return x, replace(weight, arrays=(array.T,) * (1 + len(others)))
        case "MatMul", _ if any(isinstance(item, Unknown) for item in inputs):
            return inputs  # of a node that is refused: it may well be a sample times a matrix
    known = (item for item in inputs if isinstance(item, KnownArray))
    if op_type in elementwise and all(item.arrays[0].ndim < 2 for item in known):
        return inputs
    reason = f"{op_type} in a model whose inputs have one axis, that is no batch axis,"
    raise Refused(f"{reason} is not supported", _HELP)
