"""Importers of what scikit-learn's pipelines put around a network: scalers and labels."""

from __future__ import annotations

import numpy as np

from qcompiler.ir import Tensor, Value, size
from qcompiler.ir.ann import Affine
from qcompiler.ir.view import Reshape

from .onnx_tensor import Array
from .step import Broken, Refused, Step

_LABELS = "export the classifier for labels 0, 1, 2, .., and look its own labels up afterwards"


def scaler(step: Step) -> Value:
    """Scaler of ai.onnx.ml: ``(x - offset) * scale``, one of each a feature."""
    x = step.activation()
    offset, scale = (_features(step, name, x) for name in ("offset", "scale"))
    shift = step.constant("shift", -offset * scale)
    return step.add(Affine(), x, step.constant("scale", scale), shift)


def _features(step: Step, name: str, x: Value) -> Array:
    given = np.asarray(step.attributes.get(name, ()), np.float32)
    if len(x.type.shape) != 1 or given.size not in (1, x.type.shape[0]):
        raise Broken(f"has {given.size} numbers as its {name} for samples of {x.type.shape}")
    return given


def array_feature_extractor(step: Step) -> Value:
    """ArrayFeatureExtractor of ai.onnx.ml, where it looks up the label of an index."""
    labels, index = step.fixed(0, "labels"), step.item(1)
    if labels is None or not isinstance(index, Value) or size(index.type) != 1:
        raise Refused("ArrayFeatureExtractor is only supported for labels of a classifier")
    assert isinstance(index.type, Tensor)
    if index.type.dtype != "i64" or not np.array_equal(labels.ravel(), np.arange(labels.size)):
        raise Refused("labels that are not 0, 1, 2, .. are not supported", _LABELS)
    return step.add(Reshape(()), index)
