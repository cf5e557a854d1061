"""Frames one by one: the fast engine keeps arrays for them, and gives results of their own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

from qcompiler.backends.reference.fast.fast_engine import FastEngine
from qcompiler.ir import Graph
from qcompiler.ir.snn import Connect, Decode
from tests.backends.test_byte_kernels import Network
from tests.support.random_networks import compiled


@pytest.fixture(scope="module")
def graph() -> Graph:
    net = Network((24,), 6)
    (source,) = net.encoded(16)
    value = net.layer((Connect(), source, (16, 24)))
    value = net.layer((Connect(), value, (10, 16)))
    built = net.build.build([net.build.add(Decode(), value, name="levels")])
    return compiled(built, "assign-windows,insert-readout")


def images() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(7).integers(0, 17, (40, 24)).astype(np.float32)


def test_results_of_single_frames_are_those_of_a_batch(graph: Graph) -> None:
    engine = FastEngine(graph)
    (whole,) = engine(images(), count=False).outputs
    each = [engine(x[None], count=False) for x in images()]
    np.testing.assert_array_equal(whole, np.concatenate([one.outputs[0] for one in each]))
    assert {one.counters.frames for one in each} == {1}
    (again,) = engine(images(), count=False).outputs
    np.testing.assert_array_equal(whole, again)


def test_single_frames_may_come_as_other_numbers(graph: Graph) -> None:
    engine = FastEngine(graph)
    for x in images()[:4, None]:
        found = [engine(x.astype(kind), count=False).outputs[0] for kind in (float, int, np.uint8)]
        np.testing.assert_array_equal(found[0], found[1])
        np.testing.assert_array_equal(found[0], found[2])


def test_frames_of_another_shape_are_refused(graph: Graph) -> None:
    engine = FastEngine(graph)
    engine(images()[:1], count=False)
    with pytest.raises(Exception, match="input"):
        engine(images()[:1, :1], count=False)


def test_threads_run_single_frames_beside_each_other(graph: Graph) -> None:
    engine = FastEngine(graph, threads=1)
    (whole,) = engine(images(), count=False).outputs
    frames = [x[None] for x in images()] * 20
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(partial(engine, count=False), frames))
    given = np.concatenate([one.outputs[0] for one in found])
    np.testing.assert_array_equal(given, np.concatenate([whole] * 20))
