"""What a compiled program is found to be: its activity, its errors, and warnings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qcompiler import data
from qcompiler.backends.program.program import Program
from qcompiler.passes.folding.codes import most_levels

from .network import Network
from .options import Options
from .samples import Samples

if TYPE_CHECKING:
    from .network import Model


def findings(
    model: Model,
    network: Network,
    samples: Samples,
    options: Options,
    program: Program,
    missed: bool = False,
) -> dict[str, Any]:
    """What the manifest keeps of it; ``warnings`` are sentences, those on the model first.

    ``missed`` says that functions are known to have large errors.
    """
    found = _beside_the_model(network, samples, options, program, missed)
    told = found.get("warnings", [])
    if "calibration_check" not in found:  # which names causes of errors itself
        from qcompiler.comparison.weight_bits import weight_bits_warning

        coarse = weight_bits_warning(program, options.weight_bits)
        told = [*([coarse.text] if coarse else []), *told]
    if samples.given is not None:
        skipped = samples.given.skipped
        read = [*samples.given.told, *([data.skipped_text(skipped)] if skipped else [])]
        told = [*read, *told]
    if network.imported.assumed:
        from qcompiler.comparison.assumptions import broken_assumptions

        known = {**program.manifest, **found}
        broken = broken_assumptions(model, network.imported, samples.given, known)
        told = [*(one.text for one in broken), *told]
    return {**found, "warnings": told} if told or "warnings" in found else found


def _beside_the_model(
    network: Network, samples: Samples, options: Options, program: Program, missed: bool
) -> dict[str, Any]:
    """The program beside its model on some of the calibration data."""
    coded = samples.coded
    if coded is None:
        return _on_random_indices(network, options, program)
    if most_levels(network.graph):  # which rounds: the graph does not
        from qcompiler.comparison.calibration_activity import calibration_activity

        return {"activity": calibration_activity(network.graph, program, coded.arrays)}
    from qcompiler.comparison.calibration_check import check_calibration

    checked = data.Data(coded.arrays, coded.labels)
    whole = options.budget is None
    given = samples.graph, program, checked, options.before
    prologue = network.prologue
    made = () if prologue is None else prologue.nodes
    host = {node.result.name for node in made}
    return check_calibration(*given, whole, missed, samples.sequences, host).manifest()


def _on_random_indices(network: Network, options: Options, program: Program) -> dict[str, Any]:
    """A warning, if a program that looks indices up is far from its model without data."""
    if network.prologue is None:
        return {}
    from qcompiler.comparison.random_indices import error_on_random_indices

    coarse = error_on_random_indices(network.prologue, network.graph, program, options.bounds)
    return {"warnings": [coarse.text]} if coarse else {}
