"""The front door: compile a model, load a program."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from qcompiler.backends.program.program import Program
from qcompiler.manifest.rebuild import arguments_of, differences

from . import registry
from .compilation.compilation import Compilation
from .compilation.options import DEFAULT_T_MAX, Options
from .compilation.pipelines import pipeline
from .compilation.preprocessing import assumed_high, preprocessing
from .data.reading import inputs_of
from .ir import Diagnostic, Graph, ProgramError
from .ir.memory import within_memory
from .passes import Pipeline, Watcher

if TYPE_CHECKING:
    import onnx
    from distributed import Client


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
    mean_values: float | Sequence[float] | NDArray[Any] | None = (),
    scale_values: float | Sequence[float] | NDArray[Any] | None = (),
    reverse_input_channels: bool = False,
    allow_products: bool = False,
    activation_error: float = 0.0,
    input_shapes: Mapping[str, Sequence[int | str | None]] | None = None,
    input_values: Mapping[str, float] | None = None,
    states: str | Sequence[str] | None = (),
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

    - ``calibration`` is a path, a `DataSet`, an array ``images x shape``, a sequence of one per
      input, a mapping by input name, which may hold ``labels``, or an iterable of batches, such as
      a DataLoader. Of an open file give the path. Without data, ranges come from the weights alone.
    - ``mean_values``, ``scale_values``, ``reverse_input_channels`` and ``layout`` describe
      preprocessing that becomes part of the network: ``(x - mean) / scale`` of the raw input, with
      one number, or one per channel.
    - ``input_shapes`` states the axes of inputs that the model leaves open, by input name: lengths,
      and a name or None for the batch axis if it stays open, as in ``{"x": (None, 3, 224, 224)}``.
    - ``input_values`` makes inputs constants that hold a number, as ``{"sr": 16000}``.
    - ``states`` names outputs that are inputs of the next frame, as ``"h_out:h_in"``, or
      ``"h_out:h_in=0.5"`` if the first is not 0; ``"auto"`` finds them by their names. The
      calibration data are sequences then, ``frames x shape`` or ``sequences x frames x shape``,
      for the inputs that are no states.

    Coding and accuracy:

    - ``t_max`` is the number of spike times per value, ``weight_bits`` the bits per weight. By
      default t_max is 16; values of a quantised model have the levels of their codes, the others
      those of the finest code. The default bits are those of `Backend.weight_bits`.
    - ``code`` is how levels are sent: ``auto``, ``one-spike``, ``silent`` or ``burst``; see
      `ChooseCodes`.
    - ``effort`` 0 does not optimize accuracy on the calibration data, 1 does, 2 uses more data.
    - ``slices`` is the largest number of populations that share the range of one value.
    - ``percentile`` (above 50, at most 100) clips ranges there. By default, ranges minimize the
      squared error.
    - ``proved`` uses only limits that are proven from the weights, even where limits from
      calibration data would allow more weight bits.
    - ``allow_products`` compiles products of two values that depend on the data, whatever they
      cost. Without it they may take up to 100,000 neurons, as estimated, or as many as the rest.
    - ``activation_error`` bounds the error of functions that become line segments, relative to
      their output range (0: half a level).

    ``max_neurons`` (100 million) and ``max_memory`` in GB (that of the machine) bound what the
    network may take, as estimated before it is lowered.

    ``passes`` replaces the target's pipeline. The options above fill what its text leaves open;
    they do not change a `Pipeline`.

    ``max_drop`` (percentage points of accuracy) or ``max_drift`` (percent of changed predictions)
    searches the schedule of lowest latency within this loss, in place of ``t_max``. With
    ``objective`` ``energy`` or ``edp`` it searches the program of least energy, or energy-delay
    product, by the target's cost model. Without a budget these objectives price slices in energy
    and remove the least weights, or compile the default where it costs less. ``max_drop`` needs
    ``labels`` of the calibration data: in the data file, or as a path or array. ``tell`` receives a
    line for each measured schedule; the manifest keeps all of them under ``search``.
    With a ``client``, of Dask, two workers measure each schedule, with the same result.

    With calibration data the program is compared with the model on some of them. Outputs that are
    far from the model's, and data that do not suit the model, are told by a `CompileWarning` each,
    and by ``Program.warnings``.

    ``progress`` receives the fraction of the calibration data that is done, from the start again in
    each pass, ``watch`` each pass and its graph.

    Raises a `CompileError` that lists everything that is wrong.
    """
    options = dict(locals()) | {"states": () if states is None else states}
    return Compilation(options.pop("model"), Options(**options)).program()


@within_memory
def load(directory: str | Path) -> Program:
    """Load a program that `Program.save` or qcompile wrote; runs no code from it.

    Raises ProgramError or InvalidGraph if it is not intact.
    """
    return Program.load(directory, registry.find_backend)


def verify_program(
    directory: str | Path,
    model: str | Path | bytes | onnx.ModelProto | Graph,
    calibration: Any = None,
    labels: Any = None,
    passes: str | Pipeline | None = None,
    max_neurons: int | None = None,
    max_memory: float | None = None,
) -> tuple[str, ...]:
    """Build a saved program again; a sentence for each difference, none if it is the same.

    ``calibration`` and ``labels`` are what the program was compiled with. ``passes`` must be given
    where it was compiled with passes that are imported from a module: a program never names code
    to run. ``max_neurons`` and ``max_memory`` are those of `compile`.

    Raises what `load` and `compile` raise.
    """
    saved = load(directory)
    arguments = arguments_of(saved, passes)
    if calibration is None and saved.manifest["built_with"].get("data"):
        message = "the program was compiled with calibration data: give them, too"
        raise ProgramError(Diagnostic(message, help="qcompile --verify DIR MODEL.onnx DATA"))
    arguments |= {"labels": labels, "max_neurons": max_neurons, "max_memory": max_memory}
    built = compile(model, calibration=calibration, **arguments)
    return tuple(differences(saved, built))


def targets() -> tuple[str, ...]:
    """Names of all targets, plugins included."""
    return registry.backend_names()


def passes_() -> tuple[str, ...]:
    """Names of all passes, plugins included."""
    return registry.pass_names()


__all__ = [
    "DEFAULT_T_MAX",
    "Program",
    "assumed_high",
    "compile",
    "inputs_of",
    "load",
    "passes_",
    "pipeline",
    "preprocessing",
    "targets",
]
