"""The chapters on the network: its graph, its schedule and its populations."""

from __future__ import annotations

import re

from qcompiler.backends.plots.network_plots import graph_figure, schedule_figure
from qcompiler.backends.plots.rows import Network

from .page import Picture, Section
from .subject import Subject

_GRAPH = (
    "Populations in the order of their spikes. Lines are synapses; those that skip populations "
    "bend to the left, orange ones carry the delay in steps that is written beside them."
)
_READ = (
    "Every value is the time of one spike: the larger, the earlier. A population is the neurons of "
    "a layer, or of a part of it. They spike within a window of time steps, one for each level of "
    "a value."
)
_PARTS = {
    ":digit": "the digits of a level, the highest number first",
    ":slice": "parts of a value's range",
    ":channels": "groups of channels",
}
_SCHEDULE = (
    "Grey: spikes of the populations before arrive. Coloured: the population's own spikes may "
    "leave, those of large values first. From the dashed line on, the next frame may follow."
)


def network(subject: Subject) -> Section:
    """Graph and schedule, folded if there are many populations."""
    whole = subject.network
    texts = [_READ, *_parts(whole)]
    folded = whole.folded()
    pictures = _pictures(folded, subject)
    if folded is whole:
        return Section("Network and schedule", texts, pictures=pictures)
    texts.append(
        f"The {len(whole.rows)} populations are folded into {len(folded.rows)} rows: +3 after a "
        "name stands for this population and the three that follow it."
    )
    title = f"All {len(whole.rows)} populations"
    section = Section("Network and schedule", texts, pictures=pictures)
    section.folded, section.folded_title = _pictures(whole, subject), title
    return section


def _parts(network: Network) -> list[str]:
    """What the ends of names mean, of those that occur."""
    names = [member.name for row in network.rows for member in row.members]
    found = [
        f"{end}0 and so on are {text}"
        for end, text in _PARTS.items()
        if any(re.search(rf"{end}\d", name) for name in names)
    ]
    return [f"Of names, {'; '.join(found)}."] if found else []


def _pictures(rows: Network, subject: Subject) -> list[Picture]:
    interval = subject.report.frame_interval_steps
    return [
        Picture(graph_figure(rows), "Graph of the network", _GRAPH),
        Picture(schedule_figure(rows, interval), "Schedule", _SCHEDULE),
    ]
