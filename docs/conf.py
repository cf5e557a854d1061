"""How Sphinx builds the documentation site: ``make docs``.

Sphinx with MyST reads the same Markdown files that a code host shows. Nothing is fetched when
building, and the pages load nothing from other hosts: no fonts, no scripts.
"""

import fnmatch
from itertools import chain
from typing import Any

from sphinx.application import Sphinx
from sphinx.ext.napoleon import Config, GoogleDocstring

project = "qcompiler"
copyright = "the qcompiler authors, Apache-2.0"
extensions = ["myst_parser", "sphinx.ext.autodoc"]

html_theme = "furo"
html_title = "qcompiler"
html_static_path: list[str] = []
html_copy_source = False
html_show_sphinx = False
pygments_style = "xcode"

# Anchors of headings are those that a code host gives them; a broken link is an error.
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints_format = "fully-qualified"
autodoc_default_options = {"members": True}
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
default_role = "code"  # docstrings write names in single backticks

# The menu of the site: pages in order, and patterns for the others of a folder. It stands here,
# because a code host would show its directives as text.
MENU = {
    "Tutorial": ("tutorial/your-network", "tutorial/*"),
    "How-to guides": ("howto/*",),
    "Reference": (
        "reference/cli",
        "reference/operators",
        "reference/architectures",
        "reference/passes",
        "reference/*",
        "glossary",
    ),
    "Explanation": (
        "explanation/method",
        "explanation/accuracy",
        "explanation/schedule",
        "explanation/*",
    ),
    "Development": ("architecture",),
}


def add_menu(app: Sphinx, page: str, source: list[str]) -> None:
    """Append the menu to the source of the first page."""
    if page != app.config.root_doc:
        return
    for caption, patterns in MENU.items():
        found = [sorted(fnmatch.filter(app.env.found_docs, one)) for one in patterns]
        pages = "\n".join(dict.fromkeys(chain.from_iterable(found)))
        source[0] += (
            f"\n```{{toctree}}\n:caption: {caption}\n:maxdepth: 1\n:hidden:\n\n{pages}\n```\n"
        )


def read_sections(
    app: Sphinx, what: str, name: str, found: object, options: Any, lines: list[str]
) -> None:
    """Read Args, Returns and Raises; of a property they would take the text before a colon."""
    if what != "property":
        lines[:] = GoogleDocstring(lines, Config(), app, what, name, found, options).lines()


def setup(app: Sphinx) -> None:
    """Add the menu, and read the docstrings' sections."""
    app.connect("source-read", add_menu)
    app.connect("autodoc-process-docstring", read_sections)
