"""The laws of every network of the search spaces: the defaults, the corners and fifteen random configurations of its own space."""

import copy
import pickle
from functools import cache
from importlib import import_module
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from lcbench.space import decode, plain, sample
from lcbench.task import TaskInfo
from pipeline.networks.embedding import embedding_width
from pipeline.networks.network import build_network, networks
from pipeline.shapes import widths

TASK = TaskInfo("made up", "classification", None, 0, "made up", 100, 50, 50, 6, 3)
FIXED = {"initialisation": "default", "initialisation.bias": "default", "embedding": "none"}
N_RANDOM = 15
MOST_UNITS = 24
"""Wider layers than this are made as narrow, so that the deepest networks stay cheap; nothing else depends on the width."""


def _settings(name, values):
    narrow = {key: min(value, MOST_UNITS) if "units" in key else value for key, value in values.items()}
    return FIXED | {"network": name} | {f"{name}.{key}": value for key, value in narrow.items()}


@cache
def _cases(name):
    """Label and settings; a corner is all numbers at one end with all switches on (the first category) or off (the last)."""
    space = import_module(f"pipeline.networks.{name}").space(TASK)
    switch = np.array([not hasattr(hyperparameter, "lower") for hyperparameter in space.values()])
    cases = {"default": space.get_default_configuration()}
    for numbers in (0.0, 1.0):
        for category in (0.0, 1.0):
            point = np.where(switch, category, numbers)
            cases[f"numbers {numbers:g}, categories {category:g}"] = decode(point[None], space)[0]
    rng = np.random.default_rng(0)
    cases |= {f"random {i}": sample(space, rng) for i in range(N_RANDOM)}
    return {label: _settings(name, plain(configuration)) for label, configuration in cases.items()}


CASES = [pytest.param(settings, id=f"{name}: {label}") for name in networks() for label, settings in _cases(name).items()]
DEFAULTS = [pytest.param(_cases(name)["default"], id=name) for name in networks()]
every_case = pytest.mark.parametrize("settings", CASES)
every_default = pytest.mark.parametrize("settings", DEFAULTS)


def _x(n=16, d=6, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def _smooth(settings):
    """The same network with an activation that passes a gradient everywhere, and without dropout."""
    name = settings["network"]
    return settings | {f"{name}.activation": "tanh", f"{name}.use_dropout": False}


def _noisy(settings):
    """The same network with everything that draws switched on."""
    name = settings["network"]
    values = {"use_dropout": True, "max_dropout": 0.5, "use_shake_shake": True, "use_shake_drop": True, "max_shake_drop_probability": 0.5}
    values |= {f"dropout_{i}": 0.5 for i in range(1, 16)}
    return settings | {f"{name}.{key}": value for key, value in values.items()}


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as trainings do: two threads wait for each other longer than layers this small take
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture(autouse=True)
def _the_global_generator_is_neither_used_nor_changed():
    before = torch.get_rng_state()
    yield
    assert torch.equal(torch.get_rng_state(), before)


@every_case
@pytest.mark.parametrize(("rows", "columns", "outputs"), [(16, 6, 3), (2, 1, 1)])
def test_one_row_of_outputs_per_row_of_inputs(settings, rows, columns, outputs):
    network = build_network(settings, columns, outputs, seed=1)
    network.start_epoch(1)
    for mode in (True, False):
        output = network.train(mode)(_x(rows, columns))
        assert output.shape == (rows, outputs)
        assert torch.isfinite(output).all()


@every_case
def test_at_evaluation_a_row_of_a_batch_is_the_row_alone(settings):
    network = build_network(settings, 6, 3, seed=1)
    network.start_epoch(1)
    network.train()(_x(seed=5))  # moves the statistics of batch normalisation away from where they start
    network.eval()
    with torch.inference_mode():
        together, alone = network(_x()), torch.cat([network(row[None]) for row in _x()])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@every_default
def test_a_batch_of_one_row_can_be_trained_on_and_leaves_the_statistics_alone(settings):
    network = build_network(_noisy(settings) | {f"{settings['network']}.batch_norm": True}, 6, 3, seed=1).train()
    network.start_epoch(1)
    before = [buffer.clone() for buffer in network.buffers()]
    network(_x(1)).sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, network.buffers(), strict=True))


@every_case
def test_a_gradient_reaches_every_parameter(settings):
    network = build_network(settings, 6, 3, seed=1).train()
    network.start_epoch(1)
    network(_x()).square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


@every_case
def test_no_parameter_is_idle(settings):
    """In the evaluation mode, in double precision: while training, normalisation cancels the bias before it."""
    network = build_network(_smooth(settings), 6, 3, seed=1).double().eval()
    network(_x().double()).square().sum().backward()
    idle = [name for name, p in network.named_parameters() if not p.grad.any()]
    assert not idle


@every_case
def test_the_number_of_parameters_is_the_formula(settings):
    name = settings["network"]
    values = {key.removeprefix(f"{name}."): value for key, value in settings.items()}
    assert build_network(settings, 6, 3, seed=1).n_parameters == FORMULAS[name](values, 6, 3)


def test_every_network_has_a_formula():
    assert set(FORMULAS) == set(networks())


@every_case
@pytest.mark.parametrize("initialisation", ["default", "orthogonal"])
def test_same_seed_same_weights_other_seed_others(settings, initialisation):
    settings = settings | {"embedding": "learned", "learned.dimension_reduction": 0.5, "initialisation": initialisation}

    def weights(seed):
        network = build_network(settings, 6, 3, cardinalities=[9], seed=seed)
        return [layer.weight for layer in network.linears]

    for first, again, other in zip(weights(1), weights(1), weights(2), strict=True):
        assert torch.equal(first, again)
        assert not torch.equal(first, other)


