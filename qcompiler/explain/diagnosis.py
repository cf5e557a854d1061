"""Where a compiled program and its ONNX model part, and why: `qrun --explain`.

All places up to a layer spike, the rest of the network is real: the share of frames that are then
answered otherwise than by the real network belongs to what is lost up to that layer. The networks
part at the first layer from which on it stays above 1 %. There each rung of the layer's `ladder`
is run through the rest of the network, and the one that costs the most frames is the cause.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from qcompiler.backends.program import Program
from qcompiler.data import Data
from qcompiler.explain.causes.layer import other_model, verdict
from qcompiler.explain.causes.verdict import BIAS, WEIGHTS, Verdict
from qcompiler.explain.measure.histograms import Sketch, sketch
from qcompiler.explain.measure.layer_error import ladder
from qcompiler.explain.measure.onnx_reference import run_onnx
from qcompiler.explain.measure.pairing import Place, places, real_network
from qcompiler.explain.measure.scores import RealScores, relative
from qcompiler.explain.measure.side_by_side import Twin, frames_for

from .causes import wrong_input

TOLERATED = 0.01  # share of frames, or of the variance of what is no class
_SAME = 1e-3  # of the spread of scores: two runs in single precision differ by less


@dataclass(frozen=True)
class LayerLoss:
    """One layer; errors are root mean squares as shares of the spread of the real values.

    ``apart`` is the share of frames answered otherwise (of the scores' variance, if these are no
    classes) if everything up to here spikes and the rest is real. ``error`` is that of the values,
    ``own`` what the layer adds to what it inherits, ``parts`` that by the rungs of its ladder.
    """

    name: str
    origin: tuple[str, ...]
    neurons: int
    t_max: int
    step: float
    apart: float
    error: float
    own: float
    parts: dict[str, float]
    dead: tuple[int, ...]
    sketch: Sketch | None = field(repr=False)


@dataclass(frozen=True)
class Explanation:
    """What was found on some frames; ``first`` is None if the networks agree.

    ``apart`` is the share of frames that the program answers otherwise than the model, or of the
    variance of scores that are no ``classes``. ``worst`` is where the most is lost, if elsewhere.
    """

    frames: int
    given: int
    classes: bool
    apart: float
    layers: tuple[LayerLoss, ...]
    first: Verdict | None
    worst: Verdict | None
    notes: tuple[str, ...]

    @property
    def largest(self) -> LayerLoss:
        """The layer whose values are furthest from the real ones."""
        return max(self.layers, key=lambda layer: layer.error)

    def to_dict(self) -> dict[str, Any]:
        """What is known as plain JSON, without pictures."""
        layers = [asdict(replace(layer, sketch=None)) for layer in self.layers]
        for layer in layers:
            del layer["sketch"]
        return {
            "frames": self.frames,
            "agree": self.first is None,
            "apart": self.apart,
            "first": None if self.first is None else asdict(self.first),
            "worst": None if self.worst is None else asdict(self.worst),
            "notes": list(self.notes),
            "layers": layers,
        }


def explain(
    program: Program,
    model: Path,
    data: Data,
    progress: Callable[[float], None] = lambda share: None,
) -> Explanation:
    """Run program and model side by side on as many frames as time and memory allow.

    ``data`` are as `data.read` arranges them. Raises ProgramError for a model that does not match
    the program, other CompileErrors for one that cannot be read or run.
    """
    real = real_network(model, program.manifest)
    found = places(program, real, model)
    chosen = data.spread(frames_for(program, real, len(data)))
    twin = Twin(program, real, found, tuple(x.astype(np.float32) for x in chosen.arrays))
    real_scores = RealScores.of(twin)
    layers: list[LayerLoss] = []
    for index, place in enumerate(found):
        layers.append(_loss(twin, index, place, real_scores))
        progress((index + 1) / (len(found) + 2))
    where = _where([layer.apart for layer in layers])
    first, worst = (None if at is None else _cause(twin, at, real_scores, model) for at in where)
    progress((len(found) + 1) / (len(found) + 2))
    wrong = wrong_input.find(twin, model, chosen, first)
    if wrong is not None:
        first, worst = wrong, first if first and first.layer != wrong.layer else None
    notes = _notes(twin, model, chosen, real_scores)
    progress(1.0)
    return Explanation(
        frames=len(chosen),
        given=len(data),
        classes=real_scores.classes,
        apart=layers[-1].apart,
        layers=tuple(layers),
        first=first,
        worst=worst,
        notes=tuple(notes),
    )


def _loss(twin: Twin, index: int, place: Place, real: RealScores) -> LayerLoss:
    steps = ladder(twin, index)
    theirs, ours = twin.values[place.name], twin.spiking(place)
    spread = float(np.std(theirs, dtype=np.float64)) or 1.0
    code, step = place.code, twin.step(place)
    bottom, top = np.min(-code.zero * step), np.max((place.tops - code.zero) * step)
    return LayerLoss(
        name=place.name,
        origin=place.node.origin,
        neurons=place.neurons,
        t_max=code.t_max,
        step=float(np.median(step)),
        apart=real.apart(twin.answers(index)),
        error=relative(ours - theirs, theirs),
        own=relative(ours - steps.base, theirs),
        parts={name: loss**0.5 / spread for name, loss in steps.losses().items()},
        dead=steps.dead,
        sketch=sketch(theirs, ours, float(bottom), float(top)),
    )


def _where(apart: list[float]) -> tuple[int | None, int | None]:
    """The layer from which on the networks stay apart, and a later one that loses more."""
    if apart[-1] <= TOLERATED:
        return None, None
    within = [index for index, share in enumerate(apart) if share <= TOLERATED]
    first = within[-1] + 1 if within else 0
    steps = np.diff(apart, prepend=0.0)
    worst = first + int(np.argmax(steps[first:]))
    return first, worst if worst != first and steps[worst] > TOLERATED else None


def _cause(twin: Twin, index: int, real: RealScores, model: Path) -> Verdict:
    """Run every rung of a layer's ladder through the rest of the network.

    Where counts of frames tell no two rungs apart, the distance of the scores does.
    """
    steps = ladder(twin, index)
    scores = [twin.answers(index, value) for value in (steps.base, *(v for _, v in steps.steps))]
    names = [name for name, _ in steps.steps]
    lost = np.diff([real.apart(one) for one in scores])
    order = np.argsort(-lost)
    most, second = lost[order[:2]] * len(twin)
    if not real.classes or most - second <= np.sqrt(max(0.0, most)):
        order = np.argsort(-np.diff([real.distance(one) for one in scores]))
    decided = dict(zip(names, map(float, lost), strict=True))
    found = verdict(twin, index, names[order[0]], steps, decided, real.classes)
    if found.cause in (WEIGHTS, BIAS) and other_model(twin.program, model):
        return replace(
            found, remedy=f"compile {model.name}: the program was compiled from another model"
        )
    return found


def _notes(twin: Twin, model: Path, data: Data, real: RealScores) -> list[str]:
    """What else a reader has to know."""
    found = []
    if other_model(twin.program, model):
        found.append(f"{model.name} is not the file that was compiled")
    if twin.scores == tuple(value.name for value in twin.real.outputs[:1]):
        expected = run_onnx(model, data, twin.program.manifest.get("preprocessing", {}))
        off = relative(expected - real.scores[0], expected)
        if off > _SAME:
            found.append(
                f"qcompiler and onnxruntime compute different scores for {model.name}: the error "
                f"is {off:.2%} of their standard deviation; this is a bug in qcompiler, please "
                "report it"
            )
    return found
