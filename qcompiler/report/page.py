"""What a page consists of, and how templates make HTML of it.

All text is escaped by the template engine; markup comes from templates and pictures alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from qcompiler.backends.plots.canvas import need
from qcompiler.ir.diagnostics import printable

MODULES = ("jinja2", "matplotlib")


@dataclass(frozen=True)
class Picture:
    """A figure and what is said below it."""

    figure: Any
    title: str
    caption: str


@dataclass(frozen=True)
class Table:
    """The first column holds names, the others numbers; ``marked`` are indices of rows.

    With ``words`` the last column holds text; ``kinds`` are places of columns with a word or two.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    title: str = ""
    marked: Sequence[int] = ()
    words: bool = False
    kinds: Sequence[int] = ()


@dataclass(frozen=True)
class Matrix:
    """Counts ``classes x classes``; those off the diagonal are confusions."""

    title: str
    names: Sequence[str]
    counts: Sequence[Sequence[int]]

    @property
    def shares(self) -> list[list[int]]:
        """Counts in percent of their row."""
        return [[round(100 * n / max(1, sum(row))) for n in row] for row in self.counts]


@dataclass(frozen=True)
class Tile:
    """One figure of the head of the page."""

    name: str
    value: str
    more: str = ""


@dataclass
class Section:
    """A chapter: what is empty does not show; ``folded`` opens on a click.

    With ``many`` the tables open on a click on this text, too.
    """

    title: str
    texts: Sequence[str] = ()
    items: Sequence[str] = ()
    facts: Sequence[tuple[str, str]] = ()
    pictures: Sequence[Picture] = ()
    matrix: Matrix | None = None
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()
    many: str = ""
    folded: Sequence[Picture] = ()
    folded_title: str = ""


@dataclass
class Page:
    """A whole page."""

    title: str
    subtitle: str
    tiles: Sequence[Tile] = ()
    warnings: Sequence[str] = ()
    sections: Sequence[Section] = field(default_factory=list)


def check_modules() -> None:
    """ProgramError unless everything is installed that pages need."""
    need(*MODULES)


def render(page: Page) -> str:
    """The page's HTML."""
    check_modules()
    jinja2 = import_module("jinja2")
    loader = jinja2.PackageLoader("qcompiler.report")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"short": _short, "breakable": _breakable, "svg": _Drawer()}
    text: str = environment.get_template("report.html").render(page=page)
    return text


class _Drawer:
    """Draws pictures, each with ids of its own."""

    def __init__(self) -> None:
        self.drawn = 0

    def __call__(self, picture: Picture) -> Any:
        from qcompiler.backends.plots.inline_svg import inline_svg

        self.drawn += 1
        markup = inline_svg(picture.figure, picture.title, f"picture{self.drawn}")
        return import_module("markupsafe").Markup(markup)


def _breakable(text: str) -> Any:
    """A text that a narrow column breaks behind the marks between the words of a name."""
    markup = import_module("markupsafe")
    parts = re.split(r"(?<=[/_.:])(?=\w)", text)
    return markup.Markup("<wbr>").join(parts)


def _short(value: Any, longest: int) -> str:
    """A text of at most this many letters, without control characters; its end matters most."""
    text = f"{value:,}" if isinstance(value, int) else printable(str(value))
    return text if len(text) <= longest else f"{text[: longest // 3]}…{text[-longest * 2 // 3 :]}"
