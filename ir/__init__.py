"""The intermediate representation: one graph type with a tensor level and a spiking level.

Start with `types`, `ops`, `graph` and `builder`; then `ann` (tensor operators), `view` (index
operators) and `snn` (spiking operators). `rewriting` and `verify` serve the passes. The other
folders hold execution, text formats, and the arithmetic of spikes.
"""

from .builder import Builder, infer
from .diagnostics import (
    CompileError,
    CompileWarning,
    DataError,
    Diagnostic,
    InvalidGraph,
    InvalidModel,
    PipelineError,
    ProgramError,
    UnsupportedModel,
    raise_if_any,
)
from .execution.evaluate import evaluate
from .formats.networkx_graph import to_networkx
from .formats.parser import parse
from .formats.text import show, show_node
from .graph import Constant, Graph, Node, Operand, Value, origins
from .ops import Op
from .rewriting.rewrite import Rule, drop_dead, rewrite, substitute
from .types import Current, Range, Spikes, Tensor, Tick, Type, size
from .verify import Invariant, verify

__all__ = [
    "Builder",
    "CompileError",
    "CompileWarning",
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
