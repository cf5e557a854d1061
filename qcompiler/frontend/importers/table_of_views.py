"""Importers of operators that only move values, and of casts."""

from __future__ import annotations

from collections.abc import Mapping

from qcompiler.frontend.importers.composites.normalizer import normalizer
from qcompiler.frontend.importers.elementwise.arithmetic import concat
from qcompiler.frontend.importers.elementwise.casts import cast
from qcompiler.frontend.importers.layers.sklearn import array_feature_extractor
from qcompiler.frontend.importers.views.movement import rearrange
from qcompiler.frontend.importers.views.passthrough import dropout, identity
from qcompiler.frontend.importers.views.reshape import flatten, reshape, squeeze, unsqueeze
from qcompiler.frontend.importers.views.slicing import gather, slice_, split

from . import batch_axis
from .batch_places import Importer

# What only moves values: no neurons, and it may follow an operator of `HOST`.
VIEWS: Mapping[str, Importer] = {
    "Cast": cast,
    "CastLike": cast,
    "CenterCropPad": rearrange,
    "Compress": rearrange,
    "Concat": concat,
    "DepthToSpace": rearrange,
    "Dropout": dropout,
    "Expand": rearrange,
    "Flatten": flatten,
    "Gather": gather,
    "GatherElements": rearrange,
    "GatherND": rearrange,
    "Identity": identity,
    "Reshape": reshape,
    "ReverseSequence": rearrange,
    "Slice": slice_,
    "SpaceToDepth": rearrange,
    "Split": split,
    "Squeeze": squeeze,
    "Tile": rearrange,
    "Transpose": batch_axis.transpose,
    "Unsqueeze": unsqueeze,
    "ai.onnx.ml.ArrayFeatureExtractor": array_feature_extractor,
    "ai.onnx.ml.Normalizer": normalizer,
}
