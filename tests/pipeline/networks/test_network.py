"""Building the network of a configuration: what is refused, what is initialised, and what is read from the settings."""

import pytest
import torch

from lcbench.errors import UserError
from lcbench.task import TaskInfo
from pipeline.networks import mlp, resnet, shaped_mlp, shaped_resnet
from pipeline.networks.embedding import Embedding
from pipeline.networks.initialisation import initialise
from pipeline.networks.network import build_network, networks
from pipeline.streams import Purpose, stream

TASK = TaskInfo("made up", "classification", None, 0, "made up", 100, 50, 50, 6, 3)
SETTINGS = {
    "network": "shaped_mlp",
    "shaped_mlp.num_layers": 3,
    "shaped_mlp.max_units": 16,
    "shaped_mlp.shape": "funnel",
    "shaped_mlp.activation": "relu",
    "shaped_mlp.use_dropout": False,
    "shaped_mlp.batch_norm": False,
    "initialisation": "default",
    "initialisation.bias": "default",
    "embedding": "none",
    "batch_size": 64,
    "mlp.num_layers": 7,
}
LEARNED = {"embedding": "learned", "learned.dimension_reduction": 0.5}


def test_the_networks_there_are():
    assert networks() == ["mlp", "resnet", "shaped_mlp", "shaped_resnet"]


@pytest.mark.parametrize("name", ["transformer", "shake"])
def test_an_unknown_network_is_refused_with_those_there_are(name):
    with pytest.raises(UserError, match=f"`network` is '{name}', but must be one of mlp, resnet, shaped_mlp, shaped_resnet"):
        build_network(SETTINGS | {"network": name}, 6, 3, seed=1)


def test_an_unknown_embedding_is_refused():
    with pytest.raises(UserError, match="`embedding` is 'hashed', but must be one of none, learned"):
        build_network(SETTINGS | {"embedding": "hashed"}, 6, 3, seed=1)


def test_an_unknown_activation_is_refused():
    with pytest.raises(UserError, match="`activation` is 'swish', but must be one of relu, tanh, sigmoid"):
        build_network(SETTINGS | {"shaped_mlp.activation": "swish"}, 6, 3, seed=1)


def test_a_table_without_columns_is_refused():
    with pytest.raises(UserError, match="0 columns after preprocessing"):
        build_network(SETTINGS, 0, 3, seed=1)


def test_codes_without_embedding_are_a_bug():
    with pytest.raises(ValueError, match="`embedding` is 'none', but 2 columns are codes"):
        build_network(SETTINGS, 6, 3, cardinalities=[3, 4], seed=1)


def test_learned_embedding_of_no_column_changes_nothing():
    plain, learned = build_network(SETTINGS, 6, 3, seed=1), build_network(SETTINGS | LEARNED, 6, 3, seed=1)
    assert plain.state_dict().keys() == learned.state_dict().keys()


def test_the_initialisation_reaches_network_and_embedding():
    settings = SETTINGS | LEARNED | {"initialisation": "orthogonal", "initialisation.bias": "zero"}
    network = build_network(settings, 6, 3, cardinalities=[8], seed=1)
    assert len(network.linears) == 4
    embedded, *others = network.linears
    drawn = Embedding(6, [8], 0.5)
    initialise(drawn, "orthogonal", "zero", stream(1, 0, Purpose.EMBEDDINGS))
    assert torch.equal(embedded.weight[:, 1:], drawn.maps[0].weight[:, 1:])
    for layer in (*others, drawn.maps[0]):
        weight = layer.weight if layer.out_features <= layer.in_features else layer.weight.T
        torch.testing.assert_close(weight @ weight.T, torch.eye(len(weight)), atol=1e-5, rtol=0)
        assert layer.bias is None or not layer.bias.any()


def test_embedded_codes_are_what_the_body_starts_from():
    network = build_network(SETTINGS | LEARNED, 2, 3, cardinalities=[4, 3], seed=1).eval()
    x = torch.tensor([[0.5, 1.0, 3.0, 0.0]])
    assert network.embed(x).shape == (1, 2 + 2 + 1)
    assert torch.equal(network.body(network.embed(x)), network(x))


def test_a_category_without_training_rows_is_embedded_as_zeros():
    network = build_network(SETTINGS | LEARNED, 1, 3, cardinalities=[4, 1], seed=1).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1, weight_decay=0.1)
    known, unknown = torch.tensor([[0.5, 3.0, 0.0]]), torch.tensor([[0.5, 0.0, 0.0]])
    for _ in range(3):
        optimizer.zero_grad()
        network(known).square().sum().backward()
        optimizer.step()
    assert network.embed(known)[0, 1:3].all()
    assert not network.embed(unknown)[0, 1:3].any()
    network(unknown).square().sum().backward()  # where training rows are missing, their vector is learned
    optimizer.step()
    assert network.embed(unknown)[0, 1:3].all()


@pytest.mark.parametrize("shaped", [shaped_mlp, shaped_resnet])
def test_a_maximum_of_dropout_needs_dropout(shaped):
    space = shaped.space(TASK)
    default = space.get_default_configuration()
    assert default["use_dropout"] is False or not default["use_dropout"]
    assert "max_dropout" not in default
    assert default["max_units"] == 200


def test_a_layer_has_units_only_where_it_exists():
    default = mlp.space(TASK).get_default_configuration()
    assert [name for name in default if name.startswith("units_")] == ["units_1", "units_2", "units_3"]
    assert not [name for name in default if name.startswith("dropout_")]
    groups = resnet.space(TASK).get_default_configuration()
    assert [name for name in groups if name.startswith("units_")] == ["units_0", "units_1", "units_2"]


@pytest.mark.parametrize("module", [resnet, shaped_resnet])
def test_there_is_nothing_to_shake_without_skip_connections(module):
    space = module.space(TASK)
    space.seed(1)
    for configuration in space.sample_configuration(50):
        assert ("use_shake_shake" in configuration) == ("use_shake_drop" in configuration) == configuration["use_skip_connections"]
        assert ("max_shake_drop_probability" in configuration) == bool(configuration.get("use_shake_drop"))
