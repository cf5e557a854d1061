"""Make the notebooks of the examples from their scripts, whose cells begin with ``# %%``.

    python examples/make_notebooks.py          needs nbformat

The notebooks hold no results, and are the same on every machine.
"""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parent
SCRIPTS = sorted(EXAMPLES.glob("*/digits_*.py"))
_CELL = re.compile(r"^# %%(.*)$", re.MULTILINE)


def cells(text: str) -> list[tuple[str, str]]:
    """Kind (``code`` or ``markdown``) and content of every cell of a script."""
    _, *parts = _CELL.split(text)
    found = []
    for head, body in zip(parts[::2], parts[1::2], strict=True):
        content = body.strip("\n")
        if "[markdown]" in head:
            content = "\n".join(
                line.removeprefix("#").removeprefix(" ") for line in content.split("\n")
            )
        found.append(("markdown" if "[markdown]" in head else "code", content))
    return found


def notebook(text: str) -> str:
    """A script as a notebook, in the JSON of Jupyter."""
    nbformat: Any = import_module("nbformat")
    v4 = nbformat.v4
    make = {"code": v4.new_code_cell, "markdown": v4.new_markdown_cell}
    made = [
        make[kind](content, id=f"cell-{number}")
        for number, (kind, content) in enumerate(cells(text))
    ]
    found = v4.new_notebook(cells=made)
    found.metadata["kernelspec"] = {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    nbformat.validate(found)
    return str(nbformat.writes(found)) + "\n"


def main() -> None:
    for script in SCRIPTS:
        text = notebook(script.read_text(encoding="utf-8"))
        script.with_suffix(".ipynb").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
