"""The portfolios that Auto-PyTorch published, in the names of this project: two generations of keys, one table for each.

Both are JSON lists of flat objects ``{"Node:component:hyperparameter": value}`` with only the active hyperparameters, constants of the
pipeline included. Constants are dropped where the pipeline has the same ones anyway; where it has others, that is said.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lcbench.commands.words import listed

SPACE = "apt2021"
"""The space that the published members come from."""


@dataclass(frozen=True)
class Generation:
    """How one generation of Auto-PyTorch writes a member."""

    marks: tuple[str, ...]
    """Keys that every member has and nobody else."""
    names: Mapping[str, str]
    """Our name of a key; any other ``Node:component:x`` is called ``component.x``."""
    components: Mapping[str, str]
    """Our name of a component."""
    fixed: Mapping[str, Any]
    """Constants by what the pipeline has in their place, None where it has nothing like it."""


FIRST = Generation(
    marks=("CreateDataLoader:batch_size", "NetworkSelector:network"),
    names={
        "CreateDataLoader:batch_size": "batch_size",
        "PreprocessorSelector:preprocessor": "preprocessor",
        "EmbeddingSelector:embedding": "embedding",
        "EmbeddingSelector:learned:min_unique_values_for_embedding": "learned.min_unique_values",
        "NetworkSelector:network": "network",
        "OptimizerSelector:optimizer": "optimizer",
        "TrainNode:batch_loss_computation_technique": "augmentation",
    },
    components={"shapedmlpnet": "shaped_mlp", "shapedresnet": "shaped_resnet"},
    fixed={
        "Imputation:strategy": "mean",
        "InitializationSelector:initialization_method": "default",
        "InitializationSelector:initializer:initialize_bias": "Yes",
        "LearningrateSchedulerSelector:lr_scheduler": "cosine_annealing",
        "LearningrateSchedulerSelector:cosine_annealing:T_max": 50,
        "LearningrateSchedulerSelector:cosine_annealing:eta_min": 1e-8,
        "LossModuleSelector:loss_module": "cross_entropy_weighted",
        "NormalizationStrategySelector:normalization_strategy": "standardize",
        "ResamplingStrategySelector:over_sampling_method": "none",
        "ResamplingStrategySelector:under_sampling_method": "none",
        "ResamplingStrategySelector:target_size_strategy": "none",
        "NetworkSelector:shapedmlpnet:activation": "relu",
        "NetworkSelector:shapedmlpnet:mlp_shape": "funnel",
        "NetworkSelector:shapedresnet:activation": "relu",
        "NetworkSelector:shapedresnet:resnet_shape": "funnel",
    },
)
"""The paper's own code, branch TPAMI.2021.3067763."""

SECOND = Generation(
    marks=("data_loader:batch_size", "network_backbone:__choice__"),
    names={
        "data_loader:batch_size": "batch_size",
        "feature_preprocessor:__choice__": "preprocessor",
        "network_embedding:__choice__": "embedding",
        "network_embedding:LearnedEntityEmbedding:min_unique_values_for_embedding": "learned.min_unique_values",
        "network_backbone:__choice__": "network",
        "network_backbone:ShapedMLPBackbone:num_groups": "shaped_mlp.num_layers",
        "optimizer:__choice__": "optimizer",
        "optimizer:AdamOptimizer:lr": "adam.learning_rate",
        "optimizer:SGDOptimizer:lr": "sgd.learning_rate",
        "trainer:__choice__": "augmentation",
    },
    components={
        "NoFeaturePreprocessor": "none",
        "TruncatedSVD": "truncated_svd",
        "NoEmbedding": "none",
        "LearnedEntityEmbedding": "learned",
        "ShapedMLPBackbone": "shaped_mlp",
        "ShapedResNetBackbone": "shaped_resnet",
        "AdamOptimizer": "adam",
        "SGDOptimizer": "sgd",
        "StandardTrainer": "standard",
        "MixUpTrainer": "mixup",
    },
    fixed={
        "imputer:numerical_strategy": "mean",
        "coalescer:__choice__": "NoCoalescer",
        "encoder:__choice__": "OneHotEncoder",
        "scaler:__choice__": "StandardScaler",
        "lr_scheduler:__choice__": "CosineAnnealingLR",
        "lr_scheduler:CosineAnnealingLR:T_max": 50,
        "network_init:__choice__": "NoInit",
        "network_init:XavierInit:bias_strategy": None,
        "network_head:__choice__": None,
        "network_head:fully_connected:num_layers": None,
        "network_head:fully_connected:units_layer_1": None,
        "network_head:fully_connected:activation": None,
        "network_backbone:ShapedMLPBackbone:activation": "relu",
        "network_backbone:ShapedMLPBackbone:mlp_shape": "funnel",
        "network_backbone:ShapedMLPBackbone:output_dim": None,
        "network_backbone:ShapedResNetBackbone:activation": "relu",
        "network_backbone:ShapedResNetBackbone:resnet_shape": "funnel",
        "network_backbone:ShapedResNetBackbone:output_dim": None,
        "optimizer:AdamOptimizer:beta1": 0.9,
        "optimizer:AdamOptimizer:beta2": 0.999,
        "trainer:StandardTrainer:weighted_loss": True,
        "trainer:MixUpTrainer:weighted_loss": True,
    },
)
"""Version 0.2.1, branch master."""

