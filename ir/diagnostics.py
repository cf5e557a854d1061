"""What went wrong, where, and what helps.

CompileError
    UnsupportedModel    the network asks for something that is not supported
    InvalidModel        the file is not a network that can be read
    InvalidGraph        a graph breaks an invariant
    PipelineError       a pipeline's text, or a pass or plugin that failed
    DataError           calibration or input data do not fit the network
    ProgramError        a compiled program cannot be written, read or run

CompileWarning          a program whose outputs, or data, look wrong
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

_LONGEST = 200  # letters of a node's name


def printable(text: str, keep: str = "\n\t") -> str:
    """A text in which no name can steer a terminal: what is not printable is shown escaped."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in keep else char.encode("unicode_escape").decode()
        for char in text
    )


def kind_and_text(error: BaseException) -> str:
    """An exception as the last line of its traceback has it."""
    try:
        text = str(error)
    except Exception:  # of a user's class
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _ends(name: str) -> str:
    """A name, or the two ends of one that would fill the screen."""
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST // 2]}…{name[-_LONGEST // 2 :]}"


@dataclass(frozen=True)
class Diagnostic:
    """One finding: a sentence, the ONNX nodes it is about, and the remedy."""

    message: str
    nodes: tuple[str, ...] = ()
    help: str | None = None

    @property
    def text(self) -> str:
        """All of it in lines, the first of which does not say how grave it is."""
        lines = [self.message]
        if self.nodes:
            names = ", ".join(f'"{_ends(printable(name, keep=""))}"' for name in self.nodes[:8])
            more = f" and {len(self.nodes) - 8} more" if len(self.nodes) > 8 else ""
            lines.append(f"  --> node{'s' if len(self.nodes) > 1 else ''} {names}{more}")
        if self.help:
            lines.append(f"   = help: {self.help}")
        return printable("\n".join(lines))

    def __str__(self) -> str:
        return f"error: {self.text}"


class CompileWarning(UserWarning):
    """A program was compiled, but what it computes may not be what is wanted."""


class CompileError(Exception):
    """Base of all errors that a user can cause; holds every finding, not only the first.

    ``diagnostics`` are the findings, a `Diagnostic` each; ``str`` prints them as commands do.
    """

    def __init__(self, *findings: Diagnostic | str) -> None:
        self.diagnostics: tuple[Diagnostic, ...] = tuple(
            finding if isinstance(finding, Diagnostic) else Diagnostic(str(finding))
            for finding in findings or [type(self).__name__]  # of passes that give no reason
        )
        super().__init__(*findings)

    def __str__(self) -> str:
        return "\n".join(map(str, self.diagnostics))


class UnsupportedModel(CompileError):
    """The network asks for something that is not supported."""


class InvalidModel(CompileError):
    """The file is not a network that can be read."""


class InvalidGraph(CompileError):
    """A graph breaks an invariant."""


class PipelineError(CompileError):
    """A pipeline's text is wrong, or a pass or a plugin failed."""


class DataError(CompileError):
    """Calibration or input data do not fit the network."""


class ProgramError(CompileError):
    """A compiled program cannot be written, read or run."""


def raise_if_any(findings: Iterable[Diagnostic], kind: type[CompileError]) -> None:
    """Raise all findings as one error of this kind, if there are any."""
    if found := tuple(findings):
        raise kind(*found)


@contextmanager
def blamed(
    code: object, who: str, fault: str = "fails", spared: tuple[type[Exception], ...] = ()
) -> Iterator[None]:
    """Tell what ``code`` raises as its fault, if it is not ours: a PipelineError.

    ``code`` is what is called: a function, a class, an object. ``who`` says what it is, for the
    message. A CompileError, a lack of memory, an interrupt, and what is ``spared`` are no faults.
    """
    try:
        yield
    except (CompileError, MemoryError, KeyboardInterrupt):
        raise
    except BaseException as error:  # SystemExit, too, with which a command would end in silence
        if isinstance(error, spared) or is_ours(code):
            raise
        told = f"{who} of {module_of(code)} {fault}: {kind_and_text(error)}"
        raise PipelineError(told) from error


def is_ours(code: object) -> bool:
    """Whether what is called is of this package."""
    return module_of(code).startswith("qcompiler.")


def module_of(code: object) -> str:
    """The module of what is called: a function, a class, an object."""
    while isinstance(code, partial):
        code = code.func
    return getattr(code, "__module__", None) or type(code).__module__
