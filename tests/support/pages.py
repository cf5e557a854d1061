"""Pages of the documentation, and what their commands and examples print."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(sys.executable).parent
DATA = Path(os.environ.get("QCOMPILER_DATA") or ROOT.joinpath("../shared/data"))
SETUP = ("make ", "pip ", "git ", "cd ")  # commands of blocks that are for the reader only
GUIDES = ("tutorial", "howto")  # folders of pages that show all that a terminal shows

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_SAVED = re.compile(r"[Ss]ave [^`\n]*`([\w.]+)`[^\n]*:\n*\Z")
_COMMAND = re.compile(r"^\$ (.*?(?:\\\n.*?)*)\n", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block of a page: its language, text and place, and the file that it is saved as."""

    kind: str
    text: str
    start: int
    end: int
    saved: str | None


class Command(NamedTuple):
    """A command of a console block, and what is shown of its output."""

    line: str
    shown: str


def blocks(text: str) -> list[Block]:
    """All fenced blocks of a page."""
    found = []
    for match in _FENCE.finditer(text):
        before = _SAVED.search(text[: match.start()])
        saved = before.group(1) if before and match.group(1) in ("python", "json") else None
        found.append(Block(match.group(1), match.group(2), *match.span(2), saved))
    return found


def commands(block: str) -> list[Command]:
    """The commands of a console block."""
    parts = _COMMAND.split(block)
    return [Command(*pair) for pair in zip(parts[1::2], parts[2::2], strict=True)]


def runs(block: Block) -> bool:
    """Whether the commands of a block are run, and their output compared."""
    return block.kind == "console" and not any(
        command.line.startswith(SETUP) for command in commands(block.text)
    )


def is_guide(page: Path) -> bool:
    """Whether a page works in examples/digits and shows all output, progress included."""
    return page == ROOT / "README.md" or page.parent.name in GUIDES


def workplace(folder: Path, with_mnist: bool = False) -> Path:
    """A copy of examples/ in ``folder``; returns its digits, where a reader types the commands."""
    digits = folder / "examples" / "digits"
    shutil.copytree(ROOT / "examples", folder / "examples", dirs_exist_ok=True, ignore=_compiled)
    if with_mnist and DATA.is_dir():
        for path in (DATA / "mnist").iterdir():
            shutil.copy(path, digits)
    return digits


def _compiled(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if Path(folder, name).is_dir() and name != "digits"}


class Walk:
    """A page read from top to bottom in one folder: each block finds what earlier ones left."""

    def __init__(self, page: Path, folder: Path) -> None:
        text = page.read_text(encoding="utf-8")
        self.blocks = blocks(text)
        self.folder = workplace(folder, "mnist" in text)
        self.guide = is_guide(page)
        self.done = 0

    def outputs(self, index: int) -> Iterator[tuple[Command, list[str]]]:
        """Run block ``index``, and first those before it that have not run yet.

        Gives each command with what a page may show of it. On a guide that is all that comes to
        the terminal, in this order; elsewhere progress, on standard error, may be left out.
        """
        for earlier in self.blocks[self.done : index]:
            if earlier.saved:
                (self.folder / earlier.saved).write_text(earlier.text, encoding="utf-8")
            elif runs(earlier):
                for command in commands(earlier.text):
                    ran(command.line, self.folder, joined=True)
        self.done = index + 1
        for command in commands(self.blocks[index].text):
            result, errors = ran(command.line, self.folder, joined=self.guide)
            yield command, [result] if self.guide else [result, result + errors]


def ran(line: str, folder: Path, *, joined: bool) -> tuple[str, str]:
    """What a command, typed in a folder, prints on standard output, or both, and on error."""
    environment = os.environ | {
        "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}",
        "PYTHONUNBUFFERED": "1",  # both streams in the order of a terminal
        "COLUMNS": "100",
    }
    environment.pop("PYTHONPATH", None)
    run = subprocess.run(
        line,
        shell=True,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if joined else subprocess.PIPE,
        text=True,
        check=False,
    )
    return _trimmed(run.stdout), _trimmed(run.stderr or "")


def _trimmed(output: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in output.splitlines())


def examples(found: list[Block]) -> Iterator[tuple[Block, str]]:
    """Run the Python of a page, in the present folder; text blocks with what they should show."""
    known: dict[str, Any] = {"__name__": "__main__"}
    printed = ""
    for block in found:
        if block.kind == "python":
            output = io.StringIO()
            with redirect_stdout(output):
                exec(compile(block.text, "page", "exec", dont_inherit=True), known)
            printed = output.getvalue()
        elif block.kind == "text" and printed:
            yield block, printed
            printed = ""
