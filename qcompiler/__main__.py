"""`python -m qcompiler` is `qcompile`."""

from qcompiler.cli.qcompile import main

if __name__ == "__main__":
    raise SystemExit(main())
