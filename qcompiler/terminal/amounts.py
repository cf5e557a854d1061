"""Amounts as people read them: three digits, and a unit's prefix."""

from __future__ import annotations

_PREFIXES = {
    "J": ("J", "mJ", "uJ", "nJ", "pJ"),
    "s": ("s", "ms", "us", "ns"),
    "W": ("W", "mW", "uW"),
}


def number(value: float) -> str:
    """Three digits; 0 has one."""
    if not 1e-4 <= abs(value) < 1e15:
        return f"{value:.3g}"
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 100 else f"{value:#.3g}".rstrip(".")


def quantity(value: float, unit: str) -> str:
    """Three digits, with the unit's prefix that they need."""
    names = _PREFIXES[unit]
    index = next((i for i in range(len(names)) if value * 1000.0**i >= 0.9995), len(names) - 1)
    return f"{number(value * 1000.0**index)} {names[index]}"
