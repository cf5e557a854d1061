"""Whether saved programs are the same files, byte for byte, however they are compiled.

    python benchmarks/same_files.py [digits] [mnist] [resnet20] [--with "NAME: WORDS"] ...

Every network is compiled for both targets, once as this Python does, and once for each way, as in
`benchmarks/portability.py`: ``WORDS`` go in front of Python. The files are compared as ``diff -r``
does. Without ``--with`` the ways are other numbers of threads and seeds of hashes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from portability import NETWORKS, command_of

TARGETS = ("loihi", "reference")
WAYS = (
    "one thread, seed 1: OMP_NUM_THREADS=1 PYTHONHASHSEED=1 taskset -c 0",
    "four threads, any seed: OMP_NUM_THREADS=4 OPENBLAS_NUM_THREADS=4 PYTHONHASHSEED=random",
)


def main() -> int:
    """Print a row for each network, target and way; 1 if any file differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", help="out of digits, search, mnist, resnet20")
    parser.add_argument("--with", dest="ways", action="append", metavar="NAME: WORDS")
    parser.add_argument("--save", nargs=2, metavar=("TARGET", "DIR"), help="compile one, instead")
    given = parser.parse_args()
    names = given.networks or ["digits", "mnist", "resnet20"]
    if given.save:
        save(names[0], *given.save)
        return 0
    worst = 0
    for name in names:
        for target in TARGETS:
            with tempfile.TemporaryDirectory() as held:
                known = Path(held) / "known"
                compiled(name, target, known, "")
                for way in given.ways or WAYS:
                    title, _, words = way.partition(":")
                    begin, other = time.perf_counter(), Path(held) / "other"
                    compiled(name, target, other, words)
                    found = differences(known, other)
                    worst |= bool(found)
                    seconds = time.perf_counter() - begin
                    row = name, target, title, found or "the same files", f"{seconds:.0f} s"
                    print(*row, sep=" | ", flush=True)
    return int(worst)


def save(name: str, target: str, place: str) -> None:
    """Compile a network, and save it."""
    import qcompiler

    model, calibration, options = NETWORKS[name]
    qcompiler.compile(model, target=target, calibration=calibration, **options).save(place)


def compiled(name: str, target: str, place: Path, words: str) -> None:
    """Let another process, started so, save a program."""
    script = [str(Path(__file__).resolve()), name, "--save", target, str(place)]
    subprocess.run(["env", *command_of(words), *script], check=True)


def differences(one: Path, other: Path) -> str:
    """What ``diff -r`` says of two folders; nothing if they are the same."""
    found = subprocess.run(
        ["diff", "-rq", str(one), str(other)], capture_output=True, text=True, check=False
    )
    return " ".join(found.stdout.split() + found.stderr.split())


if __name__ == "__main__":
    sys.exit(main())
