"""The intermediate representation: one graph, a tensor level and a spiking level."""

from .diagnostics import (
    CompileError,
    DataError,
    Diagnostic,
    InvalidGraph,
    InvalidModel,
    PipelineError,
    ProgramError,
    UnsupportedModel,
    raise_if_any,
)
from .evaluate import evaluate
from .graph import Builder, Constant, Graph, Node, Operand, Value, infer, origins
from .netx import to_networkx
from .ops import Op
from .parser import parse
from .rewrite import Rule, drop_dead, rewrite, substitute
from .text import show, show_node
from .types import Current, Range, Spikes, Tensor, Tick, Type, size
from .verify import Invariant, verify

__all__ = [
    "Builder",
    "CompileError",
    "Constant",
    "Current",
    "DataError",
    "Diagnostic",
    "Graph",
    "InvalidGraph",
    "InvalidModel",
    "Invariant",
    "Node",
    "Op",
    "Operand",
    "PipelineError",
    "ProgramError",
    "Range",
    "Rule",
    "Spikes",
    "Tensor",
    "Tick",
    "Type",
    "UnsupportedModel",
    "Value",
    "drop_dead",
    "evaluate",
    "infer",
    "origins",
    "parse",
    "raise_if_any",
    "rewrite",
    "show",
    "show_node",
    "size",
    "substitute",
    "to_networkx",
    "verify",
]
