"""The page of `qrun --page`: one HTML file with its pictures in it, in need of nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from qcompiler.report.page import Page, Picture, Section, Table, render

from .explanation import Explanation, LayerLoss
from .layer_figures import layer_figure, loss_figure
from .text import columns, rows, sentences

_LAYERS = (
    "Of each layer: all layers up to it spike, the rest of the network computes real numbers.",
    "Changed: share of frames whose prediction differs from the ANN's (without classes: squared "
    "error of the scores, relative to their variance). Error: root-mean-square error of the "
    "layer's values, relative to the standard deviation of the ANN's values. Own: the part of the "
    "error that the layer adds to the error of its inputs, split by cause.",
)
_VALUES = (
    "To the left, each value in the ANN against the same value in the spiking network: the darker, "
    "the more values (logarithmic); on the diagonal both are equal, dashed are the lowest and the "
    "highest level. To the right, how often each value occurs in both."
)


def page(found: Explanation, program: str, model: str) -> str:
    """The whole page; ``program`` and ``model`` are what it calls the two networks.

    Raises ProgramError if the extra ``report`` is not installed.
    """
    title, (first, *lines) = f"{program} against {model}", sentences(found)
    marked = [
        number
        for number, layer in enumerate(found.layers)
        if found.first is not None and found.first.layer == layer.name
    ]
    losses = Picture(loss_figure(found.layers), "Own error by cause", "Own error of each layer.")
    table = Table(columns(found), rows(found), marked=marked)
    sections = [
        Section("Result", facts=lines),
        Section("Layers", _LAYERS, tables=[table], pictures=[losses]),
        Section("Values", [_VALUES], pictures=list(_layers(found))),
    ]
    return render(Page(title, " ".join(first), sections=sections))


def _layers(found: Explanation) -> Iterator[Picture]:
    for layer in found.layers:
        if layer.histogram is not None:
            yield Picture(layer_figure(layer.histogram), "Values of a layer", _about(layer))


def _about(layer: LayerLoss) -> str:
    origin = f" ({', '.join(layer.origin)})" if layer.origin else ""
    text = f"{layer.name}{origin}: {layer.neurons:,} neurons, {layer.t_max} levels, step "
    text += f"{layer.step:.4g}"
    if layer.dead:
        text += f", {len(layer.dead)} dead channels, which never change"
    return text
