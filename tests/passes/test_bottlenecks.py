"""Populations go where they save the most noise for their neurons."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcompiler.passes.slicing.bottlenecks import Bottleneck, Slicing, choose_slices


def value(*noise: float, neurons: float = 1.0) -> Bottleneck:
    return Bottleneck(np.array(noise), neurons)


@given(noise=st.lists(st.floats(0, 9), min_size=1, max_size=6), price=st.floats(0.001, 2))
def test_noise_and_the_price_of_neurons_are_least(noise: list[float], price: float) -> None:
    """As all ways of giving two groups of channels up to three slices tell."""
    ranked = sorted(noise, reverse=True)
    costs = [
        sum(x / (more if i < k else slices) ** 2 for i, x in enumerate(ranked))
        + price * (k * more + (len(noise) - k) * slices)
        for k in range(len(noise))
        for more, slices in itertools.product((1, 2, 3), repeat=2)
    ]
    found = value(*noise).best(price, 0.0, most=3)
    assert found.noise + price * found.neurons == pytest.approx(min(costs))
    assert found.noisy_slices >= found.slices


def test_noisy_channels_have_more_than_others() -> None:
    one = value(1.0, 8.0, 2.0)
    assert one.order.tolist() == [1, 2, 0]
    assert one.best(1.6, 0.0, 4) == Slicing(1 + 8 / 4 + 2, 4.0, slices=1, noisy=1, noisy_slices=2)
    assert one.best(1.6, 5.0, 4) == Slicing(11 / 4, 6.0, 2, 0, 2)


def test_channels_without_noise_keep_none_from_the_others() -> None:
    alike, dead = value(*[1.0] * 64), value(*[1.0] * 60, *[0.0] * 4)
    found = choose_slices({"alike": alike, "dead": dead}, 64.0 + 60.0, 1000.0, most=4, worth=1.0)
    assert found["alike"] == Slicing(64 / 16, 256.0, slices=4, noisy_slices=4)
    assert found["dead"] == Slicing(60 / 16, 244.0, slices=1, noisy=60, noisy_slices=4)


def test_the_most_noise_for_the_neurons_is_mended_first() -> None:
    values = {"few": value(0.5, neurons=10.0), "many": value(0.5, neurons=100.0)}

    def slices(worth: float) -> list[int]:
        found = choose_slices(values, noise=1.0, neurons=1000.0, most=4, worth=worth)
        return [found[name].slices for name in ("few", "many")]

    assert slices(10.0) == [3, 1]
    assert slices(2.0) == [4, 4]
    assert slices(100.0) == [1, 1]


def test_noise_that_no_slice_removes_keeps_slices_from_paying_the_more_the_more_there_are() -> None:
    values = {name: value(1.0, neurons=10.0) for name in "abcd"}

    def slices(rest: float) -> int:
        found = choose_slices(values, 4.0, 40.0, most=16, worth=0.5, rest=rest)
        return found["a"].slices

    assert [slices(0.0), slices(0.1), slices(0.2)] == [16, 5, 3]


def test_what_is_saved_is_held_against_what_is_left() -> None:
    """Once the one value is mended, all noise is the other's."""
    large, small = value(0.9), value(0.1)
    found = choose_slices({"large": large, "small": small}, 1.0, 10.0, most=16, worth=2.0)
    assert found["small"].slices > 1
    assert choose_slices({"small": small}, 1.0, 10.0, most=16, worth=2.0)["small"].slices == 1


def test_among_much_noise_less_is_worth_it() -> None:
    one = {"one": value(0.1)}
    assert choose_slices(one, 1.0, 10.0, most=16, worth=2.0)["one"].slices == 1
    assert choose_slices(one, 1.0, 10.0, most=16, worth=2.0, noise_cap=0.1)["one"].slices == 2


@pytest.mark.parametrize("most", [1, 2, 16])
def test_there_is_a_most(most: int) -> None:
    found = choose_slices({"one": value(1.0, 1.0)}, 2.0, 1e6, most=most, worth=1.0)
    assert found["one"] == Slicing(2 / most**2, 2.0 * most, most, 0, most)
