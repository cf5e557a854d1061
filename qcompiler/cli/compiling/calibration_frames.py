"""The frames that a program was calibrated on."""

from __future__ import annotations

import argparse

from qcompiler import api, data
from qcompiler.backends.program.program import Program
from qcompiler.cli.data_options import calibration
from qcompiler.frontend.import_model import Preprocessing, import_model
from qcompiler.ir.prologue import split_prologue
from qcompiler.streaming.rollout import rollout
from qcompiler.streaming.sequences import read_sequences


def calibration_frames(given: argparse.Namespace, program: Program) -> data.Data | None:
    """Those of the data, or with states of their sequences; None without calibration data."""
    source, states = calibration(given), program.states
    if source is None:
        return None
    if not states:
        return data.read(source, api.inputs_of(program), given.layout)
    before = Preprocessing(**program.manifest["preprocessing"])
    stated = dict(given.input_shape), dict(given.input_value)
    graph = import_model(given.model, before, True, *stated).graph
    found = read_sequences(source, graph, states, program.unread_inputs)
    prologue, network = split_prologue(graph)
    names = tuple(value.name for value in network.inputs)
    arrays = rollout(network, states, found.behind(prologue))
    return found.as_data(graph, data.Data(arrays, found.labels, names))
