"""The chapters on the network: its graph, its schedule and its populations."""

from __future__ import annotations

from qcompiler.backends.plots.network_plots import graph_figure, schedule_figure
from qcompiler.backends.plots.rows import Network

from .page import Picture, Section
from .subject import Subject

_GRAPH = (
    "Populations in the order of their spikes. Lines are synapses; those that skip populations "
    "bend to the left, orange ones carry the delay in steps that is written beside them."
)
_SCHEDULE = (
    "Grey: spikes of the populations before arrive. Coloured: the population's own spikes may "
    "leave, those of large values first. From the dashed line on, the next frame may follow."
)


def network(subject: Subject) -> Section:
    """Graph and schedule, folded if there are many populations."""
    whole = subject.network
    folded = whole.folded()
    pictures = _pictures(folded, subject)
    if folded is whole:
        return Section("Network and schedule", pictures=pictures)
    text = (
        f"The {len(whole.rows)} populations are folded into {len(folded.rows)} rows: +3 after a "
        "name stands for this population and the three that follow it."
    )
    title = f"All {len(whole.rows)} populations"
    section = Section("Network and schedule", [text], pictures=pictures)
    section.folded, section.folded_title = _pictures(whole, subject), title
    return section


def _pictures(rows: Network, subject: Subject) -> list[Picture]:
    interval = subject.report.frame_interval_steps
    return [
        Picture(graph_figure(rows), "Graph of the network", _GRAPH),
        Picture(schedule_figure(rows, interval), "Schedule", _SCHEDULE),
    ]
