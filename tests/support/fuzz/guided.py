"""Coverage-guided fuzzing of everything that reads files, with atheris (the extra ``fuzz``).

    python -m tests.support.fuzz.guided SECONDS

Without atheris, the mutants of `tests.support.mutants` run for so long. The first byte of an input
names the target, the rest is the file. Inputs begin with the corpus and with whole files; models
are changed so that they stay valid, too. A fault is written beside, and ends the run.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any


def main(seconds: int) -> int:
    """Fuzz for so long; returns the exit status."""
    try:
        import atheris
    except ImportError:
        print("atheris is not installed (pip install '.[fuzz]'): running mutants in its place")
        return _mutants(seconds)
    with atheris.instrument_imports(include=["qcompiler"]):
        from qcompiler.ir import CompileError
        from tests.support.fuzz import corpus, targets, valid_mutants
    kinds = sorted(targets.TARGETS)
    with tempfile.TemporaryDirectory() as held:
        folder = Path(held)
        (folder / "seeds").mkdir()
        pairs = [(corpus.kind_of(path), path.read_bytes()) for path in corpus.entries()]
        for number, (kind, content) in enumerate([*pairs, *corpus.whole(folder)]):
            seed = folder / "seeds" / str(number)
            seed.write_bytes(bytes([kinds.index(kind)]) + content)

        def one_input(data: bytes) -> None:
            if data:
                with suppress(CompileError):
                    targets.run(kinds[data[0] % len(kinds)], data[1:], folder)

        def mutate(data: bytes, most: int, seed: int) -> bytes:
            if data and kinds[data[0] % len(kinds)] == "model" and seed % 2:
                found = valid_mutants.changed(random.Random(seed), data[1:])
                if found is not None and len(found) < most:
                    return data[:1] + found
            changed: bytes = atheris.Mutate(data, most)
            return changed

        options: list[Any] = [f"-max_total_time={seconds}", "-rss_limit_mb=4096", "-timeout=60"]
        arguments = [sys.argv[0], *options, "-max_len=8192", str(folder / "seeds")]
        atheris.Setup(arguments, one_input, custom_mutator=mutate)
        atheris.Fuzz()  # which ends the process
    return 0


def _mutants(seconds: int) -> int:
    """Mutants of the simple harness, in portions, until the time is over."""
    end, first = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        command = [sys.executable, "-m", "tests.support.mutants", str(first), "200"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or '"wrong": {}' not in done.stdout:
            print(done.stdout, done.stderr)
            return 1
        first += 200
    print(f"{2 * first:,} mutants work, or are refused")
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
