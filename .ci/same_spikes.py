"""Whether a standalone module's spikes are those of the program's own reference engine."""

import sys

import numpy as np

import qcompiler

folder, data, found = sys.argv[1:]
with np.load(found) as file:
    steps = dict(file)
frames = len(next(iter(steps.values())))
program = qcompiler.load(folder)
images = np.load(data)["images"][:frames]
expected = program.spikes(images.reshape(-1, *program.graph.inputs[0].type.shape).astype("f4"))
differing = {name: int(np.sum(steps[name] != expected[name])) for name in steps}
print(f"{frames} frames, differing spikes: {differing}")
sys.exit(any(differing.values()))
