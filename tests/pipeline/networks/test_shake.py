"""Shake-shake and shake-drop: means at evaluation, one draw per forward pass, and gradients that use a draw of their own."""

import pytest
import torch

from pipeline.networks.shake import ShakeDrop, ShakeShake, scaled, survival
from pipeline.networks.stochastic import start_epoch
from pipeline.streams import Purpose, stream

N_DRAWS = 4000


def _started(layer, epoch=1):
    start_epoch(layer, 5, epoch)
    return layer.train()


def _draws(layer, *inputs):
    """Forward and backward factors of many passes, (N_DRAWS, number of inputs) each."""
    forward, backward = [], []
    for _ in range(N_DRAWS):
        ones = [torch.ones(1, requires_grad=True) for _ in inputs]
        output = layer(*(value * one for value, one in zip(inputs, ones, strict=True)))
        output.sum().backward()
        forward.append(float(output.detach()))
        backward.append([float(one.grad) for one in ones])
    return torch.tensor(forward), torch.tensor(backward)


def test_scaled_goes_forward_with_one_factor_and_back_with_the_other():
    x = torch.tensor([2.0, -3.0], requires_grad=True)
    y = scaled(x, torch.tensor(0.25), torch.tensor(0.75))
    torch.testing.assert_close(y, torch.tensor([0.5, -0.75]))
    y.sum().backward()
    torch.testing.assert_close(x.grad, torch.tensor([0.75, 0.75]))


def test_shake_shake_is_the_mean_of_the_branches_at_evaluation():
    first, second = torch.randn(2, 8, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ShakeShake().eval()(first, second), (first + second) / 2)


def test_shake_shake_mixes_forwards_by_alpha_and_backwards_by_an_independent_beta():
    layer = _started(ShakeShake())
    alpha, beta = torch.rand(2, generator=stream(5, 1, Purpose.SHAKE_SHAKE))
    first, second = (torch.full((4, 2), value, requires_grad=True) for value in (2.0, -1.0))
    output = layer(first, second)
    torch.testing.assert_close(output, torch.full((4, 2), float(2 * alpha - (1 - alpha))))
    output.sum().backward()
    torch.testing.assert_close(first.grad, torch.full((4, 2), float(beta)))
    torch.testing.assert_close(second.grad, torch.full((4, 2), float(1 - beta)))


def test_shake_shake_draws_uniform_and_uncorrelated_factors():
    alpha, gradients = _draws(_started(ShakeShake()), torch.ones(1), torch.zeros(1))
    beta = gradients[:, 0]
    for factor in (alpha, beta):
        assert 0 <= factor.min() <= factor.max() <= 1
        assert float(factor.mean()) == pytest.approx(0.5, abs=0.02)
        assert float(factor.var()) == pytest.approx(1 / 12, abs=0.005)
    assert abs(float(torch.corrcoef(torch.stack([alpha, beta]))[0, 1])) < 0.05


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_shake_drop_at_evaluation_is_the_expectation_of_training(probability):
    layer = _started(ShakeDrop(probability))
    forward, backward = _draws(layer, torch.ones(1))
    expected = float(layer.eval()(torch.ones(1)))
    assert expected == pytest.approx(probability + 0.5 * (1 - probability))
    assert float(forward.mean()) == pytest.approx(expected, abs=0.02)
    assert float(backward.mean()) == pytest.approx(expected, abs=0.02)


def test_shake_drop_leaves_survivors_alone_and_shakes_the_others_independently():
    forward, backward = _draws(_started(ShakeDrop(0.3)), torch.ones(1))
    survived = forward == 1
    assert float(survived.float().mean()) == pytest.approx(0.3, abs=0.03)
    assert torch.equal(survived, backward[:, 0] == 1)
    shaken = torch.stack([forward[~survived], backward[~survived, 0]])
    assert shaken.min() >= 0
    assert shaken.max() < 1
    assert abs(float(torch.corrcoef(shaken)[0, 1])) < 0.05


def test_survival_falls_linearly_from_the_first_block_to_the_last():
    assert [survival(block, 5, 1.0) for block in range(5)] == pytest.approx([0.8, 0.6, 0.4, 0.2, 0.0])
    assert survival(2, 6, 0.4) == pytest.approx(1 - 3 / 6 * 0.4)


def test_training_at_random_is_not_evaluation_at_random():
    """Known defect 1 of the original, which had them the wrong way round (Auto-PyTorch full_cs)."""
    ones = torch.ones(2, 2)
    for layer, inputs in ((ShakeShake(), (ones, 0 * ones)), (ShakeDrop(0.0), (ones,))):
        _started(layer)
        assert not torch.equal(layer(*inputs), layer(*inputs))
        layer.eval()
        assert torch.equal(layer(*inputs), layer(*inputs))


def test_epochs_and_layers_have_streams_of_their_own():
    pair = torch.nn.ModuleList([ShakeDrop(0.0), ShakeDrop(0.0)]).train()
    start_epoch(pair, 5, 1)
    first, second = (float(layer(torch.ones(1))) for layer in pair)
    start_epoch(pair, 5, 2)
    assert len({first, second, float(pair[0](torch.ones(1)))}) == 3


def test_no_two_purposes_meet_within_the_deepest_network():
    assert all(later - earlier > 1000 for earlier, later in zip(list(Purpose)[2:-1], list(Purpose)[3:], strict=True))
    assert [int(purpose) for purpose in list(Purpose)[:3]] == [0, 1, 2]
