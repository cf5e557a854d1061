"""Copies of a layer with some of its channels, or at some of its pixels."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from qcompiler.ir import Graph, Node, Value
from qcompiler.ir.ann import Conv
from qcompiler.ir.index_maps import Shape, arrangements
from qcompiler.ir.kernels import Array
from qcompiler.passes.folding.linear import expand_rows, replace_weights

from .view_chains import views_of


def with_channels(layer: Node, channels: Array, graph: Graph, name: str) -> tuple[Node, ...]:
    """A copy of a layer with some of its channels, the result of which has this name."""
    shape, (weight, bias) = layer.result.type.shape, layer.arrays
    some = replace(layer, result=_result(layer, name, (len(channels), *shape[1:])))
    bias = expand_rows(bias, shape)[channels]
    return (replace_weights(some, layer.operands[0], weight[channels], bias),)


def with_pixels(layer: Node, pixels: Array, graph: Graph, name: str) -> tuple[Node, ...]:
    """The same at some of its pixels, which stand in a line; behind views that take these.

    For layers that sum the channels of each pixel.
    """
    source, (weight, bias) = layer.operands[0], layer.arrays
    assert isinstance(source, Value) and isinstance(layer.op, Conv)
    line, channels = prod(source.type.shape[1:]), source.type.shape[0]
    places = np.arange(channels * line).reshape(channels, line)[:, pixels]
    taken = Value(graph.fresh(f"{name}:source"), replace(source.type.layout, shape=places.shape))
    chain = list(arrangements(places, source.type.shape))
    views = views_of(graph, source, chain, replace(layer, result=taken), layer.origin)
    assert isinstance(views, tuple)
    op = replace(layer.op, strides=(1,), pads=(0, 0), dilations=(1,))
    some = replace(layer, op=op, result=_result(layer, name, (len(weight), len(pixels))))
    if bias.size > len(bias):
        bias = np.broadcast_to(bias, layer.result.type.shape).reshape(len(weight), line)[:, pixels]
    kernel, shift = weight.reshape(*weight.shape[:2], 1), bias.reshape(len(bias), -1)
    return (*views, replace_weights(some, taken, kernel, shift))


def _result(layer: Node, name: str, shape: Shape) -> Value:
    return Value(name, replace(layer.result.type, shape=shape))
