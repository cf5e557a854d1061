"""The front door: compile a model, load a program."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qcompiler.backends.backend import Backend
from qcompiler.backends.program import Program
from qcompiler.backends.states import carried_states
from qcompiler.frontend.import_model import Imported, Preprocessing, import_model
from qcompiler.frontend.input_axes import stated_axes
from qcompiler.frontend.model.onnx_file import identity
from qcompiler.search.pareto import Budget

from . import data, registry
from .arguments import axes_by_input, flag, integer, numbers, string, within_memory
from .channel_scales import ScaleRecorder
from .core_limits import exceeded_core_limits
from .ir import (
    CompileWarning,
    DataError,
    Graph,
    InvalidGraph,
    PipelineError,
    UnsupportedModel,
    raise_if_any,
    verify,
)
from .ir.prologue import joined, run_prologue, split_prologue, with_ranges_of_tables
from .passes import Pipeline, Watcher
from .passes.calibration.trace import size_of
from .passes.folding.codes import most_levels, without_codes
from .passes.quantization.exact_layer import ExactLayer
from .rebuild import arguments_of, built_with, differences
from .rounding import rounding_of
from .size_limits import costly_products, neurons_of_products, oversized
from .streaming.calibration import NO_PROLOGUE, NO_SEARCH, NO_SEQUENCES, with_states
from .streaming.pairs import states_of

if TYPE_CHECKING:
    import onnx
    from distributed import Client

DEFAULT_T_MAX = 16
_PIXEL_THRESHOLD = 16  # a mean or scale above it is that of pixels from 0 to 255


@within_memory
def compile(
    model: str | Path | bytes | onnx.ModelProto | Graph,
    *,
    target: str = "loihi",
    calibration: Any = None,
    t_max: int | None = None,
    weight_bits: int | None = None,
    code: str = "auto",
    effort: int = 1,
    slices: int = 4,
    percentile: float | None = None,
    proved: bool = False,
    passes: str | Pipeline | None = None,
    layout: str | None = None,
    mean_values: float | Sequence[float] = (),
    scale_values: float | Sequence[float] = (),
    reverse_input_channels: bool = False,
    allow_products: bool = False,
    activation_error: float = 0.0,
    input_shapes: Mapping[str, Sequence[int | str | None]] | None = None,
    states: str | Sequence[str] = (),
    max_neurons: int | None = None,
    max_memory: float | None = None,
    progress: Callable[[float], None] | None = None,
    watch: Watcher | None = None,
    max_drop: float | None = None,
    max_drift: float | None = None,
    objective: str = "latency",
    labels: Any = None,
    tell: Callable[[str], None] | None = None,
    client: Client | None = None,
) -> Program:
    """Compile a trained network into a spiking network.

    Data:

    - ``calibration`` is a path, a `DataSet`, an array ``images x shape``, one per input or by
      name, or an iterable of batches, such as a DataLoader. Without it, ranges come from the
      weights alone.
    - ``mean_values``, ``scale_values``, ``reverse_input_channels`` and ``layout`` describe
      preprocessing that becomes part of the network: ``(x - mean) / scale`` of the raw input, with
      one number, or one per channel.
    - ``input_shapes`` states the axes of inputs that the model leaves open, by input name: lengths,
      and a name or None for the batch axis if it stays open, as in ``{"x": (None, 3, 224, 224)}``.

    - ``states`` names outputs that are inputs of the next frame, as ``"h_out:h_in"``, or
      ``"h_out:h_in=0.5"`` if the first is not 0; ``"auto"`` finds them by their names. The
      calibration data are sequences then, ``frames x shape`` or ``sequences x frames x shape``,
      for the inputs that are no states.

    Coding and accuracy:

    - ``t_max`` is the number of spike times per value, ``weight_bits`` the bits per weight. By
      default t_max is 16; values of a quantised model have the levels of their codes, the others
      those of the finest code. The default bits are those of `Backend.weight_bits`.
    - ``code`` is how levels are sent: ``auto``, ``one-spike`` or ``burst``; see `ChooseCodes`.
    - ``effort`` 0 does not optimize accuracy on the calibration data, 1 does, 2 uses more data.
    - ``slices`` is the largest number of populations that share the range of one value.
    - ``percentile`` (above 50, at most 100) clips ranges there. By default, ranges minimize the
      squared error.
    - ``proved`` uses only limits that are proven from the weights, even where limits from
      calibration data would allow more weight bits.
    - ``allow_products`` compiles products of two values that depend on the data, whatever they
      cost. Without it they may take up to 100,000 neurons, as estimated.
    - ``activation_error`` bounds the error of functions that become line segments, relative to
      their output range (0: half a level).

    ``max_neurons`` (100 million) and ``max_memory`` in GB (that of the machine) bound what the
    network may take, as estimated before it is lowered.

    ``passes`` replaces the target's pipeline. The options above fill what its text leaves open;
    they do not change a `Pipeline`.

    ``max_drop`` (percentage points of accuracy) or ``max_drift`` (percent of changed predictions)
    searches the schedule of lowest latency within this loss, in place of ``t_max``. With
    ``objective`` ``energy`` or ``edp`` it searches the program of least energy, or energy-delay
    product, by the target's cost model. ``max_drop``
    needs ``labels`` of the calibration data: in the data file, or as a path or array. ``tell``
    receives a line for each measured schedule; the manifest keeps all of them under ``search``.
    With a ``client``, of Dask, two workers measure each schedule, with the same result.

    With calibration data the program is compared with the model on some of them. Outputs that are
    far from the model's, and data that do not suit the model, are told by a `CompileWarning` each,
    and by ``Program.warnings``.

    ``progress`` receives the fraction of the calibration data that is done, ``watch`` each pass and
    its graph.

    Raises a `CompileError` that lists everything that is wrong.
    """
    arguments = dict(locals())
    backend = _backend(target)
    before = preprocessing(mean_values, scale_values, reverse_input_channels, layout)
    input_shapes = axes_by_input(input_shapes, "input_shapes")
    if isinstance(model, Graph) and before.active:
        raise UnsupportedModel("only ONNX models take preprocessing; a Graph must include its own")
    if isinstance(model, Graph):
        if input_shapes:
            raise UnsupportedModel("only ONNX models take input_shapes; a Graph has its own")
        imported = Imported(model, ())
    else:
        imported = import_model(model, before, True, input_shapes)
    prologue, graph = split_prologue(imported.graph)
    if prologue is not None and calibration is None:
        graph = with_ranges_of_tables(prologue, graph)
    raise_if_any(oversized(graph, max_neurons, max_memory), UnsupportedModel)
    times = DEFAULT_T_MAX if t_max is None else integer(t_max, "t_max")
    if t_max is not None or max_drop is not None or max_drift is not None:
        graph = without_codes(graph, times)
    else:
        times = max(times, most_levels(graph))
    if not flag(allow_products, "allow_products"):
        raise_if_any(costly_products(graph, times), UnsupportedModel)
    parts: dict[str, list[int]] = {}
    rounding: dict[str, ExactLayer | None] = {}
    options: dict[str, Any] = {"progress": progress, "note": parts.__setitem__}
    options["rounding"] = rounding.__setitem__
    options["t_max"] = times
    bits = backend.weight_bits(times) if weight_bits is None else weight_bits
    options["weight_bits"] = integer(bits, "weight_bits")
    options["code"] = code
    options["activation_error"] = activation_error
    options["effort"] = integer(effort, "effort")
    options["slices"] = integer(slices, "slices")
    options["proved"] = flag(proved, "proved")
    if percentile is not None:
        if calibration is None:
            raise PipelineError("percentile needs calibration data: give --calibration")
        options |= {"method": "percentile", "percentile": percentile}
    options["low"], options["high"] = 0.0, assumed_high(before.mean, before.scale)
    found = None
    budget = _budget(max_drop, max_drift, calibration)
    carried = states_of(graph, states) if states else ()
    arguments["states"] = [str(state) for state in carried] or None
    if carried and (calibration is None or budget is not None):
        raise PipelineError(NO_SEQUENCES if calibration is None else NO_SEARCH)
    if carried and prologue is not None:
        raise PipelineError(NO_PROLOGUE)
    if string(objective, "objective") != "latency" and budget is None:
        raise PipelineError(f"the objective {objective} needs --max-drop or --max-drift")
    lowered = graph
    if carried:
        given, lowered = with_states(graph, carried, calibration, times, progress)
    elif calibration is not None:
        given = data.read(calibration, inputs_of(imported.graph), layout, labels)
    if calibration is not None:
        coded = given
        if prologue is not None:
            coded = replace(given, arrays=run_prologue(prologue, *given.arrays))
        options["calibration"] = coded.arrays
    steps = pipeline(target, passes, options)
    raise_if_any(exceeded_core_limits(lowered, steps, backend), UnsupportedModel)
    if budget is not None:
        if budget.kind == "drop" and given.labels is None:
            message = "max-drop needs labels of the calibration data: give --labels"
            raise DataError(message)
        from qcompiler.search.objective import search_for
        from qcompiler.search.trials import Trials

        given_trials = graph, steps, backend, coded.arrays, given.labels, budget, tell or _ignore
        found = search_for(objective, lambda costs: Trials(*given_trials, costs, client))
        steps = found.pipeline
    parts.clear()
    rounding.clear()
    recorder = ScaleRecorder(lowered, options.get("calibration"), watch, parts)
    compiled = steps.run(lowered, recorder)
    _check(compiled, backend)
    manifest = {
        "model": identity(model),
        "pipeline": str(steps),
        "preprocessing": asdict(before),
        "calibration_images": len(options["calibration"][0]) if calibration is not None else 0,
        **recorder.manifest,
    }
    if carried:
        carried_states(compiled, carried)  # one code at both ends, or an error
        manifest["states"] = [state.to_dict() for state in carried]
        rounding = {name: one for name, one in rounding.items() if one is not None}
    if rounding:
        manifest["rounding"] = rounding_of(rounding)
    if input_shapes:
        manifest["input_shapes"] = {name: list(a) for name, a in stated_axes(input_shapes).items()}
    seen: tuple[Any, ...] = ()
    told = None
    if calibration is not None:
        seen, told = given.arrays, given.labels if labels is None else None
    manifest["built_with"] = built_with(arguments, seen, told)
    manifest["macs"] = int(size_of(graph)[0]) - 1
    if spent := neurons_of_products(graph, times):
        manifest["product_neurons"] = spent
    if imported.batch_axes:
        manifest["batch_axes"] = dict(imported.batch_axes)
    if found is not None:
        manifest["search"] = found.to_dict()
    program = Program(compiled, backend, manifest)
    if calibration is not None and most_levels(graph):  # which rounds: the graph does not
        from qcompiler.comparison.calibration_activity import calibration_activity

        manifest["activity"] = calibration_activity(graph, program, coded.arrays)
    elif calibration is not None:
        from qcompiler.comparison.calibration_check import check_calibration

        checked = data.Data(coded.arrays, given.labels)
        manifest |= check_calibration(lowered, program, checked, before, found is None).manifest()
    if prologue is not None and calibration is None:
        from qcompiler.comparison.random_indices import error_on_random_indices

        bounds = options["low"], options["high"]
        if coarse := error_on_random_indices(prologue, graph, program, bounds):
            manifest["warnings"] = [coarse.text]
    if calibration is not None and given.skipped:
        manifest["warnings"] = [data.skipped_text(given.skipped), *manifest.get("warnings", [])]
    if imported.assumed:
        from qcompiler.comparison.assumptions import broken_assumptions

        read = given if calibration is not None else None
        broken = broken_assumptions(model, imported, read, manifest)
        manifest["warnings"] = [*(one.text for one in broken), *manifest.get("warnings", [])]
    for text in program.warnings:
        warnings.warn(text, CompileWarning, stacklevel=3)
    prologue, whole = split_prologue(joined(prologue, compiled))
    return replace(program, prologue=prologue, graph=whole)


def _budget(max_drop: float | None, max_drift: float | None, calibration: Any) -> Budget | None:
    given = {"drop": max_drop, "drift": max_drift}
    asked = {kind: percent for kind, percent in given.items() if percent is not None}
    if not asked:
        return None
    if len(asked) > 1:
        raise PipelineError("max-drop and max-drift exclude each other")
    ((kind, percent),) = asked.items()
    if not isinstance(percent, Real):
        raise PipelineError(f"max-{kind} must be a number, not {percent!r}")
    if not 0 <= percent <= 100:
        raise PipelineError(f"max-{kind} must be from 0 to 100 percent, not {percent:g}")
    if calibration is None:
        raise PipelineError(f"max-{kind} needs calibration data: give --calibration")
    return Budget(kind, float(percent))


def _ignore(text: str) -> None:
    """Hear nothing."""


def preprocessing(
    mean_values: float | Sequence[float] = (),
    scale_values: float | Sequence[float] = (),
    reverse_input_channels: bool = False,
    layout: str | None = None,
) -> Preprocessing:
    """What happens to the raw input before the model; see `compile`."""
    if layout is not None and string(layout, "layout") not in ("nchw", "nhwc"):
        raise PipelineError(f"no layout is named {layout}: choose nchw or nhwc")
    mean, scale = numbers(mean_values, "mean_values"), numbers(scale_values, "scale_values")
    reverse = flag(reverse_input_channels, "reverse_input_channels")
    return Preprocessing(mean, scale, reverse, layout)


def assumed_high(mean_values: Sequence[float], scale_values: Sequence[float]) -> float:
    """The largest input that is assumed without calibration data; the smallest is 0."""
    largest = max((*mean_values, *scale_values), default=1.0)
    return 255.0 if largest > _PIXEL_THRESHOLD else max(1.0, largest)


@within_memory
def load(directory: str | Path) -> Program:
    """Load a program that `Program.save` or qcompile wrote; runs no code from it.

    Raises ProgramError or InvalidGraph if it is not intact.
    """
    return Program.load(directory, registry.find_backend)


def verify_program(
    directory: str | Path, model: str | Path | bytes, calibration: Any = None
) -> tuple[str, ...]:
    """Build a saved program again; a sentence for each difference, none if it is the same.

    Raises what `load` and `compile` raise.
    """
    saved = load(directory)
    arguments = arguments_of(saved)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CompileWarning)
        built = compile(model, calibration=calibration, **arguments)
    return tuple(differences(saved, built))


def targets() -> tuple[str, ...]:
    """Names of all targets, plugins included."""
    return registry.backend_names()


def passes_() -> tuple[str, ...]:
    """Names of all passes, plugins included."""
    return registry.pass_names()


def inputs_of(graph: Graph | Program) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Name and shape of each input."""
    return tuple((value.name, value.type.shape) for value in graph.inputs)


def pipeline(
    target: str, passes: str | Pipeline | None, options: Mapping[str, Any] | None = None
) -> Pipeline:
    """The pipeline to run: the target's, or the one given; options fill what it leaves open."""
    backend = _backend(target)
    if isinstance(passes, Pipeline):
        return passes.given(options or {})
    text = backend.pipeline if passes is None else string(passes, "passes")
    return Pipeline.parse(text or backend.pipeline, registry.find_pass, options)


def _backend(target: str) -> Backend:
    backend = registry.find_backend(string(target, "target"))
    if backend is None:
        known = ", ".join(registry.backend_names())
        raise PipelineError(f"no target is named {target}: choose {known}")
    return backend


def _check(graph: Graph, backend: Backend) -> None:
    try:
        verify(graph, *backend.requires)
    except InvalidGraph as error:
        heading = f"the pipeline does not produce a valid program for {backend.name}"
        raise InvalidGraph(heading, *error.diagnostics) from error


__all__ = ["Program", "compile", "load", "passes_", "targets"]
