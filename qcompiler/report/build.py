"""The whole report."""

from __future__ import annotations

import qcompiler

from .activity import activity, level_counts
from .methods import guarantees, methods, search
from .network import network
from .overview import tiles
from .page import Page, render
from .populations import energy_and_cores, populations
from .results import results
from .subject import Subject


def report_page(subject: Subject) -> str:
    """The report as HTML; ProgramError if the extra ``report`` is not installed."""
    levels = level_counts(subject)
    sections = [*([results(subject.run)] if subject.run else []), network(subject)]
    if levels is not None:
        sections.append(activity(subject, levels))
    sections.append(populations(subject, levels))
    sections.append(energy_and_cores(subject))
    if subject.program.manifest.get("search"):
        sections.append(search(subject))
    sections += [guarantees(subject), methods(subject)]
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