@every_default
def test_an_epoch_repeats_and_differs_from_another(settings):
    network = build_network(_noisy(settings), 6, 3, seed=1).train()

    def outputs(epoch):
        network.start_epoch(epoch)
        return torch.stack([network(_x()) for _ in range(3)])

    first = outputs(1)
    assert not torch.equal(first[0], first[1])  # two batches of an epoch are not dropped alike
    assert not torch.equal(outputs(2), first)
    assert torch.equal(outputs(1), first)


@every_default
def test_another_seed_draws_other_noise(settings):
    first, second = (build_network(_noisy(settings), 6, 3, seed=seed).train() for seed in (1, 2))
    second.load_state_dict(first.state_dict())
    first.start_epoch(1)
    second.start_epoch(1)
    assert not torch.equal(first(_x()), second(_x()))


@every_default
def test_training_without_an_epoch_is_a_bug(settings):
    with pytest.raises(RuntimeError, match="`start_epoch` was not called"):
        build_network(_noisy(settings), 6, 3, seed=1).train()(_x())


def _trained(settings):
    network = build_network(settings, 6, 3, seed=1)
    network.start_epoch(1)
    network.train()(_x())
    return network.eval()


@every_case
def test_a_network_is_its_state(settings):
    network, other = _trained(settings), build_network(settings, 6, 3, seed=2).eval()
    other.load_state_dict(network.state_dict())
    assert torch.equal(other(_x()), network(_x()))


@every_default
def test_a_network_survives_its_pickle_and_its_copy(settings):
    network = _trained(_noisy(settings))
    for twin in (pickle.loads(pickle.dumps(network)), copy.deepcopy(network)):
        assert torch.equal(twin(_x()), network(_x()))


@every_default
def test_a_resumed_training_draws_what_an_uninterrupted_one_does(settings):
    uninterrupted = build_network(_noisy(settings), 6, 3, seed=1).train()
    uninterrupted.start_epoch(1)
    uninterrupted(_x())
    resumed = build_network(_noisy(settings), 6, 3, seed=1).train()
    resumed.load_state_dict(uninterrupted.state_dict())
    for network in (uninterrupted, resumed):
        network.start_epoch(2)
    assert torch.equal(uninterrupted(_x()), resumed(_x()))


@every_default
@pytest.mark.parametrize("n_features", [0, 2])
def test_codes_go_through_embeddings(settings, n_features):
    cardinalities = [2, 7, 1]
    learned = {"embedding": "learned", "learned.dimension_reduction": 0.5}
    network = build_network(settings | learned, n_features, 3, cardinalities=cardinalities, seed=1).train()
    network.start_epoch(1)
    rng = np.random.default_rng(0)
    codes = torch.from_numpy(np.column_stack([rng.integers(0, n, 16) for n in cardinalities])).float()
    output = network(torch.cat([_x(16, n_features), codes], dim=1))
    assert output.shape == (16, 3)
    output.square().sum().backward()
    assert all(p.grad is not None for p in network.parameters())
    width = n_features + sum(embedding_width(n, 0.5) for n in cardinalities)
    body = build_network(settings, width, 3, seed=1)
    assert network.n_parameters == body.n_parameters + sum(n * embedding_width(n, 0.5) for n in cardinalities)
    assert all(torch.equal(a, b) for a, b in zip(network.body.parameters(), body.body.parameters(), strict=True))


@every_case
def test_the_linear_layers_are_listed_in_the_order_of_the_forward_pass(settings):
    network = build_network(settings, 6, 3, seed=1).eval()
    seen = []
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            layer.register_forward_hook(lambda layer, x, y: seen.append(layer))
    network(_x())
    assert network.linears == seen


def _mlp(values, d, k):
    return _chain([d, *(values[f"units_{i}"] for i in range(1, values["num_layers"] + 1)), k], values["batch_norm"])


def _shaped_mlp(values, d, k):
    hidden = widths(values["shape"], d, k, values["max_units"], values["num_layers"])[: values["num_layers"] - 1]
    return _chain([d, *hidden, k], values["batch_norm"])


def _chain(sizes, batch_norm):
    linear = sum(a * b + b for a, b in pairwise(sizes))
    return linear + 2 * sum(sizes[1:-1]) * batch_norm


def _resnet(values, d, k):
    return _residual([values[f"units_{i}"] for i in range(values["num_groups"] + 1)], values, d, k)


def _shaped_resnet(values, d, k):
    n_groups = values["num_groups"]
    return _residual(widths(values["shape"], d, k, values["max_units"], n_groups + 2)[: n_groups + 1], values, d, k)


def _residual(units, values, d, k):
    branches = 2 if values.get("use_shake_shake") else 1
    total = d * units[0] + units[0] + 2 * units[-1] + units[-1] * k + k
    for a, b in pairwise(units):
        for i in range(values["blocks_per_group"]):
            if i == 0 and a != b:
                total += 2 * a + branches * (a * b + b + 2 * b + b * b + b) + (a * b + b) * values["use_skip_connections"]
            else:
                total += branches * 2 * (2 * b + b * b + b)
    return total


FORMULAS = {"mlp": _mlp, "shaped_mlp": _shaped_mlp, "resnet": _resnet, "shaped_resnet": _shaped_resnet}
