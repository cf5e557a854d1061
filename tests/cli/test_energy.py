"""Energy in what the commands print, write and give as JSON, and the option that names a model."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from qcompiler.cli.compiling import qcompile
from qcompiler.cli.running import qrun
from qcompiler.terminal.amounts import number, quantity
from tests.support.onnx_models import model

SVG = "{http://www.w3.org/2000/svg}"
CAUSES = {"total", "updates", "data", "zeros", "clocks", "inhibition", "static"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a network, its data, and the program for Loihi 2."""
    monkeypatch.chdir(tmp_path)
    body = "h = MatMul (x, w) r = Relu (h) scores = MatMul (r, v)"
    net = model("float[N, 6] x", body, outputs="scores", w=(6, 4), v=(4, 3))
    onnx.save(net, "net.onnx")
    np.savez("data.npz", x=np.random.default_rng(0).random((20, 6)).astype(np.float32))
    assert qcompile.main(["net.onnx", "--calibration", "data.npz", "-q"]) == 0
    return tmp_path


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def command(line: str) -> tuple[int, str, str]:
        name, *arguments = line.split()
        try:
            status = {"qcompile": qcompile.main, "qrun": qrun.main}[name](arguments)
        except SystemExit as stopped:
            status = int(stopped.code or 0)
        out, err = capsys.readouterr()
        return status, out, err

    return command


def test_two_lines_name_the_model(run: Any) -> None:
    for line in ("qcompile net.onnx --calibration data.npz", "qrun net.loihi data.npz"):
        status, out, _ = run(line)
        assert status == 0
        energy = (
            r"energy +[\d.]+ [un]J a frame \(loihi1 model\): \d+ % neuron updates, \d+ % data, "
        )
        assert re.search(energy + r"\d+ % for zeros\n", out)
        delay = r"delay +[\d.]+ us a frame, latency [\d.]+ us, [\d.]+ mW on \d+ cores "
        product = r"\(loihi1 model\): energy-delay product \S+ uJs, \S+ uJs for one frame alone"
        assert re.search(delay + product, out)
        assert "no figures are public" not in out


def test_what_was_not_measured_is_said_to_be_assumed(run: Any) -> None:
    _, out, _ = run("qcompile net.onnx")
    assert "for zeros, if half of all values are zero" in out


def test_details_are_by_population_and_say_what_the_model_rests_on(run: Any) -> None:
    for line in ("qcompile net.onnx --calibration data.npz -v", "qrun net.loihi data.npz -v"):
        _, out, _ = run(line)
        assert re.search("^energy in uJ +total +updates +data +zeros +clocks +inhib", out, re.M)
        table = out[out.index("energy in uJ") :].split("\n\n")[0].splitlines()
        assert [row.split()[0] for row in table[1:]][-1] == "clock"
        assert "no figures are public for Loihi 2: those of Loihi 1" in out
        assert "of 20 calibration samples" in out or "of 20 frames" in out


def test_json_of_both_commands_and_the_report_agree(run: Any) -> None:
    compiled = json.loads(run("qcompile net.onnx --calibration data.npz --json")[1])
    measured = json.loads(run("qrun net.loihi data.npz --json")[1])
    for figures in (compiled, measured):
        energy = figures["energy_uj"]
        assert energy.keys() == CAUSES
        parts = energy["updates"] + energy["data"] + energy["clocks"] + energy["inhibition"]
        assert energy["total"] == pytest.approx(parts)
        assert 0 <= energy["zeros"] <= energy["data"]
        assert figures["edp_ujs"].keys() == {"streaming", "single"}
        assert figures["energy_model"] == "loihi1"
        assert figures["synaptic_events_per_frame"] == compiled["synapses"]
        power = (energy["total"] + energy["static"]) / figures["frame_us"] * 1e3
        assert figures["power_mw"] == pytest.approx(power)
        updates = figures["neuron_updates_per_frame"]
        assert updates % figures["frame_interval_steps"] == 0
    assert compiled["energy_uj"] == measured["energy_uj"]  # one set of data
    assert compiled["activity"] == measured["activity"] | {"basis": "calibration"}
    assert measured["energy_against"] is None


def test_engines_measure_the_same(run: Any) -> None:
    found = [
        json.loads(run(f"qrun net.loihi data.npz --json --engine {name}")[1])
        for name in ("fast", "steps")
    ]
    assert found[0]["energy_uj"] == found[1]["energy_uj"]
    assert found[0]["activity"] == found[1]["activity"]


@pytest.mark.lava
def test_lava_measures_the_same(run: Any) -> None:
    fast, lava = (
        json.loads(run(f"qrun net.loihi data.npz --json --engine {name}")[1])
        for name in ("fast", "lava-single")
    )
    same = ("energy_uj", "activity", "synaptic_events_per_frame", "spikes_per_neuron")
    assert all(fast[name] == lava[name] for name in same)


