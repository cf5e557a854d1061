"""`python -m qcompiler` is `qcompile`."""

from .qcompile import main

if __name__ == "__main__":
    raise SystemExit(main())
