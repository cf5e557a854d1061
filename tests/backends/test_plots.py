"""Pictures of programs: what is drawn is what the program does."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.backends.plots import canvas
from qcompiler.backends.plots.core_squares import cores_per_square, square_figure, squares
from qcompiler.backends.plots.inline_svg import inline_svg, svg_file
from qcompiler.backends.plots.rows import FOLDED, Network, Row
from qcompiler.backends.population_report import PopulationReport
from qcompiler.backends.program.program import Program
from qcompiler.backends.reference.target import REFERENCE
from qcompiler.ir import DataError, ProgramError
from qcompiler.search.front import front_figure

pytest.importorskip("matplotlib")

DIGITS = Path(__file__).parents[2] / "examples" / "digits"


@pytest.fixture(scope="module")
def digits() -> Program:
    data = DIGITS / "digits_calibration.npz"
    model = DIGITS / "digits.onnx"
    return qcompiler.compile(model, calibration=data, scale_values=16, effort=0)


def frames(count: int) -> Any:
    with np.load(DIGITS / "digits_test.npz") as data:
        return data["images"][:count, None].astype(np.float32)


def test_a_raster_shows_the_spikes(digits: Program) -> None:
    (image,) = frames(1)
    axes = digits.plot.raster(image).axes[0]
    drawn = [path.vertices[::2, 0] for path in axes.collections[1].get_paths()]
    spikes = digits.spikes(image[None])
    expected = [steps[steps >= 0] for steps in spikes.values()]
    assert len(drawn) == len(expected) == len(digits.report().populations)
    for steps, all_steps in zip(drawn, expected, strict=True):
        assert set(steps) <= set(all_steps)
        if all_steps.size <= 60:
            assert sorted(steps) == sorted(all_steps)
    with pytest.raises(DataError, match="frames of shape"):
        digits.plot.raster(image[0, :3])


def test_bursts_are_lines() -> None:
    data = DIGITS / "digits_calibration.npz"
    model = DIGITS / "digits.onnx"
    found = qcompiler.compile(model, calibration=data, scale_values=16, effort=0, code="burst")
    (image,) = frames(1)
    assert any(getattr(node.op, "coding", "") == "burst" for node in found.graph.nodes)
    axes = found.plot.raster(image).axes[0]
    lines = [path.vertices for path in axes.collections[1].get_paths()]
    assert any(np.any(points[0::2, 0] + 1 < points[1::2, 0]) for points in lines)


def test_a_schedule_shows_the_windows(digits: Program) -> None:
    axes = digits.plot.schedule().axes[0]
    rows = digits.report().populations
    ends = [path.vertices[:, 0] for path in axes.collections[1].get_paths()]
    spans = [(x.min() + 0.5, x.max() - 0.5) for x in ends]
    assert spans == [(row.first_step, row.last_step) for row in rows]
    assert "time step" in axes.get_xlabel()
    straight, delayed = digits.plot.graph().axes[0].patches
    assert len(straight.get_path()) + len(delayed.get_path()) >= 4 * (len(rows) - 1)


def test_histograms_count_levels(digits: Program) -> None:
    figure = digits.plot.histograms(frames(5))
    names = [axes.get_title("left") for axes in figure.axes if axes.get_title("left")]
    assert len(names) == len(digits.report().populations)
    powers = figure.axes[-2].patches[0].get_data().values
    levels = digits.levels(frames(5))["scores:digit0"]
    shares = np.bincount(levels.ravel().astype(int), minlength=8) / levels.size
    assert np.maximum(100 * shares, 0.01) == pytest.approx(10.0**powers)


def test_cores_are_squares(digits: Program) -> None:
    report = digits.report()
    placed = [row for row in report.populations if row.core_use]
    found = list(squares(Network.of(digits.graph, report)))
    assert {one.row for one in found} == {*range(len(placed))}
    for number, row in enumerate(placed):
        own = [one for one in found if one.row == number]
        assert len(own) == (1 if row.shares_core else row.cores)
        assert all(one.shared == row.shares_core for one in own)
        assert row.core_use is not None
        assert own[0].resource == max(row.core_use, key=row.core_use.__getitem__)
    axes = digits.plot.cores().axes[0]
    drawn = sum(len(patch.get_path().to_polygons()) for patch in axes.patches)
    assert drawn == len(found)
    with pytest.raises(ProgramError, match="the target reference has no cores"):
        replace(digits, backend=REFERENCE).plot.cores()


def test_squares_of_large_networks_stand_for_several_cores() -> None:
    use = {"neurons": 0.3, "input axons": 0.9, "output axons": 0.1, "bits of synapses": 0.2}
    rows = list(chain(30).rows)
    found = replace(rows[3].members[0], cores=5000, core_use=use)
    other = replace(rows[4].members[0], cores=1, core_use={**use, "neurons": 1.0}, shares_core=True)
    rows[3:5] = [replace(rows[3], members=(found,)), replace(rows[4], members=(other,))]
    network = Network(tuple(rows), {})
    drawn = list(squares(network))
    assert cores_per_square(network) == 53
    assert [one.row for one in drawn] == [0] * 95 + [1]
    assert drawn[0][3:] == ("input axons", 4, False) and drawn[-1][3:] == ("neurons", 4, True)
    assert len(svg_file(square_figure(network))) < 40_000


def test_core_maps_have_room_for_what_they_hold() -> None:
    use = {"neurons": 0.3, "input axons": 0.9, "output axons": 0.1, "bits of synapses": 0.2}

    def drawn(largest: int) -> Any:
        rows = list(chain(20).rows)
        for number, cores in enumerate((largest, *[1] * 19)):
            found = replace(rows[number].members[0], cores=cores, core_use=use)
            rows[number] = replace(rows[number], members=(found,))
        return square_figure(Network(tuple(rows), {}))

    one, four = drawn(1), drawn(96)  # of 96 squares three lines are new, in the first row alone
    tall = four.get_figheight() - one.get_figheight()
    assert tall == pytest.approx(3 * (one.get_figheight() - 0.8) / (20 * 1.5))
    shapes = [shape for patch in four.axes[0].patches for shape in patch.get_path().to_polygons()]
    tops = sorted({float(shape[:, 1].min()) for shape in shapes})
    assert np.diff(tops).min() == 1 and len(tops) == 23


def chain(count: int) -> Network:
    """A chain of populations, in blocks of three with a skip over each."""
    rows = []
    for n in range(count):
        found = PopulationReport(f"p{n}", "integrate", 10, 100, 16, n, n + 15, 8, ())
        rows.append(Row((found,), max(0, n - 1), n, n + 15))
    links = {(n, n + 1): 0 for n in range(count - 1)}
    return Network(tuple(rows), links | {(n, n + 3): 8 for n in range(0, count - 3, 3)})


@pytest.mark.parametrize("count", [1, 24, 25, 47, 200, 1000])
def test_folding_keeps_order_and_loses_nothing(count: int) -> None:
    network = chain(count)
    folded = network.folded()
    assert len(folded.rows) == min(count, FOLDED)
    names = [member.name for row in folded.rows for member in row.members]
    assert names == [f"p{n}" for n in range(count)]
    assert sum(row.neurons for row in folded.rows) == 10 * count
    assert all(a < b < len(folded.rows) for a, b in folded.links)
    assert [row.first for row in folded.rows] == sorted(row.first for row in folded.rows)


def test_folds_lie_where_few_links_cross() -> None:
    folded = chain(96).folded()
    assert all(b == a + 1 for a, b in folded.links)


def test_slices_fold_first() -> None:
    rows = list(chain(5).rows)
    made = [PopulationReport(f"s{n}", "integrate", 10, 9, 16, 9, 24, 8, ()) for n in range(30)]
    rows += [Row((one,), 5, 9, 24) for one in made]
    links = {(n, n + 1): 0 for n in range(4)} | {(4, n): 0 for n in range(5, 35)}
    folded = Network(tuple(rows), links).folded()
    assert [len(row.members) for row in folded.rows] == [1] * 5 + [30]
    assert folded.rows[-1].label == "s0 +29"


def test_colours_follow_the_page_and_files_do_not_change(digits: Program) -> None:
    markup = inline_svg(digits.plot.schedule(), "<title>", "one")
    assert "var(--blue, #2f6db3)" in markup and "&lt;title&gt;" in markup
    assert "<metadata" not in markup and "DOCTYPE" not in markup
    first, second = (svg_file(digits.plot.schedule()) for _ in range(2))
    assert first == second


def test_the_users_settings_do_not_matter(digits: Program) -> None:
    import matplotlib

    before = svg_file(digits.plot.schedule())
    with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 30}):
        assert svg_file(digits.plot.schedule()) == before


def test_programs_in_a_terminal_and_in_a_notebook(
    digits: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert repr(digits) == "<Program 'digits.onnx' for loihi: 8 populations, t_max 16>"
    markup = digits._repr_html_()
    assert markup is not None and "<svg" in markup and "/relu1/Relu_output_0" in markup
    monkeypatch.setattr(canvas, "find_spec", lambda name: None)
    with pytest.raises(ProgramError, match=r"need matplotlib: run pip install"):
        digits.plot.graph()


def test_names_are_shortened_and_printable() -> None:
    assert canvas.shown("abc") == "abc"
    assert canvas.shown("a" * 40 + "b" * 40, 11) == "aaaaa…bbbbb"
    assert canvas.shown("\x1b" * 40, 11).isprintable() and len(canvas.shown("\x1b" * 40, 11)) == 11


def test_the_front_has_whole_steps_and_error_bars() -> None:
    point = {"uniform_t_max": 4, "fits_budget": True, "chosen": False, "doubt_percent": 0.5}
    points: list[dict[str, float | None]] = [
        {**point, "latency_steps": steps, "drift_percent": loss, "chosen": steps == 18}
        for steps, loss in ((11, 10.0), (18, 0.5), (19, 0.1))
    ]
    points.append({"latency_steps": 5, "drift_percent": None})
    axes = front_figure({"budget": {"drift": 1.0}, "points": points}).axes[0]
    assert all(float(tick).is_integer() for tick in axes.get_xticks())
    ((_, _, (bars,)),) = axes.containers
    heights = [np.ptp(segment[:, 1]) for segment in bars.get_segments()]
    assert heights == pytest.approx([1.0] * 3)
    labels = {*axes.get_legend_handles_labels()[1]}
    assert {"budget, 1 %", "chosen", "the same t_max everywhere, within the budget"} <= labels
    points = [point | {"energy_uj": (point["latency_steps"] or 0) / 8} for point in points]
    axes = front_figure({"budget": {"drift": 1.0}, "points": points}).axes[0]
    assert axes.get_xlabel() == "energy of a frame, uJ"
    ((line, _, _),) = axes.containers
    assert line.get_xdata() == pytest.approx([11 / 8, 18 / 8, 19 / 8])


@pytest.mark.parametrize("most", [0, "5", 2.0, []])
def test_other_rows_are_refused(most: Any, digits: Program) -> None:
    plot = digits.plot
    for call in (plot.graph, plot.schedule, plot.cores, partial(plot.raster, frames(1)[0])):
        with pytest.raises(ProgramError) as caught:
            call(most=most)
        assert f"most must be at least 1 row, or None for all, not {most!r}" in str(caught.value)
    with pytest.raises(DataError, match="parts of unlike shapes"):
        plot.raster([[1, 2], [3]])
