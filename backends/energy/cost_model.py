"""What one operation costs on a chip: models as data, and their files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from qcompiler.ir import DataError, ProgramError

_LONGEST = 1 << 16  # bytes of a model's file
_LARGEST = 1e12  # of any figure


@dataclass(frozen=True)
class CostModel:
    """Energy and time of single operations; every figure made with it is a model's.

    ``update_pj`` is one neuron at one step, ``event_pj`` one spike at one synapse of 8 bits,
    ``spike_pj`` sending one spike, to which ``hop_pj`` adds its way to another core. ``static_mw``
    is the power of a core at rest. A step takes ``sync_ns`` and ``update_ns`` for each of up to
    ``neurons_per_core`` neurons, a core's events ``event_ns`` each; None if there is no figure.
    ``source`` names where the figures are from, ``basis`` says what they rest on.
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


def chosen(given: Any, default: CostModel) -> CostModel:
    """The model that is given, or else the default. ProgramError for anything else."""
    if not isinstance(given, CostModel | None):
        raise ProgramError(f"model must be a CostModel, not {given!r:.60}")
    return given or default


def read_cost_model(path: str | Path) -> CostModel:
    """The model in a JSON file, an object with the fields of `CostModel`.

    ``name`` is that of the file by default. Raises DataError, with one sentence, for anything else.
    """
    if not isinstance(path, str | Path):
        raise DataError(f"an energy model is read from the path of a file, not from {path!r:.60}")
    path = Path(path)
    if not path.is_file():
        raise DataError(f"there is no file {path} with an energy model")
    if path.stat().st_size > _LONGEST:
        raise DataError(
            f"{path} is too long for an energy model: it has more than {_LONGEST} bytes"
        )
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot read the energy model {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"the energy model {path} is no JSON text") from error
    if not isinstance(data, dict):
        raise DataError(f"the energy model {path} must be a JSON object of names and numbers")
    return _checked({"name": path.stem, **data}, path)


def _checked(data: Mapping[str, Any], path: Path) -> CostModel:
    known = {field.name: field for field in fields(CostModel)}
    for name in data:
        if name not in known:
            raise _wrong(path, f"has an unknown key {name!r}: it may have {', '.join(known)}")
    for name, field in known.items():
        if name not in data:
            if field.default is MISSING:
                raise _wrong(path, f"lacks {name}")
            continue
        value, kind = data[name], str(field.type)
        if kind == "str":
            if not isinstance(value, str) or not value.isprintable():
                raise _wrong(path, f"has a {name} that is no line of text")
        elif not (value is None and "None" in kind):
            _check_number(name, value, kind == "int", path)
    return CostModel(**data)


def _check_number(name: str, value: Any, whole: bool, path: Path) -> None:
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        wanted = "a whole number" if whole else "a number"
        raise _wrong(path, f"has a {name} that is not {wanted}")
    least = 1 if whole else 0
    if not least <= value <= _LARGEST:  # nor is NaN
        raise _wrong(path, f"has a {name} that is not from {least} to {_LARGEST:g}")


def _wrong(path: Path, what: str) -> DataError:
    return DataError(f"the energy model {path} {what}")
