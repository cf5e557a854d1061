"""Passes: functions from graph to graph, one file each, named as the pass."""

from collections.abc import Callable, Mapping

from .base import Pass
from .pipeline import Pipeline, Watcher


def _fold_batchnorm() -> type[Pass]:
    from .fold_batchnorm import FoldBatchNorm

    return FoldBatchNorm


def _fold_linear() -> type[Pass]:
    from .fold_linear import FoldLinear

    return FoldLinear


def _allot() -> type[Pass]:
    from .allot import Allot

    return Allot


def _clip_outputs() -> type[Pass]:
    from .clip_outputs import ClipOutputs

    return ClipOutputs


def _equalize() -> type[Pass]:
    from .equalize import Equalize

    return Equalize


def _normalize() -> type[Pass]:
    from .normalize import Normalize

    return Normalize


def _lower_activations() -> type[Pass]:
    from .lower_activations import LowerActivations

    return LowerActivations


def _quantize() -> type[Pass]:
    from .quantize import Quantize

    return Quantize


def _assign_windows() -> type[Pass]:
    from .assign_windows import AssignWindows

    return AssignWindows


def _insert_readout() -> type[Pass]:
    from .insert_readout import InsertReadout

    return InsertReadout


# Lazy, so that naming a pass does not import every other.
BUILT_IN: Mapping[str, Callable[[], type[Pass]]] = {
    "fold-batchnorm": _fold_batchnorm,
    "fold-linear": _fold_linear,
    "allot": _allot,
    "clip-outputs": _clip_outputs,
    "equalize": _equalize,
    "normalize": _normalize,
    "lower-activations": _lower_activations,
    "quantize": _quantize,
    "assign-windows": _assign_windows,
    "insert-readout": _insert_readout,
}

__all__ = ["BUILT_IN", "Pass", "Pipeline", "Watcher"]
