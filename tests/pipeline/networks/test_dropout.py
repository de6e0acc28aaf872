"""Dropout keeps the expectation, is the identity at evaluation and follows the published funnels."""

import pytest
import torch

from pipeline.networks.dropout import Dropout, dropout_rates
from pipeline.networks.stochastic import start_epoch
from pipeline.shapes import SHAPES


def test_the_expectation_is_kept_and_evaluation_is_the_identity():
    dropout = Dropout(0.4)
    start_epoch(dropout, 1, 3)
    ones = torch.ones(400, 64)
    dropped = dropout.train()(ones)
    assert dropped.unique().tolist() == pytest.approx([0.0, 1 / 0.6])
    assert float(dropped.mean()) == pytest.approx(1.0, abs=0.02)
    assert torch.equal(dropout.eval()(ones), ones)


@pytest.mark.parametrize(("rate", "factor"), [(0.0, 1.0), (1.0, 0.0)])
def test_the_ends_need_no_stream(rate, factor):
    ones = torch.ones(3, 2)
    assert torch.equal(Dropout(rate).train()(ones), factor * ones)


@pytest.mark.parametrize(
    ("n_layers", "expected"), [(1, [0]), (3, [0.8, 0.4, 0]), (4, [0.8, 0.5336, 0.2672, 0]), (5, [0.8, 0.6, 0.4, 0.2, 0])]
)
def test_funnels_of_rates(n_layers, expected):
    assert dropout_rates("funnel", 0.8, n_layers) == pytest.approx(expected)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n_layers", range(1, 16))
def test_every_shape_has_a_rate_per_layer_and_reaches_the_maximum(shape, n_layers):
    rates = dropout_rates(shape, 0.8, n_layers)
    assert len(rates) == n_layers
    assert all(0 <= rate <= 0.8 for rate in rates)
    assert n_layers == 1 or max(rates) == 0.8


def test_a_maximum_below_one_still_has_a_shape():
    """Known defect 5 of the original, where all layers got the same rate (Auto-PyTorch full_cs)."""
    assert len(set(dropout_rates("funnel", 0.3, 4))) == 4
