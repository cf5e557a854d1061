"""What a manifest says of the layers of a quantised model: how many sums round as there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qcompiler.passes.requantization.exact_layer import ExactLayer


def rounding_of(layers: Mapping[str, ExactLayer | None]) -> list[dict[str, Any]]:
    """One entry for each layer whose result is a code of the model.

    ``sums`` counts the integer sums that its neurons can attain, ``otherwise`` those that round to
    another level than in the model: to the next, unless ``apart``. A layer whose weights could not
    be kept, or which does not read codes alone, has its name only.
    """
    return [
        {"name": name}
        if found is None
        else {
            "name": name,
            "sums": found.sums,
            "otherwise": found.otherwise,
            "apart": found.apart,
        }
        for name, found in layers.items()
    ]


def describe_rounding(layers: Sequence[Mapping[str, Any]]) -> str:
    """The same as a sentence or two; empty without quantised layers."""
    if not layers:
        return ""
    exact = [layer for layer in layers if layer.get("otherwise") == 0]
    parts = [f"{len(exact)} of {len(layers)} quantised layers equal the model's for every sum"]
    near = [layer for layer in layers if layer.get("otherwise", 0) > 0]
    if near:
        share = max(layer["otherwise"] / layer["sums"] for layer in near)
        step = "" if any(layer["apart"] for layer in near) else " by one level"
        parts.append(f"{len(near)} round up to {share:.2g} of their sums otherwise{step}")
    if left := [f"%{layer['name']}" for layer in layers if "sums" not in layer]:
        parts.append(f"new weights, or no codes before them, in {', '.join(left)}")
    return "; ".join(parts)
