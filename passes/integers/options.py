"""What the integers of populations depend on: the options of `quantize` that decide about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from qcompiler.ir.kernels import Array
from qcompiler.passes.quantization.membrane_limits import Limits
from qcompiler.passes.requantization.exact_layer import ExactLayer

OnRounding: TypeAlias = "Callable[[str, ExactLayer | None], None] | None"


class Options(Protocol):
    """What integers depend on; see `Quantize`."""

    @property
    def t_max(self) -> int: ...
    @property
    def limits(self) -> Limits: ...
    @property
    def input(self) -> int: ...
    @property
    def potential(self) -> int: ...
    @property
    def proved(self) -> bool: ...
    @property
    def pieces(self) -> bool: ...
    @property
    def bursts(self) -> bool: ...
    @property
    def effort(self) -> int: ...
    @property
    def prune(self) -> float: ...
    @property
    def spare(self) -> float: ...
    @property
    def calibration(self) -> tuple[Array, ...] | None: ...
    @property
    def rounding(self) -> OnRounding: ...


class LoweringOptions(Options, Protocol):
    """What the spiking graph around the integers depends on, too; see `Quantize`."""

    @property
    def output_t_max(self) -> int: ...
    @property
    def progress(self) -> Callable[[float], None] | None: ...
