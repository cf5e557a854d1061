"""What a manifest may hold: values of these kinds under the keys that something reads.

Keys that are not listed are not checked here: whoever reads them does, or nobody reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import isfinite
from typing import Any, TypeAlias

from qcompiler.ir import ProgramError

Check: TypeAlias = Callable[[Any], bool]

_MOST = 1 << 62


def _number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < _MOST and isfinite(value)


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value < _MOST


def _positive(value: Any) -> bool:
    return _count(value) and value > 0


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _plain(value: Any) -> bool:
    """A value in a line."""
    return value is None or isinstance(value, bool | int | float | str) or _all(_plain)(value)


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _all(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(map(check, value))


def _named(check: Check) -> Check:
    return lambda value: isinstance(value, Mapping) and all(map(check, value.values()))


def _record(needed: Mapping[str, Check], others: Mapping[str, Check] | None = None) -> Check:
    """A mapping with these keys; without ``others``, it may have any others, too."""

    def check(value: Any) -> bool:
        if not isinstance(value, Mapping) or not value.keys() >= needed.keys():
            return False
        if others is not None and not {*needed, *others} >= value.keys():
            return False
        known = {**needed, **(others or {})}
        return all(known[name](one) for name, one in value.items() if name in known)

    return check


def _length(value: Any) -> bool:
    return _positive(value) or _text(value)


_POINT = {
    "latency_steps": _count,
    "frame_interval_steps": _count,
    "levels": _all(_count),
    "uniform_t_max": _or_none(_count),
    "options": _named(_plain),
    **dict.fromkeys(("chosen", "fits_budget", "pareto"), _flag),
    **dict.fromkeys(("energy_uj", "edp_ujs", "doubt_percent"), _or_none(_number)),
    **dict.fromkeys(("drop_percent", "drift_percent"), _or_none(_number)),
}
_SEARCH = {
    "budget": lambda value: _named(_number)(value) and len(value) == 1,
    "points": lambda value: _all(_record(_POINT))(value) and len(value) > 0,
    "schedule": _named(_count),
}
_LAYER = {"sums": _positive, "otherwise": _count, "apart": _flag}

KEYS: Mapping[str, Check] = {
    "batch_axes": _named(_or_none(_count)),
    "calibration_images": _count,
    "input_shapes": _named(_all(_length)),
    "macs": _count,
    "model": _named(_plain),
    "pipeline": _text,
    "preprocessing": _record(
        {},
        {
            "mean": _all(_number),
            "scale": _all(lambda value: _number(value) and value != 0),
            "reverse_channels": _flag,
            "layout": lambda value: value in (None, "nchw", "nhwc"),
        },
    ),
    "product_neurons": _count,
    "rounding": _all(lambda layer: _whole_layer(layer) or _record({"name": _text}, {})(layer)),
    "search": _record(_SEARCH),
    "warnings": _all(_text),
}


def _whole_layer(value: Any) -> bool:
    return _record({"name": _text, **_LAYER})(value)


def damaged_keys(manifest: Mapping[str, Any]) -> Iterator[str]:
    """The keys with values of another kind."""
    return (name for name, check in KEYS.items() if name in manifest and not check(manifest[name]))


def check_manifest(manifest: Mapping[str, Any], where: object) -> None:
    """ProgramError, which names the key, for a value that is damaged."""
    for name in damaged_keys(manifest):
        raise ProgramError(
            f"{where} has a damaged manifest.json, in its {name}: compile the model again"
        )
