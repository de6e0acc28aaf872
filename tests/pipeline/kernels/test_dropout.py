"""The draws of dropout: what the integers say, for any grouping, and as independent as they need to be."""

import numpy as np
import pytest
import torch

from pipeline.kernels.dropout import fill_mask, limit_and_scale
from pipeline.networks.dropout import Dropout, key_of
from pipeline.networks.stochastic import start_epoch
from pipeline.streams import Purpose, stream

N = 200_000


def _plain(index, offset, multiplier):
    """The mixing with Python's own integers."""
    x = (index * 0x9E3779B9 + offset) % 2**32
    x ^= x >> 16
    x = x * multiplier % 2**32
    x ^= x >> 15
    x = x * 0x846CA68B % 2**32
    return x ^ (x >> 16)


def _mask(seed, epoch, layer, rate=0.5, start=0, n=N):
    mask = np.empty(n, np.float32)
    fill_mask(mask, start, key_of(stream(seed, epoch, Purpose.DROPOUT, layer)), *limit_and_scale(rate))
    return mask


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.93])
def test_a_unit_is_kept_if_its_number_is_not_below_the_limit(rate):
    offset, multiplier = key_of(stream(3, 2, Purpose.DROPOUT, 1))
    numbers = [_plain(i, int(offset), int(multiplier)) for i in range(2**32 - 5, 2**32 + 95)]
    limit, scale = limit_and_scale(rate)
    expected = [scale if number >= limit else 0 for number in numbers]
    assert _mask(3, 2, 1, rate, start=2**32 - 5, n=100).tolist() == expected


@pytest.mark.parametrize("rate", [0.01, 0.3, 0.5, 0.9])
def test_the_share_that_is_kept(rate):
    kept = np.mean([_mask(seed, 1, 0, rate) > 0 for seed in range(5)])
    assert kept == pytest.approx(1 - rate, abs=4 * np.sqrt(rate * (1 - rate) / (5 * N)))


@pytest.mark.parametrize("other", [(2, 1, 0), (1, 2, 0), (1, 1, 1)])
def test_seeds_epochs_and_layers_do_not_follow_each_other(other):
    """Not at the same place, and not at another one either."""
    first, second = _mask(1, 1, 0) - 1, _mask(*other) - 1
    for shift in range(64):
        assert abs(np.mean(first[: N - 64] * second[shift : N - 64 + shift])) < 5 / np.sqrt(N)


def test_neighbours_do_not_follow_each_other():
    draws = _mask(4, 7, 2) - 1
    for distance in (1, 2, 3, 4, 7, 8, 16, 64, 100, 1000, 4096, 65536):
        assert abs(np.mean(draws[distance:] * draws[:-distance])) < 5 / np.sqrt(N - distance)


def test_blocks_of_16_take_all_patterns_equally():
    """65,536 patterns of 16 neighbours; the chi-square statistic lies within five standard deviations of its mean."""
    bits = (_mask(5, 5, 5, n=16 * 2**20) > 0).reshape(-1, 16)
    counts = np.bincount(bits @ (1 << np.arange(16)), minlength=2**16)
    expected, degrees = 2**20 / 2**16, 2**16 - 1
    statistic = float(((counts - expected) ** 2 / expected).sum())
    assert abs(statistic - degrees) < 5 * np.sqrt(2 * degrees)


def test_the_layer_draws_the_same_in_whatever_batches():
    together, apart = Dropout(0.4).train(), Dropout(0.4).train()
    for layer in (together, apart):
        start_epoch(layer, 1, 3)
    ones = torch.ones(10, 7)
    assert torch.equal(together(ones), torch.cat([apart(ones[:4]), apart(ones[4:])]))
