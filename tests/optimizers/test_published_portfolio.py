"""What Auto-PyTorch published, in our names: by hand for both generations, and the files themselves where they are."""

import json
import os
from pathlib import Path

import pytest
from ConfigSpace import ConfigurationSpace

from lcbench.space import plain
from lcbench.task import TaskInfo
from optimizers.portfolio import read_members
from optimizers.portfolio_file import read_portfolio
from optimizers.published_portfolio import FIRST, SECOND, generation_of, translated

DIRECTORY = Path(os.environ.get("PORTFOLIOS_DIR", ""))
FILES = {
    "greedy2021": "TPAMI.2021.3067763/greedy_portfolio.json",
    "simple2021": "TPAMI.2021.3067763/simple_portfolio.json",
    "greedy2022": "master/greedy_portfolio.json",
}
needs_files = pytest.mark.skipif(
    not (os.environ.get("PORTFOLIOS_DIR") and all((DIRECTORY / file).exists() for file in FILES.values())),
    reason=f"PORTFOLIOS_DIR is not set to a folder with Auto-PyTorch's {', '.join(FILES.values())}",
)
FIRST_MEMBER = {
    "CreateDataLoader:batch_size": 60,
    "EmbeddingSelector:embedding": "none",
    "Imputation:strategy": "mean",
    "LearningrateSchedulerSelector:cosine_annealing:eta_min": 1e-08,
    "NetworkSelector:network": "shapedmlpnet",
    "NetworkSelector:shapedmlpnet:mlp_shape": "funnel",
    "NetworkSelector:shapedmlpnet:num_layers": 6,
    "NetworkSelector:shapedmlpnet:use_dropout": True,
    "OptimizerSelector:optimizer": "sgd",
    "OptimizerSelector:sgd:momentum": 0.5,
    "PreprocessorSelector:preprocessor": "truncated_svd",
    "PreprocessorSelector:truncated_svd:target_dim": 151,
    "TrainNode:batch_loss_computation_technique": "mixup",
    "TrainNode:mixup:alpha": 0.25,
}
SECOND_MEMBER = {
    "data_loader:batch_size": 60,
    "feature_preprocessor:__choice__": "TruncatedSVD",
    "feature_preprocessor:TruncatedSVD:target_dim": 151,
    "network_embedding:__choice__": "NoEmbedding",
    "network_backbone:__choice__": "ShapedMLPBackbone",
    "network_backbone:ShapedMLPBackbone:num_groups": 6,
    "network_backbone:ShapedMLPBackbone:output_dim": 200,
    "network_backbone:ShapedMLPBackbone:use_dropout": True,
    "optimizer:__choice__": "SGDOptimizer",
    "optimizer:SGDOptimizer:momentum": 0.5,
    "trainer:__choice__": "MixUpTrainer",
    "trainer:MixUpTrainer:alpha": 0.25,
    "trainer:MixUpTrainer:weighted_loss": True,
}
OURS = {
    "batch_size": 60,
    "embedding": "none",
    "network": "shaped_mlp",
    "shaped_mlp.num_layers": 6,
    "shaped_mlp.use_dropout": True,
    "optimizer": "sgd",
    "sgd.momentum": 0.5,
    "preprocessor": "truncated_svd",
    "truncated_svd.target_dim": 151,
    "augmentation": "mixup",
    "mixup.alpha": 0.25,
}


def joint_space(categorical: int) -> ConfigurationSpace:
    spaces = pytest.importorskip("pipeline.spaces.apt2021")
    task = TaskInfo("t", "classification", None, 0, "by hand", 100, 50, 50, 5, 2, n_categorical=categorical)
    return spaces.space(task).space


def test_both_generations_are_recognised_by_their_keys():
    assert generation_of([FIRST_MEMBER]) is FIRST
    assert generation_of([SECOND_MEMBER]) is SECOND
    assert generation_of([OURS]) is None
    assert generation_of([FIRST_MEMBER, OURS]) is None


def test_both_generations_say_the_same():
    assert translated([FIRST_MEMBER], FIRST) == ([OURS], [])
    members, notes = translated([SECOND_MEMBER], SECOND)
    assert members == [OURS]
    assert notes == [
        "`network_backbone:ShapedMLPBackbone:output_dim` is 200 in member 0, but the pipeline has nothing like it: it is dropped"
    ]


def test_a_contradiction_is_said_once_per_value():
    changed = {**FIRST_MEMBER, "Imputation:strategy": "median"}
    members, notes = translated([changed, FIRST_MEMBER, changed], FIRST)
    assert members == [OURS] * 3
    assert notes == ["`Imputation:strategy` is 'median' in members 0, 2, but the pipeline fixes 'mean': it is dropped"]


def test_what_has_no_name_of_ours_is_renamed_by_rule_and_left_to_the_space():
    member = {**FIRST_MEMBER, "PreprocessorSelector:preprocessor": "kernel_pca", "PreprocessorSelector:kernel_pca:gamma": 1.0, "x": [1]}
    (found,), _ = translated([member], FIRST)
    assert (found["preprocessor"], found["kernel_pca.gamma"], found["x"]) == ("kernel_pca", 1.0, [1])


def test_a_file_of_unknown_bytes_is_of_unknown_origin(tmp_path):
    (tmp_path / "mine.json").write_text(json.dumps([FIRST_MEMBER]))
    file = read_portfolio(tmp_path / "mine.json")
    assert file.members == [OURS]
    assert (file.header["name"], file.header["licence"], file.header["space"]) == ("mine", "not stated", "apt2021")


@needs_files
@pytest.mark.parametrize(("name", "file"), FILES.items())
@pytest.mark.parametrize("categorical", [0, 3])
def test_every_published_member_is_legal_in_the_joint_space_with_every_digit(name, file, categorical):
    known = read_portfolio(DIRECTORY / file)
    assert (known.header["name"], known.header["licence"]) == (name, "Apache-2.0")
    members, notes = read_members(DIRECTORY / file, joint_space(categorical))
    assert len(members) == len(known.members) == (98 if name == "simple2021" else 16)
    if name != "greedy2022":  # the second generation has another head and initialisation
        missing = f"missing in all {len(members)} members, so that the default counts: embedding = 'none'"
        assert notes == [missing] * (categorical > 0)
    for member, values in zip(members, known.members, strict=True):
        shared = {key: values[key] for key in values if key != "embedding"}
        assert {key: value for key, value in plain(member).items() if key != "embedding"} == pytest.approx(shared, abs=1e-12)


@needs_files
def test_the_two_greedy_files_differ_in_one_batch_size():
    first, second = (read_portfolio(DIRECTORY / FILES[name]) for name in ("greedy2021", "greedy2022"))
    assert not first.notes
    for number, (one, other) in enumerate(zip(first.members, second.members, strict=True)):
        assert other.pop("embedding") == "none"
        differing = {name for name in {*one, *other} if one.get(name) != other.get(name)}
        assert differing == ({"batch_size"} if number == 1 else set())
    assert (first.members[1]["batch_size"], second.members[1]["batch_size"]) == (240, 255)
