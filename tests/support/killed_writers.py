"""Writers of one program that are killed, or that race: run as a program of its own.

    python -m tests.support.killed_writers kills FOLDER COUNT
    python -m tests.support.killed_writers race FOLDER COUNT

It loads no library with threads, so that it can fork.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

from qcompiler.backends.saving import atomic_folder, loading, storage
from qcompiler.ir import Builder, Constant, Graph, Tensor, ann

MANIFEST = {"target": "reference", "preprocessing": {}}


def network(seed: int) -> Graph:
    """A network with an array of its own."""
    build = Builder(f"g{seed}")
    value = build.input("x", Tensor((64,)))
    weight = Constant("w", np.full((64, 64), seed, np.float32))
    operands = value, weight, Constant("b", np.zeros(64, np.float32))
    return build.build([build.add(ann.Dense(), *operands, name=f"y{seed}")])


GRAPHS = network(1), network(2)


def save(place: Path, which: int) -> None:
    storage.save(place, MANIFEST, GRAPHS[which])


def kills(folder: Path, count: int) -> Counter[str]:
    """Kill writers at any moment; the program must be old or new each time."""
    place, chance, found = folder / "p", random.Random(0), Counter[str]()
    start = time.perf_counter()
    save(place, 0)
    save(place, 1)
    span = time.perf_counter() - start
    for _ in range(count):
        child = os.fork()
        if not child:
            while True:
                save(place, 0)
                save(place, 1)
        time.sleep(chance.uniform(0, 2 * span))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        found["left"] += len(os.listdir(folder)) - 1
        found["read" if loading.load(place)[1] in GRAPHS else "mixed"] += 1
    save(place, 0)
    found["left at the end"] = len(os.listdir(folder)) - 1
    return found


def race(folder: Path, count: int) -> Counter[str]:
    """Two writers and a reader; all must succeed."""
    place, found = folder / "p", Counter[str]()
    save(place, 0)
    children = []
    for which in range(2):
        child = os.fork()
        if not child:
            failed = 0
            for _ in range(count):
                try:
                    save(place, which)
                except Exception as error:
                    print(error, file=sys.stderr)
                    failed += 1
            os._exit(min(failed, 255))
        children.append(child)
    while children:
        found["read" if loading.load(place)[1] in GRAPHS else "mixed"] += 1
        ended, status = os.waitpid(-1, os.WNOHANG)
        if ended:
            children.remove(ended)
            found["failed"] += os.waitstatus_to_exitcode(status)
    found["left at the end"] = len(os.listdir(folder)) - 1
    return found


if __name__ == "__main__":
    if "--without-exchange" in sys.argv:
        atomic_folder.exchange = lambda one, other: False
    how = {"kills": kills, "race": race}[sys.argv[1]]
    print(json.dumps(how(Path(sys.argv[2]), int(sys.argv[3]))))
