"""One compilation from model to program, and what its passes note on the way."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qcompiler.backends.program.program import Program
from qcompiler.backends.program.states import carried_states
from qcompiler.frontend.model.onnx_file import identity
from qcompiler.ir import DataError, Graph, UnsupportedModel
from qcompiler.ir.prologue import joined, split_prologue
from qcompiler.manifest.channel_scales import ScaleRecorder
from qcompiler.manifest.rebuild import built_with
from qcompiler.manifest.rounding import rounding_of
from qcompiler.passes import Pipeline
from qcompiler.passes.folding.codes import most_levels
from qcompiler.passes.quantization.levels import coded_inputs
from qcompiler.passes.requantization.exact_layer import ExactLayer
from qcompiler.search.pareto import OBJECTIVES

from .core_limits import check_core_limits
from .findings import findings
from .network import Network, read_network
from .options import Options
from .pass_warnings import PassWarnings
from .pipelines import check_compiled, pipeline
from .products import neurons_of_products
from .samples import Samples, read_samples

if TYPE_CHECKING:
    from qcompiler.search.pareto import SearchResult

    from .network import Model


class Compilation:
    """A model, its options, and what is known of them before passes run.

    Raises a `CompileError` for what does not fit.
    """

    def __init__(self, model: Model, options: Options) -> None:
        self.model = model
        self.options = options
        options.check()
        self.backend = options.backend
        self.network: Network = read_network(model, options)
        self.parts: dict[str, list[int]] = {}
        self.rounding: dict[str, ExactLayer | None] = {}
        self.samples: Samples = read_samples(self.network, options)
        coded = self.samples.coded
        self.images = None if coded is None else coded.arrays
        self.steps = self._pipeline(options)

    def program(self) -> Program:
        """Search if asked, run the passes, and compare the result with the model.

        Elements of a state that differ in size have one scale where weights cannot make up for it.
        """
        try:
            return self._program()
        except UnsupportedModel:
            alike = self.samples.alike
            if alike is None or coded_inputs(alike) == coded_inputs(self.samples.graph):
                raise
        self.samples = replace(self.samples, graph=alike)
        return self._program()

    def _program(self) -> Program:
        graph = self.samples.graph
        recorder = ScaleRecorder(graph, self.images, self.options.watch, self.parts)
        looked_up = self.network.prologue is not None
        told = PassWarnings(graph, recorder, self.backend.most_weight_bits, looked_up)
        searches = self.options.budget is not None
        watch = check_core_limits(graph, self.steps, self.backend, told, now=searches)
        searched = self._searched() if searches else None
        steps = self._cheaper() if searched is None else searched.pipeline
        self.parts.clear()
        self.rounding.clear()
        compiled = steps.run(graph, watch)
        check_compiled(compiled, self.backend)
        manifest = {**self._manifest(steps, compiled), **recorder.manifest}
        if spent := neurons_of_products(compiled, told.products):
            manifest["product_neurons"] = spent
        if searched is not None:
            manifest["search"] = searched.to_dict()
        program = Program(compiled, self.backend, manifest)
        found = findings(self.model, self.network, self.samples, self.options, program, told.missed)
        if told.texts:
            found["warnings"] = [*told.texts, *found.get("warnings", [])]
        manifest |= found
        prologue, whole = split_prologue(joined(self.network.prologue, compiled))
        return replace(program, prologue=prologue, graph=whole)

    def _cheaper(self) -> Pipeline:
        """The pipeline, or that of the default if it costs less by the objective."""
        options = self.options
        objective = next(known for known in OBJECTIVES if known == options.objective)
        if objective == "latency" or self.images is None:
            return self.steps
        from qcompiler.search.halves import Measuring

        default = self._pipeline(replace(options, objective="latency"))
        priced = Measuring(self.samples.graph, self.backend, self.images, True)
        if priced.least((self.steps, default), objective) is self.steps:
            return self.steps
        (options.tell or _ignore)(
            f"by the cost model the default takes less than --objective {objective}: "
            "the default is compiled"
        )
        return default

    def _pipeline(self, options: Options) -> Pipeline:
        """The pipeline with these options, and where it notes what it does."""
        told = options.of_passes(self.network.t_max)
        told |= {"note": self.parts.__setitem__, "rounding": self.rounding.__setitem__}
        if self.images is not None:
            told["calibration"] = self.images
        return pipeline(options.target, options.passes, told)

    def _searched(self) -> SearchResult:
        options, coded = self.options, self.samples.coded
        assert options.budget is not None and coded is not None
        if options.budget.kind == "drop" and coded.labels is None:
            message = "--max-drop needs labels of the calibration data: give --labels"
            raise DataError(message)
        from qcompiler.search.objective import search_for
        from qcompiler.search.trials import Trials

        given = self.samples.graph, self.steps, self.backend, coded.arrays, coded.labels
        ends = options.budget, options.tell or _ignore
        return search_for(
            options.objective, lambda costs: Trials(*given, *ends, costs, options.client)
        )

    def _manifest(self, steps: Pipeline, compiled: Graph) -> dict[str, Any]:
        """What a program remembers of how it was made, as JSON data."""
        options, samples = self.options, self.samples
        states = [str(state) for state in samples.states] or None
        seen: tuple[Any, ...] = ()
        labels = None
        if samples.given is not None:
            seen, labels = samples.given.arrays, samples.given.labels
        found = {
            "model": identity(self.model),
            "pipeline": str(steps),
            "preprocessing": options.before.to_dict(),
            "calibration_images": 0 if self.images is None else len(self.images[0]),
            "built_with": built_with({**vars(options), "states": states}, seen, labels),
            **self.network.manifest(options),
        }
        # Values of other networks have levels of their own, too: slices, and what a search chose.
        rounding = self.rounding if most_levels(self.network.graph) else {}
        if samples.states:
            carried_states(compiled, samples.states)  # one code at both ends, or an error
            found["states"] = [state.to_dict() for state in samples.states]
            rounding = {name: one for name, one in rounding.items() if one is not None}
        return {**found, "rounding": rounding_of(rounding)} if rounding else found


def _ignore(text: str) -> None:
    """Hear nothing."""
