"""Embeddings are the linear map of the indicators that they stand for."""

import pytest
import torch
from torch import nn

from pipeline.networks.embedding import Embedding, embedding_width
from pipeline.networks.initialisation import initialise


@pytest.mark.parametrize(
    ("n_codes", "reduction", "expected"), [(2, 1.0, 1), (2, 0.0, 1), (10, 0.29, 2), (10, 1.0, 9), (10, 0.05, 1), (1, 0.5, 1)]
)
def test_width(n_codes, reduction, expected):
    assert embedding_width(n_codes, reduction) == expected


def test_looking_up_is_multiplying_indicators_forwards_and_backwards():
    embedding = Embedding(2, [3, 5], 0.7)
    initialise(embedding, "default", "default", torch.Generator().manual_seed(0))
    x = torch.tensor([[0.5, -1.0, 2, 4], [1.5, 2.0, 0, 4], [0.0, 0.0, 2, 1]])
    indicators = [nn.functional.one_hot(x[:, 2 + i].long(), n).float() for i, n in enumerate((3, 5))]
    expected = torch.cat([x[:, :2], *(one_hot @ layer.weight.T for one_hot, layer in zip(indicators, embedding.maps, strict=True))], dim=1)
    output = embedding(x)
    assert output.shape == (3, embedding.width) == (3, 2 + 2 + 3)
    torch.testing.assert_close(output, expected)
    ours, theirs = (torch.autograd.grad(y.square().sum(), list(embedding.parameters())) for y in (output, expected))
    torch.testing.assert_close(ours, theirs)
