"""The tensor level: what the trained network computes, in real numbers."""

from .arrangement import Concat, Pad
from .elementwise import Add, Clip, Function, Multiply
from .host import ArgMax, Embed, Fill, Lookup, OnHost, Rescale, Softmax, TopK
from .integers import CumSum, Feed, Integer, Reduce
from .linear import Affine, BatchNorm, Conv, Dense
from .pooling import MaxPool, SumPool

__all__ = [
    "Add",
    "Affine",
    "ArgMax",
    "BatchNorm",
    "Clip",
    "Concat",
    "Conv",
    "CumSum",
    "Dense",
    "Embed",
    "Feed",
    "Fill",
    "Function",
    "Integer",
    "Lookup",
    "MaxPool",
    "Multiply",
    "OnHost",
    "Pad",
    "Reduce",
    "Rescale",
    "Softmax",
    "SumPool",
    "TopK",
]
