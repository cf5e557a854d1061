"""How Sphinx builds the documentation site: ``make docs``.

Sphinx with MyST reads the same Markdown files that a code host shows. Nothing is fetched when
building, and the pages load nothing from other hosts: no fonts, no scripts.
"""

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx
from sphinx.highlighting import lexer_classes

project = "qcompiler"
copyright = "the qcompiler authors, Apache-2.0"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

html_theme = "furo"
html_title = "qcompiler"
html_copy_source = False
html_show_sphinx = False
pygments_style = "friendly"

# Anchors of headings are those that a code host gives them; -W makes a broken link an error.
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # pages may begin at any level

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
default_role = "code"  # docstrings write names in single backticks


def setup(_app: Sphinx) -> None:
    """Show what a code host draws from Mermaid as its text, which a site can do offline."""
    lexer_classes["mermaid"] = TextLexer
