"""The schedules that a search has tried, as a table or a plot."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from html import escape
from io import StringIO
from typing import Any

_WIDTH, _HEIGHT, _MARGIN = 640, 400, 60
_TICKS = 5


def schedule_table(search: Mapping[str, Any]) -> tuple[Sequence[str], Sequence[Sequence[Any]]]:
    """Columns and rows to print, the shortest first."""
    kind = _kind(search)
    counted = {kind: f"{kind} %", "doubt": "+-", "drift": "drift %"}
    costs = _costs(search)
    columns = ("last spike", "interval", *costs.values(), *counted.values(), "schedule", "")
    rows = [
        (
            point["latency_steps"],
            point["frame_interval_steps"],
            *(f"{point[name]:.3g}" if point[name] is not None else "" for name in costs),
            *(_number(point, name) for name in counted),
            _name(point),
            "chosen" if point["chosen"] else "" if point["pareto"] else "dominated",
        )
        for point in search["points"]
    ]
    return columns, rows


def _costs(search: Mapping[str, Any]) -> dict[str, str]:
    """What was estimated of costs, and its column."""
    names = {"energy_uj": "uJ a frame", "edp_ujs": "EDP uJs"}
    known = (p for p in names if any(row.get(p) is not None for row in search["points"]))
    return {name: names[name] for name in known}


def _kind(search: Mapping[str, Any]) -> str:
    return str(next(iter(search["budget"])))


def _number(point: Mapping[str, Any], name: str) -> str:
    value = point.get(f"{name}_percent")
    return "" if value is None else f"{value:.2f}"


def _name(point: Mapping[str, Any]) -> str:
    uniform = point["uniform_t_max"]
    if point.get("options"):
        return " ".join(f"{n} {v}" for n, v in (("t_max", uniform), *point["options"].items()))
    return f"t_max {uniform}" if uniform else ":".join(map(str, point["levels"]))


def _csv(search: Mapping[str, Any]) -> str:
    text = StringIO()
    columns = [name for name in search["points"][0] if name != "levels"]
    columns += [name for p in search["points"] for name in p if name not in (*columns, "levels")]
    columns = [*dict.fromkeys(columns), *search["schedule"]]
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for point in search["points"]:
        levels = dict(zip(search["schedule"], point["levels"], strict=True))
        writer.writerow({k: v for k, v in point.items() if k != "levels"} | levels)
    return text.getvalue()


def _json(search: Mapping[str, Any]) -> str:
    return json.dumps(search, indent=2) + "\n"


def _svg(search: Mapping[str, Any]) -> str:
    """Latency to the right, loss upwards; filled where the budget is kept."""
    kind = _kind(search)
    points = [p for p in search["points"] if p.get(f"{kind}_percent") is not None]
    budget = float(search["budget"][kind])
    across = _scale([p["latency_steps"] for p in points], _MARGIN, _WIDTH - _MARGIN)
    up = _scale([budget, *(p[f"{kind}_percent"] for p in points)], _HEIGHT - _MARGIN, _MARGIN)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
    ]
    parts += _axis(across, "x", "step of the last output spike")
    parts += _axis(up, "y", "accuracy lost, %" if kind == "drop" else "changed predictions, %")
    level = up.at(budget)
    parts.append(
        f'<line x1="{_MARGIN}" x2="{_WIDTH - _MARGIN}" y1="{level:.1f}" y2="{level:.1f}" '
        'stroke="gray" stroke-dasharray="4"/>'
    )
    parts += [_mark(point, across, up, kind) for point in points]
    return "\n".join([*parts, "</svg>"]) + "\n"


class _Scale:
    """From numbers to places on the page."""

    def __init__(self, low: float, high: float, begin: float, end: float) -> None:
        self.low, self.high = low, high if high > low else low + 1
        self.begin, self.end = begin, end

    def at(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.begin + share * (self.end - self.begin)

    def ticks(self) -> list[float]:
        step = (self.high - self.low) / (_TICKS - 1)
        return [self.low + index * step for index in range(_TICKS)]


def _scale(values: Sequence[float], begin: float, end: float) -> _Scale:
    return _Scale(min(0.0, *values), max(values) * 1.05, begin, end)


def _axis(scale: _Scale, which: str, title: str) -> list[str]:
    middle = (scale.begin + scale.end) / 2
    found = []
    for tick in scale.ticks():
        at = scale.at(tick)
        x, y = (at, _HEIGHT - _MARGIN + 18) if which == "x" else (_MARGIN - 24, at + 4)
        found.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{tick:.3g}</text>')
    if which == "x":
        place, turn = f'x="{middle}" y="{_HEIGHT - 14}"', ""
        ends = (
            f'x1="{scale.begin}" x2="{scale.end}" y1="{_HEIGHT - _MARGIN}" y2="{_HEIGHT - _MARGIN}"'
        )
    else:
        place, turn = f'x="14" y="{middle}"', f' transform="rotate(-90 14 {middle})"'
        ends = f'x1="{_MARGIN}" x2="{_MARGIN}" y1="{scale.begin}" y2="{scale.end}"'
    found.append(f'<text {place} text-anchor="middle"{turn}>{title}</text>')
    return [*found, f'<line {ends} stroke="black"/>']


def _mark(point: Mapping[str, Any], across: _Scale, up: _Scale, kind: str) -> str:
    x, y = across.at(point["latency_steps"]), up.at(point[f"{kind}_percent"])
    colour = "firebrick" if point["uniform_t_max"] else "steelblue"
    fill = colour if point["fits_budget"] else "white"
    radius = 7 if point["chosen"] else 4
    title = escape(f"{_name(point)}: {point['latency_steps']} steps, {_number(point, kind)} %")
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{fill}" stroke="{colour}">'
        f"<title>{title}</title></circle>"
    )


WRITERS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    ".csv": _csv,
    ".json": _json,
    ".svg": _svg,
}