def test_a_model_by_name_changes_what_it_says(run: Any) -> None:
    energies = {}
    for name in ("loihi1", "loihi1-fit", "sana-fe", "cmos45"):
        status, out, _ = run(f"qrun net.loihi data.npz --energy-model {name} --json")
        figures = json.loads(out)
        assert (status, figures["energy_model"]) == (0, name)
        energies[name] = figures["energy_uj"]["total"]
        assert (figures["frame_us"] is None) == (name == "cmos45")
    assert len(set(energies.values())) == 4
    assert "delay  " not in run("qrun net.loihi data.npz --energy-model cmos45")[1]
    compiled = run("qcompile net.onnx --calibration data.npz --energy-model cmos45")[1]
    assert "a frame (cmos45 model)" in compiled


def test_a_model_from_a_file(run: Any) -> None:
    Path("mine.json").write_text('{"name": "my chip", "update_pj": 1000, "event_pj": 0}')
    _, out, _ = run("qrun net.loihi data.npz --energy-model mine.json")
    assert "(my chip model): 100 % neuron updates, 0 % data" in out


def test_a_model_in_which_all_is_free(run: Any) -> None:
    names = ("update_pj", "event_pj", "update_ns", "event_ns", "sync_ns")
    Path("free.json").write_text(json.dumps(dict.fromkeys(names, 0)))
    status, out, err = run("qrun net.loihi data.npz --energy-model free.json --against net.onnx -v")
    assert (status, err) == (0, "")
    assert "0 pJ a frame (free model): 0 % neuron updates" in out


def test_wrong_models_are_one_sentence(run: Any) -> None:
    status, _, err = run("qrun net.loihi data.npz --energy-model loihi3")
    assert status == 2
    assert "no energy model is named 'loihi3': choose loihi1, loihi1-fit, sana-fe, cmos45" in err
    Path("bad.json").write_text('{"update_pj": -1, "event_pj": 1}')
    for line in ("qrun net.loihi data.npz", "qcompile net.onnx -o other"):
        status, out, err = run(f"{line} --energy-model bad.json")
        expected = "error: the energy model bad.json has a update_pj that is not from 0 to 1e+12\n"
        assert (status, out, err) == (1, "", expected)
        status, _, err = run(f"{line} --energy-model none.json")
        assert (status, err) == (1, "error: there is no file none.json with an energy model\n")
    assert not Path("other").exists()


def test_against_a_model_others_stand_beside_it(run: Any) -> None:
    _, out, _ = run("qrun net.loihi data.npz --against net.onnx")
    for name in ("others      8-bit ANN at 45 nm", "rate code", "at T 16 / 32 / 64", "who wins"):
        assert name in out
    found = json.loads(run("qrun net.loihi data.npz --against net.onnx --json")[1])
    others = found["energy_against"]
    assert others["macs"] == 6 * 4 + 4 * 3
    energy = others["energy_uj"]
    assert energy["program"] == found["energy_uj"]["total"]
    assert energy["gpu"] == pytest.approx(36 * 300e-6)
    assert energy["arm"] == pytest.approx(36 * 900e-6)
    assert energy["ann_cmos45_reuse"] == pytest.approx(36 * 1.6e-6)
    assert energy["rate_64"] == pytest.approx(4 * energy["rate_16"])
    assert others["verdict"].count(".") <= 4


def test_the_plot_is_svg_with_a_bar_for_each_part(run: Any) -> None:
    status, _, err = run("qrun net.loihi data.npz --plot energy.svg")
    assert (status, err) == (0, "")
    root = ET.parse("energy.svg").getroot()
    assert root.tag == f"{SVG}svg"
    text = " ".join(part.text or "" for part in root.iter(f"{SVG}text"))
    for part in ("neuron updates", "data that says zero", "clock", "energy of a frame, uJ"):
        assert part in text
    assert "a frame (loihi1 model)" in text


def test_plots_are_refused_where_they_do_harm(run: Any) -> None:
    assert run("qrun net.loihi data.npz --plot energy.png")[0] == 2
    status, _, err = run("qrun net.loihi data.npz --plot net.loihi/energy.svg")
    assert status == 1
    assert "choose another --plot" in err


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (57.04, "57.0"),
        (2186.0, "2,190"),
        (99.96, "100"),
        (0.0012345, "0.00123"),
        (1e-7, "1e-07"),
        (12345678.0, "12,300,000"),
    ],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_quantities_have_the_prefix_that_they_need() -> None:
    assert quantity(57.04e-6, "J") == "57.0 uJ"
    assert quantity(0.99996e-3, "J") == "1.00 mJ"
    assert quantity(0.122, "J") == "122 mJ"
    assert quantity(3.0, "s") == "3.00 s"
    assert quantity(0.0, "W") == "0 uW"
