"""The page of --report: what it holds, what it may not hold, and what is refused."""

from __future__ import annotations

import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import qcompiler
from qcompiler.backends.plots import canvas
from qcompiler.ir.kernels import Array
from qcompiler.report.page import Page, Section, Table, Tile, render
from qcompiler.report.populations import energy_bars
from qcompiler.report.results import results
from qcompiler.report.subject import Run, Subject
from tests.cli import test_cli
from tests.frontend.test_hostile_models import renamed
from tests.support.cells import cell, sequences
from tests.support.onnx_models import model

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

folder, run = test_cli.folder, test_cli.run
DIGITS = Path(__file__).parents[2] / "examples" / "digits"
ALONE = {"meta", "img", "br", "hr", "input", "link", "wbr"}
KNOWN = {
    *("html", "head", "title", "style", "meta", "body", "h1", "h2", "h3", "p", "div", "dl", "dt"),
    *("dd", "section", "figure", "figcaption", "table", "thead", "tbody", "tr", "th", "td", "ul"),
    *("li", "details", "summary", "small", "svg", "g", "path", "text", "defs", "use", "clippath"),
    *("rect", "wbr"),
}


class Found(HTMLParser):
    """The elements of a page, and what their attributes refer to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.ids: Counter[str] = Counter()
        self.references: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.note(tag, attrs)
        if tag not in ALONE:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.note(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def note(self, tag: str, attrs: Any) -> None:
        self.tags[tag] += 1
        for name, value in attrs:
            self.attributes.add(name)
            if name == "id":
                self.ids[value] += 1
            if name in ("href", "xlink:href"):
                assert value.startswith("#")
                self.references.add(value[1:])
            self.references.update(re.findall(r"url\((?!#)[^)]*\)", value or ""))
            self.references.update(re.findall(r"url\(#([^)]*)\)", value or ""))


def whole(path: str) -> tuple[str, Found]:
    """A page that needs nothing else, and runs nothing."""
    text = Path(path).read_text(encoding="utf-8")
    found = Found(text)
    assert found.tags.keys() <= KNOWN
    assert not [name for name in found.attributes if name.startswith("on") or name == "src"]
    assert found.references == found.ids.keys() and set(found.ids.values()) == {1}
    assert "default-src 'none'; style-src 'unsafe-inline'" in text
    assert "@import" not in text and len(text) < 1 << 20
    return text, found


def test_a_report_on_a_compiled_program(run: Any, folder: Path) -> None:
    line = "qcompile net.onnx --calibration data.npz -q -o p"
    assert run(f"{line} --report a.html")[0] == 0
    text, found = whole("a.html")
    assert found.tags["svg"] == 7 and "Core map" in text
    for part in ("Network and schedule", "Activity", "Populations", "Energy and cores", "Methods"):
        assert f"<h2>{part}</h2>" in text
    assert "proved from the weights" in text and "fold-batchnorm, fold-linear" in text
    assert run("qcompile net.onnx -q -o q --target reference --report b.html")[0] == 0
    text, found = whole("b.html")
    assert found.tags["svg"] == 3 and "<h2>Activity" not in text


def test_a_report_on_a_compiled_program_with_states(run: Any, folder: Path) -> None:
    """Its frames are those of sequences, with the states that the model has in them."""
    onnx.save(cell("elman"), "cell.onnx")
    np.savez("cell.npz", x=sequences(4, 20))
    line = "qcompile cell.onnx --calibration cell.npz --state h_out:h_in --target reference -q -o c"
    assert run(f"{line} --effort 0 --report c.html")[0] == 0
    text, _ = whole("c.html")
    assert "Levels of all neurons in 80 frames." in text


def test_a_report_on_a_run(run: Any, folder: Path) -> None:
    assert run("qcompile net.onnx --calibration data.npz -q -o p")[0] == 0
    command = "qrun p data.npz --against net.onnx --report a.html --frame 3 --json"
    status, out, err = run(command)
    assert (status, err) == (0, "")
    text, _ = whole("a.html")
    figures = json.loads(out)
    assert f"{100 * figures['accuracy']:.2f} %" in text
    table = text[text.index("<h2>Populations") :]
    cells = [re.findall(r"<td[^>]*>([^<]*)", row) for row in re.findall(r"<tr>.*?</tr>", table)]
    events = sum(int(row[4].replace(",", "")) for row in cells if row)
    assert events == pytest.approx(figures["synaptic_events_per_frame"], rel=0.01)
    label = int(np.load("data.npz")["labels"][3])
    assert f"frame 3 (label {label}, predicted " in text
    assert "Confusion matrix" in text and "Error of scores" in text
    assert "Every value is the time of one spike" in text
    assert "<dd>16 spike times for a value, at most</dd>" in text


@pytest.mark.parametrize(
    "name", ["</style></svg><script>alert(1)//\"'&$x$\x1b[2J\u202e", "y" * 4900]
)
def test_names_stay_text(run: Any, folder: Path, name: str) -> None:
    proto = model("float[N,6] x", "h = Gemm(x, w) r = Relu(h) y = Gemm(r, v)", w=(6, 3), v=(3, 2))
    for old in "xry":
        renamed(proto, old, old + name)
    for node in proto.graph.node:
        node.name += name
    onnx.save(proto, "evil.onnx")
    np.savez("evil.npz", images=np.random.default_rng(0).random((20, 6), np.float32))
    line = "qcompile evil.onnx --calibration evil.npz --effort 0 -q -o p --report a.html"
    assert run(line)[0] == 0
    assert run("qrun p evil.npz --against evil.onnx --report b.html")[0] == 0
    for path in ("a.html", "b.html"):
        text, _ = whole(path)
        assert len(text) < 300_000
        assert all(char.isprintable() or char == "\n" for char in text)
        if "script" in name:
            assert "&lt;script&gt;alert(1)//" in text


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("qcompile none.onnx --report no/a.html", "there is no folder no for --report"),
        ("qcompile none.onnx --report a.pdf", "should end in .html"),
        ("qrun p data.npz --against net.onnx --page a.txt", "'a.txt' should end in .html"),
        ("qrun p data.npz --report p/a.html", "is in the program directory"),
        ("qrun p data.npz --report a.html --frame 20", "--frame 20 is not among the 20 frames"),
        ("qrun p data.npz --report a.html --frame x", "expected the number of a frame"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    run: Any, folder: Path, command: str, message: str
) -> None:
    assert run("qcompile net.onnx --calibration data.npz --effort 0 -q -o p")[0] == 0
    status, _, err = run(command)
    assert status and message in err and "Traceback" not in err
    assert not Path("a.html").exists()


def test_a_missing_extra_is_one_sentence(
    run: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canvas, "find_spec", lambda name: None)
    status, _, err = run("qcompile net.onnx --calibration data.npz -o p --report a.html")
    assert status == 1 and not Path("p").exists()
    needs = "error: reports and pictures need jinja2 and matplotlib: "
    assert err == f"{needs}run pip install '.[report]' in a checkout of qcompiler\n"


def confusion(labels: Array, scores: Array) -> Section:
    """The chapter on outputs with these scores."""
    from qcompiler.backends.host import Counters, Measured
    from qcompiler.data import Data

    data = Data((np.zeros((len(labels), 1)),), labels)
    figures = {"frames": len(labels), "first_spike_steps": 1.0, "latency_steps": 2}
    return results(Run(Measured({"y": scores}, Counters()), data, figures, "fast"))


def test_confusions() -> None:
    labels = np.array([0, 0, 1, 2])
    found = confusion(labels, np.eye(3, dtype=np.float32)[[0, 1, 1, 2]])
    assert found.matrix is not None
    assert found.matrix.counts == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert found.matrix.shares[0] == [50, 50, 0]
    labels = np.repeat(np.arange(40), 2)
    predicted = np.where(labels == 7, 9, labels)
    found = confusion(labels, np.eye(40, dtype=np.float32)[predicted])
    assert found.matrix is None and found.tables[0].rows == [("7", "9", 2)]


def test_pages_escape_everything() -> None:
    evil = "<b onclick='x'>{{ 7 * 7 }}"
    table = Table((evil, evil), [(evil, 1)], evil)
    section = Section(evil, [evil], [evil], [(evil, evil)], tables=[table], notes=[evil])
    text = render(Page(evil, evil, [Tile(evil, evil, evil)], [evil], [section]))
    assert "<b" not in text.replace("<body", "") and "49" not in Found(text).tags
    assert text.count("&lt;b onclick=") == 17


def test_energies_of_rows_add_up_and_long_lists_fold() -> None:
    given: dict[str, Any] = {
        "calibration": DIGITS / "digits_calibration.npz",
        "scale_values": 16,
        "effort": 0,
    }
    subject = Subject(qcompiler.compile(DIGITS / "digits.onnx", **given), "digits")
    for rows in (subject.network, subject.network.folded(4)):
        bars = energy_bars(subject, rows)
        assert sum(one.total for one in bars.values()) == pytest.approx(subject.energy.causes.total)
        assert len(bars) == len(rows.rows) + 1  # the clock
    table = Table(("name", "energy"), [["/a/b_c.d:e", "0.25"]])
    section = Section("Limits", items=["a limit"] * 9, tables=[table])
    text = render(Page("", "", sections=[section]))
    assert "<summary>Each of the 9</summary>" in text
    assert "/<wbr>a/<wbr>b_<wbr>c.<wbr>d:<wbr>e<" in text and ">0.25<" in text
