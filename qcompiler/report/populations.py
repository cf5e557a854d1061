"""The chapters on populations and cores: what each takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from qcompiler.backends.energy.causes import Causes
from qcompiler.backends.loihi.netlist.netlist import CLOCK
from qcompiler.backends.plots.core_plot import core_figure, fullest
from qcompiler.backends.plots.core_squares import square_figure
from qcompiler.backends.plots.energy_plot import energy_figure
from qcompiler.backends.plots.rows import Network, Row
from qcompiler.terminal.amounts import number

from .activity import LevelCounts
from .page import Picture, Section, Table
from .subject import Subject

_COLUMNS = ("population", "kind", "neurons", "synapses", "events", "levels", "bits")
_STEPS = ("first", "last")
_ACTIVITY = ("active %", "at top %")
_ENERGY = ("energy %", "energy uJ")
_CORES = ("cores", "fullest core")
_MANY = 60  # rows that open on a click
_NOTE = (
    "Events: synaptic events a frame that reach the neurons. Bits: width of the weights, sign "
    "included. First and last: steps at which spikes may leave. Active: values above the lowest "
    "level. At top: values at the highest level. Energy: of a frame, by the cost model. Levels: "
    "those that a value can have."
)
_ON_CORES = (
    "Cores: those of the population alone; shared: it lies on a core with others. Fullest core: "
    "the resource that runs out first."
)
_MAP = (
    "The cores of each population, coloured by the resource that runs out first: the fuller, the "
    "darker. Frames without colour are cores that several populations share."
)


def populations(subject: Subject, levels: LevelCounts | None) -> Section:
    """One row for each population."""
    on_chip = subject.report.cores is not None
    columns = [*_COLUMNS, *_STEPS, *(_ACTIVITY if levels else ()), *_ENERGY]
    columns += _CORES if on_chip else ()
    rows = [list(_row(subject, row, levels, on_chip)) for row in subject.network.rows]
    columns.append("ONNX nodes")
    note = f"{_NOTE} {_ON_CORES}" if on_chip else _NOTE
    table = Table(columns, rows, words=True, kinds=(1,))
    section = Section("Populations", tables=[table], notes=[note])
    if len(rows) > _MANY:
        section.many = f"All {len(rows)} populations"
    return section


def _row(subject: Subject, row: Row, levels: LevelCounts | None, on_chip: bool) -> Iterator[Any]:
    (found,) = row.members
    yield from (found.name, found.kind, found.neurons, found.synapses)
    yield from (round(subject.energy.arriving.get(found.name, 0.0)), found.t_max)
    yield "" if found.weight_bits is None else found.weight_bits
    yield from (found.first_step, found.last_step)
    if levels is not None:
        yield f"{100 * (1 - levels.share(found.name, 0)):.1f}"
        yield f"{100 * levels.share(found.name, -1):.2f}"
    energy, total = _energy(subject, found.name), subject.energy.causes.total
    yield f"{100 * energy / total:.1f}" if total else ""
    yield number(energy)
    if on_chip:
        name, share = fullest(row)
        yield "" if found.cores is None else "shared" if found.shares_core else found.cores
        yield f"{share:.0%} {name}" if found.core_use else ""
    yield ", ".join(found.origin)


def _energy(subject: Subject, name: str) -> float:
    """That of a population and its markers."""
    return sum(causes.total for causes in _causes(subject, name))


def _causes(subject: Subject, name: str) -> Iterator[Causes]:
    energy = subject.energy
    for one in (name, *(marker for marker, of in energy.wiring.marked.items() if of == name)):
        if one in energy.populations:
            yield energy.populations[one]


def energy_bars(subject: Subject, rows: Network) -> Mapping[str, Causes]:
    """The energy of each row, markers included, and of the clock."""
    found, populations = {}, subject.energy.populations
    for row in rows.rows:
        parts = [causes for one in row.members for causes in _causes(subject, one.name)]
        sums = {field: sum(vars(one)[field] for one in parts) for field in vars(Causes())}
        found[row.members[0].name if len(row.members) == 1 else row.label] = Causes(**sums)
    return found | ({CLOCK: populations[CLOCK]} if CLOCK in populations else {})


def energy_and_cores(subject: Subject) -> Section:
    """Energy by population and cause, and for targets with a chip the fullest cores."""
    found, rows = subject.energy, subject.network
    basis = {"assumed": "if half of all values are zero", "calibration": "on calibration data"}
    about = basis.get(found.basis, f"on {found.frames:,} frames")
    text = f"Energy of a frame {about}, by the cost model {found.model.name}: an estimate."
    folded, on_chip = rows.folded(), subject.report.cores is not None

    def drawn(chosen: Network) -> list[Picture]:
        energy = Picture(energy_figure(energy_bars(subject, chosen)), "Energy by population", text)
        return [energy, _cores(subject, chosen)] if on_chip else [energy]

    section = Section("Energy and cores" if on_chip else "Energy", pictures=drawn(folded))
    if on_chip:
        section.pictures = [*section.pictures, Picture(square_figure(folded), "Core map", _MAP)]
    if folded is not rows:
        section.folded = drawn(rows)
        section.folded_title = f"All {len(rows.rows)} populations"
    return section


def _cores(subject: Subject, rows: Network) -> Picture:
    report = subject.report
    chips = f"{report.chips:,} chip{'s' * (report.chips != 1)}"
    text = (
        f"At least {report.cores:,} cores on {chips} of {report.chip}, clock included, as "
        "estimated from public limits. The cores of a population are alike; the bar is the "
        "resource that runs out first on the fullest."
    )
    return Picture(core_figure(rows), "Cores", text)
