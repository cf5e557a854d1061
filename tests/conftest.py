"""Where the real data lies, and which tests need it or Lava."""

import gc
import os
import signal
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The same examples on every machine, however busy it is.
settings.register_profile(
    "steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")

DATA = Path(
    os.environ.get("QCOMPILER_DATA") or Path(__file__).parents[1].joinpath("../shared/data")
)


def _why_no_data() -> str | None:
    return None if DATA.is_dir() else "no data: set QCOMPILER_DATA to the folder of image sets"


def _why_no_lava() -> str | None:
    try:
        import lava.proc.lif.process  # noqa: F401
    except Exception as error:  # on Python 3.11 Lava fails with a ValueError
        return f"Lava 0.10.0 needs Python 3.10 ({type(error).__name__}: {error})"
    return None


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real image sets and networks; skips where there is none."""
    if reason := _why_no_data():
        pytest.skip(reason)
    return DATA


def pytest_configure() -> None:
    """Interrupts reach what tests start also where a shell has them ignored: `make test &`."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--must-run",
        metavar="MARKER",
        action="append",
        default=[],
        help="fail where a test with this marker is skipped, or none exists (for CI)",
    )
    parser.addoption(
        "--most-cases",
        metavar="N",
        type=int,
        help="of each parametrized test, run N cases, evenly spread (for CI on a further Python)",
    )


@pytest.hookimpl(trylast=True)  # after -m has deselected some
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what cannot run here, with the reason, and leave out cases beyond `--most-cases`."""
    if most := config.getoption("most_cases"):
        items[:] = _spread(items, most)
    for marker, why_not in (("data", _why_no_data), ("lava", _why_no_lava)):
        marked = [item for item in items if item.get_closest_marker(marker)]
        if not marked and marker in config.getoption("must_run"):
            raise pytest.UsageError(f"--must-run {marker}: no test has this marker")
        if marked and (reason := why_not()):
            for item in marked:
                item.add_marker(pytest.mark.skip(reason=reason))


def _spread(items: list[pytest.Item], most: int) -> list[pytest.Item]:
    """At most so many cases of each test, in order."""
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    chosen = {
        some[place * len(some) // min(most, len(some))]
        for some in cases.values()
        for place in range(min(most, len(some)))
    }
    return [item for item in items if item in chosen]


def pytest_collection_finish() -> None:
    """What thousands of tests hold is not looked through whenever memory is collected."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where `--must-run` names one of the test's markers."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        for marker in item.config.getoption("must_run"):
            if item.get_closest_marker(marker):
                reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else ""
                report.outcome = "failed"
                report.longrepr = f"--must-run {marker}: {reason}"
    return report
