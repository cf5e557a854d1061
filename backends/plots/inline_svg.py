"""Figures as SVG inside an HTML page, with colours that follow the page's."""

from __future__ import annotations

import warnings
from importlib import import_module
from io import BytesIO
from typing import Any
from xml.etree import ElementTree as Tree

from .canvas import PALETTE, style

_SVG, _LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_COLOURS = {colour: f"var(--{name}, {colour})" for name, colour in PALETTE.items()}
_PAINT = ("fill", "stroke")


def inline_svg(figure: Any, title: str, key: str) -> str:
    """The figure's markup; ``key`` keeps its ids apart from those of others on the page."""
    root = Tree.fromstring(_drawn(figure, key, transparent=True))
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag == f"{{{_SVG}}}metadata":
                parent.remove(child)
        parent.attrib.pop("id", None) if parent.tag == f"{{{_SVG}}}g" else None
        _recolour(parent)
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    root.set("role", "img")
    label = Tree.Element(f"{{{_SVG}}}title")
    label.text = title
    root.insert(0, label)
    Tree.register_namespace("", _SVG)
    Tree.register_namespace("xlink", _LINK)
    return Tree.tostring(root, encoding="unicode")


def svg_file(figure: Any) -> str:
    """The figure as the text of a file, the same on every run."""
    return _drawn(figure, "qcompiler", transparent=False).decode()


def _drawn(figure: Any, salt: str, transparent: bool) -> bytes:
    buffer = BytesIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with style(**{"svg.hashsalt": salt}), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of letters that the font lacks: browsers have them
        if transparent:
            for patch in (figure.patch, *(axes.patch for axes in figure.axes)):
                patch.set(facecolor="none", edgecolor="none")
        canvas = import_module("matplotlib.backends.backend_svg").FigureCanvasSVG(figure)
        canvas.print_svg(buffer, metadata=nothing)  # `savefig` draws twice to lay out once
    return buffer.getvalue()


def _recolour(element: Any) -> None:
    """Replace colours of the palette by variables of the page's style sheet."""
    given = element.get("style")
    if given is None:
        return
    parts = []
    for part in given.split(";"):
        name, colon, value = part.partition(":")
        if name.strip() in _PAINT:
            value = f" {_COLOURS.get(value.strip(), value.strip())}"
        parts.append(f"{name}{colon}{value}")
    element.set("style", ";".join(parts))
