"""The network that a compilation lowers, read from a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from qcompiler.arguments import flag, integer
from qcompiler.frontend.import_model import Imported, import_model
from qcompiler.frontend.input_axes import stated_axes
from qcompiler.ir import Graph, Range, UnsupportedModel, raise_if_any
from qcompiler.ir.prologue import split_prologue, with_ranges_of_tables
from qcompiler.passes.folding.codes import input_codes, most_levels, without_codes
from qcompiler.size_limits import costly_products, oversized, oversized_prologue

from .options import DEFAULT_T_MAX, Options
from .products import model_products

if TYPE_CHECKING:
    import onnx

    Model: TypeAlias = "str | Path | bytes | onnx.ModelProto | Graph"


@dataclass(frozen=True)
class Network:
    """A model as imported, and its graph behind what the host computes in front.

    ``t_max`` is the number of levels of values that have no code of their own; ``bounds`` are the
    ends of the codes that inputs have in the model, by name.
    """

    imported: Imported
    prologue: Graph | None
    graph: Graph
    t_max: int
    bounds: dict[str, Range]

    def manifest(self, options: Options) -> dict[str, Any]:
        """What a program remembers of it, as JSON data."""
        found: dict[str, Any] = {"macs": model_products(self.graph, self.imported)}
        if options.axes:
            found["input_shapes"] = {n: list(a) for n, a in stated_axes(options.axes).items()}
        if options.values:
            found["input_values"] = dict(options.values)
        if self.imported.batch_axes:
            found["batch_axes"] = dict(self.imported.batch_axes)
        if self.imported.unread:
            found["unread_inputs"] = list(self.imported.unread)
        return found


def read_network(model: Model, options: Options) -> Network:
    """Import a model; UnsupportedModel if it takes more than the limits that are set."""
    imported = _imported(model, options)
    prologue, graph = split_prologue(imported.graph)
    raise_if_any(oversized_prologue(prologue), UnsupportedModel)
    if prologue is not None and options.calibration is None:
        graph = with_ranges_of_tables(prologue, graph)
    raise_if_any(oversized(graph, options.max_neurons, options.max_memory), UnsupportedModel)
    bounds = input_codes(graph)
    t_max = DEFAULT_T_MAX if options.t_max is None else integer(options.t_max, "t_max")
    if any(x is not None for x in (options.t_max, options.max_drop, options.max_drift)):
        graph = without_codes(graph, t_max)
    else:
        t_max = max(t_max, most_levels(graph))
    if not flag(options.allow_products, "allow_products"):
        raise_if_any(costly_products(graph, t_max), UnsupportedModel)
    return Network(imported, prologue, graph, t_max, bounds)


def _imported(model: Model, options: Options) -> Imported:
    before, axes = options.before, options.axes
    if not isinstance(model, Graph):
        return import_model(model, before, True, axes, options.values)
    if before.active:
        raise UnsupportedModel("only ONNX models take preprocessing; a Graph must include its own")
    if axes:
        raise UnsupportedModel("only ONNX models take input_shapes; a Graph has its own")
    if options.values:
        raise UnsupportedModel("only ONNX models take input_values; a Graph has constants")
    return Imported(model, ())
