"""Populations go where they save the most noise for their neurons."""

from __future__ import annotations

import numpy as np
import pytest

from qcompiler.passes.bottlenecks import Bottleneck, widen


def value(*noise: float, neurons: float = 1.0) -> Bottleneck:
    return Bottleneck(np.array(noise), neurons)


def test_a_slice_more_is_for_the_channel_of_most_noise() -> None:
    one = value(1.0, 8.0, 2.0)
    assert one.gain == 8.0 * (1 - 1 / 4)
    one.step()
    assert (one.count, one.some.tolist(), one.others.tolist()) == (1, [1], [0, 2])
    assert one.gain == 2.0 * (1 - 1 / 4)
    one.step()
    assert (one.some.tolist(), one.others.tolist()) == ([1, 2], [0])
    one.step()
    assert (one.count, one.ahead, one.gain) == (2, 0, 8.0 * (1 / 4 - 1 / 9))


def test_the_most_noise_for_the_neurons_is_mended_first() -> None:
    few, many = value(0.5, neurons=10.0), value(0.5, neurons=100.0)
    widen({"few": few, "many": many}, noise=1.0, neurons=1000.0, most=4, worth=10.0)
    assert (few.count, many.count) == (3, 1)
    widen({"few": few, "many": many}, noise=1.0, neurons=1000.0, most=4, worth=2.0)
    assert (few.count, many.count) == (4, 2)


def test_what_is_saved_is_held_against_what_is_left() -> None:
    """Once the one value is mended, all noise is the other's."""
    large, small = value(0.9), value(0.1)
    widen({"large": large, "small": small}, noise=1.0, neurons=10.0, most=16, worth=2.0)
    assert small.count > 1
    alone = value(0.1)
    widen({"small": alone}, noise=1.0, neurons=10.0, most=16, worth=2.0)
    assert alone.count == 1


def test_among_much_noise_less_is_worth_it() -> None:
    one, other = value(0.1), value(0.1)
    widen({"one": one}, noise=1.0, neurons=10.0, most=16, worth=2.0)
    widen({"other": other}, noise=1.0, neurons=10.0, most=16, worth=2.0, loud=0.1)
    assert (one.count, other.count) == (1, 2)


@pytest.mark.parametrize("most", [1, 2, 16])
def test_there_is_a_most(most: int) -> None:
    one = value(1.0, 1.0)
    widen({"one": one}, noise=2.0, neurons=1e6, most=most, worth=1.0)
    assert (one.count, one.ahead) == (most, 0)


def test_few_channels_are_not_kept_apart_for_nothing() -> None:
    loud = value(*[1.0] * 10)
    for _ in range(8):
        loud.step()
    loud.settle(left=1.0)
    assert (loud.count, loud.ahead) == (2, 0)
    half = value(*[1.0] * 10)
    for _ in range(5):
        half.step()
    half.settle(left=1.0)
    assert (half.count, half.ahead) == (1, 5)
    half.settle(left=1e4)
    assert (half.count, half.ahead) == (1, 0)
