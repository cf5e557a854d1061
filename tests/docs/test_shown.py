"""What counts as the same figures."""

import pytest

from tests.support.shown import alike


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("frames  540\nANN  99.07 %\n", "frames 540\nANN  99.26 %\n"),  # one frame
        ("error 13.7%", "error 13.6%"),
        ("in 0.0:0.813546022772789", "in 0.0:0.813546022772788"),
        ("in 0.0:0.8135463", "in 0.0:0.8135460"),
        ("= f2a2b3ea267fbfbe", "= 0123456789abcdef"),
    ],
)
def test_alike(printed: str, shown: str) -> None:
    assert alike(printed, shown)


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("frames  540\naccuracy 99.07 %\n", "frames 540\naccuracy 99.26 %\n"),
        ("frames  540\nANN  98.88 %\n", "frames 540\nANN  99.26 %\n"),  # two frames
        ("frames  5,000\nANN  99.07 %\n", "frames 5,000\nANN  99.26 %\n"),
        ("26.77    3.22  2:2:2:8", "26.85    3.22  2:2:2:8"),
        ("spikes 1", "events 1"),
        ("one\ntwo", "one"),
    ],
)
def test_not_alike(printed: str, shown: str) -> None:
    assert not alike(printed, shown)
