"""Causes that lie in the integers of a layer: weights, biases, dead channels, inner populations."""

from __future__ import annotations

import numpy as np

from qcompiler.ir.spiking.integer_network import layer_of, weight_of

from .verdict import Case


def weights(case: Case) -> tuple[str, str]:
    """Numbers and remedy of weights that are too coarse."""
    layer = layer_of(case.networks.program.graph, case.layer.node)
    w = np.concatenate([weight_of(synapse).reshape(-1) for synapse in layer.synapses])
    losses = case.errors.losses()
    detail = (
        f"the weights take {len(np.unique(w))} different integers from {int(w.min())} to "
        f"{int(w.max())}; the root-mean-square error of their rounding is "
        f"{losses['weights'] ** 0.5 / case.step:.2g} levels, that of rounding to levels "
        f"{losses['levels'] ** 0.5 / case.step:.2g}"
    )
    return detail, _more_bits(case)


def _more_bits(case: Case) -> str:
    if case.weight_bits < 8 or "input=" not in case.pipeline:
        return f"compile with {_bits(case)}{case.effort}"
    return f"compile with a smaller --t-max, which leaves more bits{case.effort}"


def bias(case: Case) -> tuple[str, str]:
    """Numbers and remedy of biases that are too coarse."""
    offset = f"an offset of up to {case.errors.offset:.3g} levels, the same in every frame"
    if any(name == "function" for name, _ in case.errors.steps):
        detail = (
            "this layer consists of several populations, such as the factors of a product; the "
            f"rounded weights and biases of these give it {offset}"
        )
        more = f"{_bits(case)} or " if case.weight_bits < 8 else ""
        return detail, f"compile with {more}a larger --t-max{case.effort}"
    detail = (
        f"for zero inputs, neurons have {offset}; rounding to levels costs at most half a level"
    )
    if case.weight_bits < 8:
        return detail, f"compile with {_bits(case)}{case.effort}"
    custom = "" if case.has_known_passes else "again without custom passes after quantize, or "
    return detail, f"compile {custom}with a larger --t-max{case.effort}"


def _bits(case: Case) -> str:
    more = 8 if case.weight_bits < 8 else 16
    return f"--weight-bits {more} (the program has {case.weight_bits})"


def dead(case: Case) -> tuple[str, str]:
    """Numbers and remedy of channels that never change."""
    found = case.errors
    which = ", ".join(map(str, found.dead[:8])) + (", .." if len(found.dead) > 8 else "")
    axes = tuple(axis for axis in range(found.base.ndim) if axis != 1)
    spread = found.base.std(axis=axes)[list(found.dead)].max()
    detail = (
        f"{len(found.dead)} of {found.channels} channels always have the same level ({which}), "
        f"but in the ANN their standard deviation is up to {float(spread):.4g}"
    )
    layer = layer_of(case.networks.program.graph, case.layer.node)
    by_channel = [
        np.abs(weight_of(s)).reshape(len(weight_of(s)), -1).max(axis=1) for s in layer.synapses
    ]
    silent = [
        n for n in found.dead if all(len(w) == found.channels and not w[n] for w in by_channel)
    ]
    if silent:
        return (
            f"{detail}; the weights of {len(silent)} of them are all zero",
            "compile again without the pass that prunes them, or with more --weight-bits",
        )
    return detail, "compile with more --weight-bits" + case.effort


def function(case: Case) -> tuple[str, str]:
    """Numbers and remedy of a layer of several populations."""
    error = case.errors.losses()["function"] ** 0.5 / case.step
    detail = (
        "this layer consists of several populations, such as the line segments of a function; "
        f"their root-mean-square error is {error:.2g} levels"
    )
    more = f"{_bits(case)} or " if case.weight_bits < 8 else ""
    finer = "" if "activation_error=" in case.pipeline else ", or a smaller --activation-error"
    return detail, f"compile with {more}a larger --t-max{finer}"
