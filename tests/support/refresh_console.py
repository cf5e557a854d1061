"""Write into pages what their commands and their Python print now.

    python tests/support/refresh_console.py README.md docs/tutorial/*.md docs/howto/*.md

Look at the difference before you commit it: this accepts whatever is printed, but for tracebacks
and commands that are not found.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support.pages import Block, Walk, blocks, examples, is_guide, runs, workplace

_FAULT = re.compile(r"^Traceback \(most recent|: not found$", re.MULTILINE)


def main(pages: list[str]) -> None:
    """Refresh pages, one after the other."""
    for page in map(Path, pages):
        changed = refreshed(page.resolve())
        print(f"{page}: {changed} blocks changed")


def refreshed(page: Path) -> int:
    """Write a page anew; how many of its blocks differ from before."""
    text = page.read_text(encoding="utf-8")
    found = blocks(text)
    new = {**consoles(page, found), **texts(page, found)}
    changed = 0
    for block in sorted(new, key=lambda block: -block.start):
        changed += new[block] != block.text
        text = text[: block.start] + new[block] + text[block.end :]
    page.write_text(text, encoding="utf-8")
    return changed


def consoles(page: Path, found: list[Block]) -> dict[Block, str]:
    """What each console block should be."""
    new = {}
    with tempfile.TemporaryDirectory() as folder:
        walk = Walk(page, Path(folder))
        for index, block in enumerate(found):
            if runs(block):
                parts = []
                for command, printed in walk.outputs(index):
                    hidden = len(printed) > 1 and command.shown in printed
                    parts.append(f"$ {command.line}\n{command.shown if hidden else printed[0]}")
                new[block] = "".join(parts)
                if _FAULT.search(new[block]):
                    sys.exit(f"{page}: a command fails\n{new[block]}")
    return new


def texts(page: Path, found: list[Block]) -> dict[Block, str]:
    """What each text block behind Python should be."""
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        digits = workplace(Path(folder))
        os.chdir(digits if is_guide(page) else folder)
        try:
            return dict(examples(found))
        finally:
            os.chdir(here)


if __name__ == "__main__":
    main(sys.argv[1:])
