"""Where the predictions of a compiled program and its ONNX model differ, and why: `qrun --explain`.

For each layer, all layers up to it spike and the rest of the network is real; the changed
predictions are then due to the loss up to that layer. The networks differ from the first layer
after which this share stays above 1 %. There each stage of the error decomposition (`decompose`)
is run through the rest of the network; the one that changes the most predictions is the cause.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from qcompiler.backends.program.program import Program
from qcompiler.data import Data, Frames
from qcompiler.explain.causes.layer import other_model, verdict
from qcompiler.explain.causes.verdict import BIAS, LEVELS, WEIGHTS, Verdict
from qcompiler.explain.measure.histograms import joint_histogram
from qcompiler.explain.measure.layer_error import decompose
from qcompiler.explain.measure.matched_layer import MatchedLayer
from qcompiler.explain.measure.onnx_reference import run_onnx
from qcompiler.explain.measure.pairing import match_layers
from qcompiler.explain.measure.real_network import real_network
from qcompiler.explain.measure.scores import RealScores, relative
from qcompiler.explain.measure.side_by_side import SideBySide, frames_for
from qcompiler.passes.folding.codes import most_levels

from .causes import wrong_input
from .explanation import Explanation, LayerLoss
from .given import check_given

_ALONE = (
    "this explains single frames, which begin from states without errors: in a stream, states "
    "carry errors on, and outputs may err by more"
)
TOLERATED = wrong_input.HARDLY  # share of frames, or of the variance of what is no class
_CLOSE = 0.02  # spreads of scores: two that are nearer say little about the class
_SAME = 1e-3  # of the spread of scores: two runs in single precision differ by less


def explain(
    program: Program,
    model: str | Path,
    data: Frames,
    progress: Callable[[float], None] = lambda share: None,
) -> Explanation:
    """Run program and model side by side on as many frames as time and memory allow.

    ``model`` is the path of the ONNX file, ``data`` are as `data.read` arranges them. Raises
    ProgramError for a model that does not match the program, other CompileErrors for one that
    cannot be read or run, and for arguments of other kinds.
    """
    check_given(program, model, data)
    model = Path(model)
    real = real_network(model, program)
    found = match_layers(program, real, model)
    chosen = data.spread(frames_for(program, real, len(data)))
    arrays = tuple(x.astype(np.float32) for x in program.network_inputs(*chosen.arrays))
    networks = SideBySide(program, real, found, arrays)
    real_scores = RealScores.of(networks, chosen.labels)
    layers: list[LayerLoss] = []
    for index, layer in enumerate(found):
        layers.append(_loss(networks, index, layer, real_scores))
        progress((index + 1) / (len(found) + 2))
    changed = [layer.changed for layer in layers]
    where = _where(changed)
    first, worst = (
        None if at is None else _cause(networks, at, real_scores, model) for at in where
    )
    progress((len(found) + 1) / (len(found) + 2))
    coded = program.prologue is None  # else its data are indices, no quantities
    by = np.diff(changed, prepend=0.0).tolist()
    wrong = wrong_input.find(networks, model, chosen, first, by) if coded else None
    if wrong is not None:
        first, worst = wrong, first if first and first.layer != wrong.layer else None
    notes = _notes(networks, model, chosen, real_scores)
    progress(1.0)
    return Explanation(
        frames=len(chosen),
        given=len(data),
        classes=real_scores.classes,
        changed=layers[-1].changed,
        layers=tuple(layers),
        first=first,
        worst=worst,
        notes=tuple(notes),
    )


def _loss(networks: SideBySide, index: int, layer: MatchedLayer, real: RealScores) -> LayerLoss:
    steps = decompose(networks, index)
    theirs, ours = networks.values[layer.name], networks.spiking(layer)
    spread = float(np.std(theirs, dtype=np.float64)) or 1.0
    code, step = layer.code, networks.step(layer)
    bottom, top = np.min(-code.zero * step), np.max((layer.tops - code.zero) * step)
    return LayerLoss(
        name=layer.label,
        origin=layer.node.origin,
        neurons=layer.neurons,
        t_max=code.t_max,
        step=float(np.median(step)),
        changed=real.changed_share(networks.hybrid_scores(index)),
        error=relative(ours - theirs, theirs),
        own=relative(ours - steps.base, theirs),
        parts={name: loss**0.5 / spread for name, loss in steps.losses().items()},
        dead=steps.dead,
        histogram=joint_histogram(theirs, ours, float(bottom), float(top)),
    )


def _where(changed: list[float]) -> tuple[int | None, int | None]:
    """The layer from which on the predictions differ, and a later one that loses more."""
    if changed[-1] <= TOLERATED:
        return None, None
    within = [index for index, share in enumerate(changed) if share <= TOLERATED]
    first = within[-1] + 1 if within else 0
    steps = np.diff(changed, prepend=0.0)
    worst = first + int(np.argmax(steps[first:]))
    return first, worst if worst != first and steps[worst] > TOLERATED else None


def _cause(networks: SideBySide, index: int, real: RealScores, model: Path) -> Verdict:
    """Run every stage of a layer's error decomposition through the rest of the network.

    Where counts of frames do not separate two stages, the distance of the scores does. Errors above
    the spread of the values are more than either can tell: there the largest is the cause.
    """
    steps = decompose(networks, index)
    scores = [
        networks.hybrid_scores(index, value) for value in (steps.base, *(v for _, v in steps.steps))
    ]
    names = [name for name, _ in steps.steps]
    lost = np.diff([real.changed_share(one) for one in scores])
    order = np.argsort(-lost)
    most, second = lost[order[:2]] * len(networks)
    if not real.classes or most - second <= np.sqrt(max(0.0, most)):
        order = np.argsort(-np.diff([real.distance(one) for one in scores]))
    theirs = networks.values[networks.layers[index].name]
    if relative(steps.steps[-1][1] - steps.base, theirs) > 1:
        losses = steps.losses()
        order = np.argsort([-losses[name] for name in names])
    decided = dict(zip(names, map(float, lost), strict=True))
    found = verdict(networks, index, names[order[0]], steps, decided, real.classes)
    if found.cause == LEVELS and real.classes:
        close = _close(real.margin(networks.hybrid_scores(index)))
        found = replace(found, detail=close + found.detail)
    if found.cause in (WEIGHTS, BIAS) and other_model(networks.program, model):
        return replace(
            found, remedy=f"compile {model.name}: the program was compiled from another model"
        )
    return found


def _close(margin: float) -> str:
    """What to know first where only classes change that the model hardly tells apart."""
    if margin > _CLOSE:
        return ""
    return (
        f"only frames change whose two best scores in the ANN lie within {margin:.2%} of the "
        "spread of scores, which any rounding may swap; "
    )


def _notes(networks: SideBySide, model: Path, data: Data, real: RealScores) -> list[str]:
    """What else a reader has to know."""
    found = [_ALONE] if networks.program.states else []
    if other_model(networks.program, model):
        found.append(f"{model.name} is not the file that was compiled")
    rounds = most_levels(networks.real) > 0  # as onnxruntime does, but not the real network
    if not rounds and networks.scores == tuple(v.name for v in networks.real.outputs[:1]):
        expected = run_onnx(model, data, networks.program.manifest)
        off = relative(expected - real.scores[0], expected)
        if off > _SAME:
            found.append(
                f"qcompiler and onnxruntime compute different scores for {model.name}: the error "
                f"is {off:.2%} of their standard deviation; this is a bug in qcompiler, please "
                "report it"
            )
    return found
