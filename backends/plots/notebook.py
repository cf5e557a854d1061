"""What a notebook shows of a program: its totals, its graph and its populations."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from qcompiler.backends.report import Report
from qcompiler.ir import Graph

from .canvas import shown
from .inline_svg import inline_svg
from .network_plots import graph_figure
from .rows import Network

_LONGEST = 60  # letters of a name
_MOST = 40  # populations
_COLUMNS = ("population", "kind", "neurons", "synapses", "t_max", "first", "last")


def notebook_html(title: str, graph: Graph, report: Report) -> str | None:
    """Markup for a cell's output; None if the extra ``report`` is not installed."""
    if any(find_spec(name) is None for name in ("jinja2", "matplotlib")):
        return None
    jinja2 = import_module("jinja2")
    loader = jinja2.PackageLoader("qcompiler.backends.plots", "")
    template = jinja2.Environment(loader=loader, autoescape=True).get_template("notebook.html")
    picture = inline_svg(graph_figure(Network.of(graph, report).folded()), "Graph", f"{id(graph)}")
    count = len(report.populations)
    more = f"; {_MOST} of {count} populations" if count > _MOST else ""
    rows = [
        (
            shown(p.name, _LONGEST),
            p.kind,
            f"{p.neurons:,}",
            f"{p.synapses:,}",
            p.t_max,
            p.first_step,
            p.last_step,
        )
        for p in report.populations[:_MOST]
    ]
    markup: str = template.render(
        title=shown(title, 2 * _LONGEST),
        text=f"{report.neurons:,} neurons, {report.synapses:,} synapses, last output spike at "
        f"step {report.latency_steps}, one frame every {report.frame_interval_steps} steps{more}",
        graph=import_module("markupsafe").Markup(picture),
        columns=_COLUMNS,
        rows=rows,
    )
    return markup
