"""Warnings of what passes have to assume, or follow too coarsely."""

from __future__ import annotations

from collections.abc import Iterator

from qcompiler.ir import Diagnostic, Graph
from qcompiler.ir.ann import Multiply
from qcompiler.ir.graph import origins
from qcompiler.passes import Pass, Watcher
from qcompiler.passes.activations.activation_fit import ActivationFit
from qcompiler.passes.folding.clips import is_code
from qcompiler.passes.quantization.levels import spiking_values
from qcompiler.passes.spiking.quantize import Quantize
from qcompiler.passes.tensor.lower_activations import LowerActivations
from qcompiler.passes.tensor.normalize import Normalize

_MOST_BITS = 16  # of any target
_COMMON = "t_max", "output_t_max", "weight_bits"  # options that prepare for those of quantize
_MASK = -100.0  # far below all scores


class PassWarnings:
    """Watches a pipeline that begins with ``graph``, and hands on what it sees.

    ``texts`` are what is to be told when it has run, ``missed`` whether functions have large
    errors, ``products`` the names of products of two values that became gates. Where the inputs are
    ``looked_up`` by indices, the program without data is compared with the model on random ones,
    which tells more. ``most_bits`` are those that weights of the target may have.
    """

    def __init__(self, graph: Graph, watch: Watcher, most_bits: int, looked_up: bool) -> None:
        self.before = graph
        self.watch = watch
        self.most_bits = most_bits
        self.looked_up = looked_up
        self.texts: list[str] = []
        self._prepared: list[Normalize | LowerActivations] = []
        self.missed = False
        self.products = frozenset[str]()

    def __call__(self, step: Pass, graph: Graph) -> None:
        """Called behind every pass."""
        if isinstance(step, LowerActivations):
            missed = [fit for fit in step.fits(self.before) if fit.misses]
            self.missed = self.missed or bool(missed)
            self.texts += [_of(missed, step, self.most_bits).text] if missed else []
            gates = (n.result.name for n in self.before.nodes if isinstance(n.op, Multiply))
            self.products |= frozenset(gates)
        if isinstance(step, Normalize) and self._assumes(step):
            self.texts.append(_uncalibrated(step).text)
        if isinstance(step, Normalize | LowerActivations):
            self._prepared.append(step)
        if isinstance(step, Quantize):
            self.texts += [found.text for found in _unlike(self._prepared, step)]
        if shapes_of(graph) != shapes_of(self.before):
            self.texts.append(_reshaped(step, self.before, graph).text)
        self.texts += [found.text for found in _renamed(step, self.before, graph)]
        self.before = graph
        self.watch(step, graph)

    def _assumes(self, step: Normalize) -> bool:
        """Whether ranges are those that weights allow; codes have theirs."""
        if self.looked_up or step.calibration is not None:
            return False
        return not all(map(is_code, spiking_values(self.before)))


def _unlike(prepared: list[Normalize | LowerActivations], step: Quantize) -> Iterator[Diagnostic]:
    """Which passes prepared for other options than those of `quantize`."""
    for before in prepared:
        for option in _COMMON:
            given, wanted = getattr(before, option, None), getattr(step, option)
            if given not in (None, wanted):
                found = f"{before.name} has {option}={given}, but quantize has {option}={wanted}"
                yield Diagnostic(found, help=f"give both passes the same {option}")


def shapes_of(graph: Graph) -> list[tuple[int, ...]]:
    """The shapes of the outputs."""
    return [value.type.shape for value in graph.outputs]


def _reshaped(step: Pass, before: Graph, graph: Graph) -> Diagnostic:
    given, found = (", ".join(map(str, shapes_of(one))) for one in (before, graph))
    return Diagnostic(
        f"the pass {step.name} changes the shapes of outputs from {given} to {found}: they are not "
        "those of the model any more, and are not compared with them"
    )


def _renamed(step: Pass, before: Graph, graph: Graph) -> Iterator[Diagnostic]:
    """Inputs and outputs whose names or order are not those of the model any more."""
    inputs = ([value.name for value in one.inputs] for one in (before, graph))
    outputs = (one.output_names for one in (before, graph))
    for what, (given, found) in (("inputs", inputs), ("outputs", outputs)):
        if given != found:
            names = f"from {', '.join(given)} to {', '.join(found)}"
            text = f"the pass {step.name} changes the {what} of the model {names}"
            yield Diagnostic(text, help="give the graph the names and the order that it had")


def _uncalibrated(step: Normalize) -> Diagnostic:
    text = (
        "no --calibration: ranges come from the weights alone, for inputs from "
        f"{step.low:g} to {step.high:g}. They are much wider than the real values: expect to need "
        "a much larger --t-max, or to lose accuracy"
    )
    return Diagnostic(text)


def _of(missed: list[ActivationFit], step: LowerActivations, most_bits: int) -> Diagnostic:
    worst = max(missed, key=lambda fit: fit.error / fit.bound)
    low, high = worst.domain
    text = (
        f"%{worst.node.result.name}: {worst.segments} segments from {low:.4g} to {high:.4g}, error "
        f"{100 * worst.error:.3g}% of {worst.whole}; the bound is {100 * worst.bound:.3g}%, but "
        f"{worst.obstacle}"
    )
    if part := worst.changing:
        text += f"; it changes only from {part[0]:.3g} to {part[1]:.3g}"
    if len(missed) > 1:
        text = f"{len(missed)} functions exceed the bound of their error, most {text}"
    help_ = ", or ".join(_remedies(worst, step, most_bits))
    return Diagnostic(text, origins(*(fit.node for fit in missed)), help_)


def _remedies(fit: ActivationFit, step: LowerActivations, most_bits: int) -> Iterator[str]:
    """What helps; more levels do not, as the bound is a share of one."""
    if fit.changing:  # no weight is as steep as that
        mask = f", as -20 in place of {fit.domain[0]:.3g} in a mask" if _is_mask(fit) else ""
        yield f"keep what it reads near that in the model, by a clip or smaller constants{mask}"
        return
    bits = step.weight_bits
    if fit.lacks_bits and bits < most_bits:
        yield f"compile with --weight-bits {most_bits}"
    elif fit.lacks_bits and most_bits < _MOST_BITS:
        yield f"compile for --target reference, whose weights have up to {_MOST_BITS} bits"
    if fit.error < 1 and (step.activation_error or not fit.lacks_bits or bits == _MOST_BITS):
        yield "accept a larger --activation-error"


def _is_mask(fit: ActivationFit) -> bool:
    """Whether what a softmax leaves out has been moved far below its scores."""
    return ".inside.exp" in fit.node.result.name and fit.domain[0] < _MASK
