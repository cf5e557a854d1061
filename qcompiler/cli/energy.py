"""What both commands say about the energy of a frame."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from qcompiler.backends.energy.alternatives import Alternatives
from qcompiler.backends.energy.built_in_models import ANN_PLAIN, ANN_REUSE, ARM, GPU
from qcompiler.backends.energy.cost_model import CostModel
from qcompiler.backends.energy.cost_model_file import read_cost_model
from qcompiler.backends.energy.estimate import Estimate
from qcompiler.backends.loihi.netlist.netlist import CLOCK
from qcompiler.terminal.amounts import number, quantity

CAUSES = ("updates", "data", "zeros", "clocks", "inhibition")


def chosen_model(given: argparse.Namespace) -> CostModel | None:
    """The model that --energy-model names; None for the target's. DataError for a bad file."""
    found = given.energy_model
    return read_cost_model(found) if isinstance(found, Path) else found


def energy_lines(found: Estimate, verbose: bool) -> Iterator[tuple[str, str]]:
    """Names and texts of the lines on energy and time."""
    causes, name = found.causes, found.model.name

    def share(part: float) -> str:
        return f"{100 * part / causes.total:.0f} %" if causes.total else "0 %"

    text = f"{share(causes.updates)} neuron updates, {share(causes.data)} data"
    text += f", {share(causes.zeros)} for zeros"
    if found.basis == "assumed":
        text += ", if half of all values are zero"
    yield "energy", f"{quantity(causes.total * 1e-6, 'J')} a frame ({name} model): {text}"
    if found.times:
        data = found.to_dict()
        streaming, single = (
            f"{number(data['edp_ujs'][kind])} uJs" for kind in ("streaming", "single")
        )
        yield (
            "delay",
            f"{quantity(found.times.frame_us * 1e-6, 's')} a frame, latency "
            f"{quantity(found.times.latency_us * 1e-6, 's')}, "
            f"{quantity(data['power_mw'] * 1e-3, 'W')} on {data['energy_cores']:,} cores "
            f"({name} model): "
            f"energy-delay product {streaming}, {single} for one frame alone",
        )
    if verbose:
        yield from _details(found)


def _details(found: Estimate) -> Iterator[tuple[str, str]]:
    model = found.model
    about = {
        "assumed": "assumed: nothing was measured",
        "calibration": f"of {found.frames:,} calibration samples",
        "data": f"of {found.frames:,} frames",
    }
    yield "activity", f"{about[found.basis]}; {found.nonzero:.1%} of all values are not zero"
    text = f"{model.name}: {model.basis or 'no basis given'}"
    yield "model", text + (f" (source: {model.source})" if model.source else "")
    yield "alone", f"{quantity(found.alone * 1e-6, 'J')} for a frame that no other follows"
    if found.cores and found.times:
        static = quantity(found.static_uj(found.times.frame_us) * 1e-6, "J")
        cores = f"{found.cores.total:,} cores of {model.static_mw:g} mW"
        yield "at rest", f"{static} a frame, of {cores}"


def against_lines(found: Alternatives) -> Iterator[tuple[str, str]]:
    """Names and texts of the lines on other networks and machines."""

    def joule(microjoules: float) -> str:
        return quantity(microjoules * 1e-6, "J")

    low, high, gpu, arm = (joule(found.of(one)) for one in (ANN_REUSE, ANN_PLAIN, GPU, ARM))
    yield (
        "others",
        f"8-bit ANN at 45 nm {low} to {high} with and without reuse of weights, this program "
        f"there {joule(found.at_45_nm.causes.total)}; GPU {gpu}, ARM core {arm} (models)",
    )
    rates = " / ".join(map(joule, found.rate.values()))
    steps = " / ".join(map(str, found.rate))
    yield "rate code", f"{rates} at T {steps} ({found.own.model.name} model)"
    yield "who wins", found.verdict


def energy_table(found: Estimate) -> tuple[Sequence[str], Sequence[Sequence[Any]]]:
    """Columns and rows: energy by population and cause, in uJ."""
    rows = []
    for name, causes in found.populations.items():
        parts = (number(getattr(causes, cause)) for cause in ("total", *CAUSES))
        rows.append((label(name), *parts))
    return ("energy in uJ", "total", *CAUSES), rows


def label(name: str) -> str:
    """What to call a population, or the clock."""
    return "clock" if name == CLOCK else name
