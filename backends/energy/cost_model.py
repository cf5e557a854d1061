"""What one operation costs on a chip: models as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from qcompiler.ir import DataError, ProgramError

_LARGEST = 1e12  # of any figure


@dataclass(frozen=True)
class CostModel:
    """Energy and time of single operations; every figure made with it is a model's.

    ``update_pj`` is one neuron at one step, ``event_pj`` one spike at one synapse of 8 bits,
    ``spike_pj`` sending one spike, to which ``hop_pj`` adds its way to another core. ``static_mw``
    is the power of a core at rest. A step takes ``sync_ns`` and ``update_ns`` for each of up to
    ``neurons_per_core`` neurons, a core's events ``event_ns`` each; None if there is no figure.
    ``source`` names where the figures are from, ``basis`` says what they rest on. Raises DataError
    for anything else.
    """

    name: str
    update_pj: float
    event_pj: float
    spike_pj: float = 0.0
    hop_pj: float = 0.0
    static_mw: float = 0.0
    update_ns: float | None = None
    event_ns: float | None = None
    sync_ns: float | None = None
    neurons_per_core: int = 1024
    source: str = ""
    basis: str = ""

    def __post_init__(self) -> None:
        if found := fault(vars(self)):
            raise DataError(f"the energy model {self.name!r:.60} {found}")

    @property
    def message_pj(self) -> float:
        """Of a spike that is sent to one core."""
        return self.spike_pj + self.hop_pj

    @property
    def needs_cores(self) -> bool:
        """Whether figures hang on where neurons lie."""
        return self.times is not None or self.message_pj > 0

    @property
    def times(self) -> tuple[float, float, float] | None:
        """Of an update, an event and a step's end, in ns; None unless all are known."""
        if self.update_ns is None or self.event_ns is None or self.sync_ns is None:
            return None
        return self.update_ns, self.event_ns, self.sync_ns


def fault(values: Mapping[str, Any]) -> str | None:
    """What is wrong with values of some fields of a model, as the end of a sentence."""
    for field in fields(CostModel):
        name, kind = field.name, str(field.type)
        if name in values and not (values[name] is None and "None" in kind):
            check = _text_fault if kind == "str" else _number_fault
            if found := check(name, values[name], kind == "int"):
                return f"has a {name} that is {found}"
    return None


def _text_fault(name: str, value: Any, whole: bool) -> str | None:
    if not isinstance(value, str) or not value.isprintable():
        return "no line of text"
    return "empty" if name == "name" and not value.strip() else None


def _number_fault(name: str, value: Any, whole: bool) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        return "not a whole number" if whole else "not a number"
    least = 1 if whole else 0
    return None if least <= value <= _LARGEST else f"not from {least} to {_LARGEST:g}"  # nor is NaN


def chosen(given: Any, default: CostModel) -> CostModel:
    """The model that is given, or else the default. ProgramError for anything else."""
    if not isinstance(given, CostModel | None):
        raise ProgramError(f"model must be a CostModel, not {given!r:.60}")
    return given or default
