"""`python -m qcompiler` is `qcompile`."""

from qcompiler.cli.commands import qcompile

if __name__ == "__main__":
    raise SystemExit(qcompile())
