"""Files of cost models."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

from qcompiler.ir import DataError

from .built_in_models import MODELS
from .cost_model import CostModel, fault

_LONGEST = 1 << 16  # bytes of a model's file


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

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        if twice := [name for name in names if names.count(name) > 1]:
            raise _wrong(path, f"has the key {twice[0]!r} twice")
        return dict(pairs)

    try:
        data = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=unique)
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
        if name not in data and field.default is MISSING:
            raise _wrong(path, f"lacks {name}")
    if found := fault(data):
        raise _wrong(path, found)
    model = CostModel(**data)
    own = MODELS.get(model.name)
    if own and replace(model, source=own.source, basis=own.basis) != own:
        raise _wrong(path, f"is not the built-in {own.name}: give it another name")
    return model


def _wrong(path: Path, what: str) -> DataError:
    return DataError(f"the energy model {path} {what}")
