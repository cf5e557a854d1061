"""What an importer raises: the node is not supported, or not valid."""

from __future__ import annotations

import re

_MARKS = re.compile(r"\[\w+Error\] |\(op_type:[^)]*\):? ?|Inference error\(s\): ")


class Refused(Exception):
    """The node is not supported: the reason, and what helps."""

    def __init__(self, reason: str, help_: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.help = help_


class MixesBatch(Refused):
    """The node does not keep samples apart, unless there is only one."""


class RefusedProduct(Refused):
    """The node multiplies values that depend on the data, whatever their size."""


def differs(what: str) -> MixesBatch:
    """The refusal of a constant that is not the same for all samples."""
    return MixesBatch(
        f"{what} differs between samples of a batch",
        "give it one row for all samples, or export the model with a batch of one sample",
    )


def fixes_batch(op_type: str) -> Refused:
    """The refusal of what is only right for the batch size that the model was exported with."""
    return Refused(
        f"{op_type} assumes a fixed batch size, but the input of the model has a variable one",
        "fix the batch size at the one that the model was exported with, as --input-shape "
        "NAME=1,.. for one sample, or export the model with an open one: -1 in shapes",
    )


class InvalidNode(Exception):
    """The node is not valid ONNX."""


def first_line(error: Exception) -> str:
    """The first line of a message, without onnx's marks in front of it."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return _MARKS.sub("", line)