_PAPER = "branch TPAMI.2021.3067763, commit 481e9cd69c5da2db264a6bdb2acf081f3fbdbb48, autoPyTorch/core/hpbandster_extensions"
_MASTER = "branch master, commit 56a2ac1d69c7c61a847c678879a67f5d3672b3e8, autoPyTorch/configs"
PUBLISHED = {
    "c7e12e681ce1273accc1aacca99f4d582c703bb0f4ae2792279b02183cbbd9b8": ("greedy2021", f"{_PAPER}/greedy_portfolio.json"),
    "b92356d20973743c1a3d0b353b029005b79c70c8a15b1898024c0f61485a26eb": ("simple2021", f"{_PAPER}/simple_portfolio.json"),
    "26e5599558b65ea38559096f9b05e9fdfa096ad20c11a1beadc25bc59c32f56d": ("greedy2022", f"{_MASTER}/greedy_portfolio.json"),
}
"""Name and place in github.com/automl/Auto-PyTorch of the published files, by the SHA-256 of their bytes."""


def generation_of(members: Sequence[Mapping[str, Any]]) -> Generation | None:
    """The generation whose keys these members have, None if they are not published ones."""
    for generation in (FIRST, SECOND):
        if all(mark in member for mark in generation.marks for member in members):
            return generation
    return None


def header_of(content: bytes, file: str) -> dict[str, Any]:
    """What is known of a published file: name, source, licence, space; `file` is what it is called if its bytes are not known."""
    name, place = PUBLISHED.get(hashlib.sha256(content).hexdigest(), (None, None))
    if name is None:
        source = f"{file}, in Auto-PyTorch's format; keys renamed, constants of the pipeline left out"
        return {"name": file.partition(".")[0], "source": source, "licence": "not stated", "space": SPACE}
    source = (
        f"values are facts of github.com/automl/Auto-PyTorch, {place}, with every digit; "
        "keys renamed, constants that the pipeline has anyway left out, every other word of this file is this project's"
    )
    return {"name": name, "source": source, "licence": "Apache-2.0", "space": SPACE}


def translated(members: Sequence[Mapping[str, Any]], generation: Generation) -> tuple[list[dict[str, Any]], list[str]]:
    """The members in our names, and where they contradict what the pipeline fixes, a sentence per key and value."""
    contradictions: dict[tuple[str, str], list[int]] = {}
    for key, ours in generation.fixed.items():
        for number, member in enumerate(members):
            if key in member and member[key] != ours:
                contradictions.setdefault((key, repr(member[key])), []).append(number)
    notes = [
        f"`{key}` is {value} in {which(numbers, len(members))}, but the pipeline {_ours(generation.fixed[key])}: it is dropped"
        for (key, value), numbers in contradictions.items()
    ]
    return [_renamed(member, generation) for member in members], notes


def which(numbers: Sequence[int], n: int) -> str:
    """Some of `n` members in words.

    >>> which([0, 1], 2), which([3], 16), which([3, 4], 16)
    ('all 2 members', 'member 3', 'members 3, 4')
    """
    if len(numbers) == n > 1:
        return f"all {n} members"
    return f"member{'s' * (len(numbers) > 1)} {listed(numbers)}"


def _ours(value: Any) -> str:
    return "has nothing like it" if value is None else f"fixes {value!r}"


def _renamed(member: Mapping[str, Any], generation: Generation) -> dict[str, Any]:
    renamed = {}
    for key, value in member.items():
        if key not in generation.fixed:
            text = generation.components.get(value, value) if isinstance(value, str) else value
            renamed[generation.names.get(key) or _plain_name(key, generation)] = text
    return renamed


def _plain_name(key: str, generation: Generation) -> str:
    _, *path = key.split(":")
    return ".".join(generation.components.get(part, part) for part in path) or key
