"""The whole report."""

from __future__ import annotations

import qcompiler

from .network import network
from .overview import tiles
from .page import Page, render
from .subject import Subject


def report_page(subject: Subject) -> str:
    """The report as HTML; ProgramError if the extra ``report`` is not installed."""
    sections = [network(subject)]
    model = subject.program.manifest.get("model", {}).get("file", "")
    subtitle = f"Compiled for {subject.report.target}" + (f" from {model}" if model else "")
    page = Page(
        subject.name,
        f"{subtitle} by qcompiler {qcompiler.__version__}.",
        list(tiles(subject)),
        subject.report.warnings,
        sections,
    )
    return render(page)
