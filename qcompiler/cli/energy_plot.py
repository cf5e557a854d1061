"""A plot of the energy of a frame as SVG: a bar for each population, in parts by cause."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from qcompiler.amounts import number, quantity
from qcompiler.backends.energy.estimate import Causes, Estimate
from qcompiler.ir.diagnostics import printable

from .energy import label

_WIDTH, _ROW, _BAR, _MARGIN, _TOP = 900, 22, 15, 16, 74
_TICKS = 5
_LETTER = 6.6  # width at size 12, about
_LONGEST = 40  # letters of a name
_COLOURS = {
    "neuron updates": "#4477aa",
    "data": "#228833",
    "data that says zero": "#ccbb44",
    "clocks": "#ee6677",
    "inhibition": "#aa3377",
}


def energy_plot(found: Estimate, name: str) -> str:
    """The plot's text; ``name`` is that of the program."""
    rows = [(label(n), _parts(causes)) for n, causes in found.populations.items()]
    letters = max(min(len(text), _LONGEST) for text, _ in rows)
    left = _MARGIN + _LETTER * letters + 8
    longest = max((sum(parts) for _, parts in rows), default=0.0) or 1.0
    scale = (_WIDTH - left - 5 * _MARGIN) / longest
    bottom = _TOP + _ROW * len(rows)
    total = quantity(found.causes.total * 1e-6, "J")
    title = f"{name}: {total} a frame ({found.model.name} model)"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {bottom + 50}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{bottom + 50}" fill="white"/>',
        f'<text x="{_MARGIN}" y="24" font-size="15">{_shown(title)}</text>',
        *_legend(),
        *_axis(longest, scale, left, bottom),
    ]
    for index, (text, energies) in enumerate(rows):
        parts += _bar(text, energies, left, _TOP + _ROW * index, scale)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _shown(text: str) -> str:
    """A text of XML, which may hold no control characters."""
    return escape(printable(text))


def _parts(causes: Causes) -> tuple[float, ...]:
    """Energies in the order of the colours; they add up to the total."""
    told = causes.data - causes.zeros
    return causes.updates, told, causes.zeros, causes.clocks, causes.inhibition


def _legend() -> Iterator[str]:
    x = float(_MARGIN)
    for name, colour in _COLOURS.items():
        yield f'<rect x="{x:.0f}" y="40" width="11" height="11" fill="{colour}"/>'
        yield f'<text x="{x + 16:.0f}" y="50">{name}</text>'
        x += 40 + _LETTER * len(name)


def _axis(longest: float, scale: float, left: float, bottom: int) -> Iterator[str]:
    for tick in range(_TICKS):
        value = longest * tick / (_TICKS - 1)
        x = left + value * scale
        yield (
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 6}" y2="{bottom}" stroke="#dddddd"/>'
            f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{number(value)}</text>'
        )
    middle = left + longest * scale / 2
    yield f'<text x="{middle:.0f}" y="{bottom + 38}" text-anchor="middle">uJ a frame</text>'


def _bar(
    text: str, energies: Sequence[float], left: float, top: int, scale: float
) -> Iterator[str]:
    short = text if len(text) <= _LONGEST else f"..{text[2 - _LONGEST :]}"
    yield (
        f'<text x="{left - 8:.0f}" y="{top + 12}" text-anchor="end">'
        f"<title>{_shown(text)}</title>{_shown(short)}</text>"
    )
    x = left
    for (cause, colour), energy in zip(_COLOURS.items(), energies, strict=True):
        width = energy * scale
        if width > 0:
            told = _shown(f"{text}, {cause}: {number(energy)} uJ")
            yield (
                f'<rect x="{x:.2f}" y="{top}" width="{width:.2f}" height="{_BAR}" '
                f'fill="{colour}"><title>{told}</title></rect>'
            )
        x += width
    yield f'<text x="{x + 5:.1f}" y="{top + 12}">{number(sum(energies))}</text>'
