"""The options of `qcompiler.compile`, checked one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from qcompiler.arguments import (
    axes_by_input,
    dask_client,
    flag,
    function,
    integer,
    number,
    one_of,
    string,
    strings,
)
from qcompiler.backends.backend import Backend
from qcompiler.frontend.import_model import Preprocessing
from qcompiler.frontend.input_values import stated_values
from qcompiler.ir import PipelineError
from qcompiler.ir.spiking.codes import CODES
from qcompiler.passes import Pipeline, Watcher
from qcompiler.search.pareto import OBJECTIVES, Budget
from qcompiler.size_limits import limits

from .pipelines import pipeline, target_of
from .preprocessing import assumed_high, preprocessing

if TYPE_CHECKING:
    from distributed import Client

DEFAULT_T_MAX = 16
_PRUNED = {"prune": 0.03, "spare": 2.0}  # of `quantize`: noise at the outputs decides
# Up to 8 levels most noise is that of rounding: digits remove more of it than weights add.
_FEW, _FEW_LEVELS = 8, {"prune": 0.03, "spare": 2.6, "worth": 0.5}


@dataclass(frozen=True)
class Options:
    """What `qcompiler.compile` is told, besides the model; see there."""

    target: str
    calibration: Any
    t_max: int | None
    weight_bits: int | None
    code: str
    effort: int
    slices: int
    percentile: float | None
    proved: bool
    passes: str | Pipeline | None
    layout: str | None
    mean_values: float | Sequence[float]
    scale_values: float | Sequence[float]
    reverse_input_channels: bool
    allow_products: bool
    activation_error: float
    input_shapes: Mapping[str, Sequence[int | str | None]] | None
    input_values: Mapping[str, float] | None
    states: str | Sequence[str]
    max_neurons: int | None
    max_memory: float | None
    progress: Callable[[float], None] | None
    watch: Watcher | None
    max_drop: float | None
    max_drift: float | None
    objective: str
    labels: Any
    tell: Callable[[str], None] | None
    client: Client | None

    @cached_property
    def backend(self) -> Backend:
        """The backend of the target."""
        return target_of(self.target)

    @cached_property
    def before(self) -> Preprocessing:
        """What happens to the raw input before the model."""
        return preprocessing(
            self.mean_values, self.scale_values, self.reverse_input_channels, self.layout
        )

    @cached_property
    def axes(self) -> Mapping[str, Sequence[int | str | None]]:
        """Axes of inputs that the user states."""
        return axes_by_input(self.input_shapes, "input_shapes")

    @cached_property
    def values(self) -> Mapping[str, float]:
        """Values of inputs that become constants."""
        return stated_values(self.input_values)

    @cached_property
    def bounds(self) -> tuple[float, float]:
        """The range of inputs that is assumed without calibration data."""
        return 0.0, assumed_high(self.before.mean, self.before.scale)

    @cached_property
    def budget(self) -> Budget | None:
        """The loss that a search may spend; None without a search."""
        given = {"drop": self.max_drop, "drift": self.max_drift}
        asked = {kind: percent for kind, percent in given.items() if percent is not None}
        if not asked:
            return None
        if len(asked) > 1:
            raise PipelineError("--max-drop and --max-drift exclude each other")
        ((kind, given_percent),) = asked.items()
        percent = number(given_percent, f"max_{kind}")
        if not 0 <= percent <= 100:
            raise PipelineError(f"--max-{kind} must be from 0 to 100 percent, not {percent:g}")
        if self.calibration is None:
            raise PipelineError(f"--max-{kind} needs calibration data: give --calibration")
        if self.t_max is not None:
            raise PipelineError(f"--max-{kind} searches for --t-max: leave one of them out")
        return Budget(kind, percent)

    def of_passes(self, t_max: int) -> dict[str, Any]:
        """The options of passes that these stand for; PipelineError for one that is wrong."""
        found: dict[str, Any] = {
            "progress": self.progress,
            "t_max": t_max,
            "weight_bits": self._weight_bits(t_max),
            "code": self.code,
            "bursts": self.code == "burst",
            "activation_error": self.activation_error,
            "effort": integer(self.effort, "effort"),
            "slices": integer(self.slices, "slices"),
            "proved": flag(self.proved, "proved"),
        }
        if self.percentile is not None:
            found |= {"method": "percentile", "percentile": self.percentile}
        if self.objective != "latency":
            found |= {"price": "energy", **self._cheaper(t_max)}
        low, high = self.bounds
        return {**found, "normalize.low": low, "normalize.high": high}

    def _cheaper(self, t_max: int) -> dict[str, float]:
        """What removes weights, and adds digits, where energy counts."""
        few = t_max <= _FEW and self.budget is None  # a search has copies and shares of its own
        return _FEW_LEVELS if few else _PRUNED

    def _weight_bits(self, t_max: int) -> int:
        backend = self.backend
        if self.weight_bits is None:
            return backend.weight_bits(t_max)
        bits, most = integer(self.weight_bits, "weight_bits"), backend.most_weight_bits
        if backend.chip is not None and bits > most:
            have = f"weights of {backend.chip.name} have at most {most}"
            raise PipelineError(f"{have} weight_bits, not {bits}")
        return bits

    def check(self) -> None:
        """Raise PipelineError for the first option that is no such thing, or of no use."""
        _ = self.backend, self.before, self.axes, self.values, self.budget
        for name in ("t_max", "weight_bits"):
            if getattr(self, name) is not None:
                integer(getattr(self, name), name)
        for name in ("effort", "slices"):
            integer(getattr(self, name), name)
        for name in ("proved", "allow_products"):
            flag(getattr(self, name), name)
        for name in ("progress", "watch", "tell"):
            function(getattr(self, name), name)
        if self.passes is not None and not isinstance(self.passes, Pipeline):
            string(self.passes, "passes")
        one_of(self.code, "code", ("auto", *CODES))
        number(self.activation_error, "activation_error")
        if self.percentile is not None:
            number(self.percentile, "percentile")
        limits(self.max_neurons, self.max_memory)
        strings(self.states, "states, such as 'h_out:h_in',")
        objective = one_of(self.objective, "objective", OBJECTIVES)
        if objective != "latency" and self.calibration is None:
            raise PipelineError(f"objective {objective} needs calibration data: give --calibration")
        self._check_search_and_data()
        t_max = DEFAULT_T_MAX if self.t_max is None else self.t_max
        pipeline(self.target, self.passes, self.of_passes(t_max))  # in ranges, as passes know them

    def _check_search_and_data(self) -> None:
        """What needs calibration data, or a search."""
        for name in ("labels", "percentile"):
            if self.calibration is None and getattr(self, name) is not None:
                raise PipelineError(f"{name} needs calibration data: give --calibration")
        if self.labels is not None and self.states:
            raise PipelineError("labels of sequences are those that the calibration data hold")
        if self.client is not None and self.budget is None:
            raise PipelineError("a client runs a search: give --max-drop or --max-drift")
        if self.client is not None:
            dask_client(self.client)
