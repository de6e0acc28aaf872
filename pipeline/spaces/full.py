"""The components of both generations of Auto-PyTorch in one space, their defects mended; docs/auto-pytorch.md says what is left out."""

from __future__ import annotations

from ConfigSpace import (
    Categorical,
    ConfigurationSpace,
    ForbiddenAndConjunction,
    ForbiddenEqualsClause,
    ForbiddenInClause,
    Integer,
)

from lcbench.task import TaskInfo
from pipeline.spaces.choices import add_choice, values
from pipeline.spaces.search_space import SearchSpace


def space(task: TaskInfo) -> SearchSpace:
    """The whole space: what a choice offers is what its package holds, so a new file in a package is a new value here."""
    full = ConfigurationSpace(name="full")
    full.add(
        Integer("batch_size", (16, 512), log=True, default=64),
        Categorical("imputer.numerical", ["mean", "median", "most_frequent", "constant_zero"]),
        Categorical("initialisation", ["default", "xavier", "kaiming", "orthogonal", "sparse"]),
        Categorical("initialisation.bias", ["default", "zero", "normal"]),
    )
    add_choice(full, "scaler", values("scaler"), task, default="standard")
    add_choice(full, "preprocessor", values("preprocessor"), task, default="none")
    add_choice(full, "network", values("network"), task, default="shaped_mlp")
    add_choice(full, "optimizer", values("optimizer"), task, default="adam")
    add_choice(full, "schedule", values("schedule"), task, default="cosine_annealing")
    add_choice(full, "augmentation", ["standard", "mixup"], task)
    add_choice(full, "weight_averaging", ["none", "moving_average"], task)
    if task.n_categorical != 0:
        _add_categories(full, task)
    if task.kind == "classification":
        _add_classes(full, task)
    else:
        full.add(Categorical("loss", ["squared", "absolute"]))
    return SearchSpace(full, task)


def _add_categories(full: ConfigurationSpace, task: TaskInfo) -> None:
    full.add(Categorical("encoder", ["one_hot", "ordinal"]))
    add_choice(full, "coalescer", ["none", "minority"], task)
    add_choice(full, "embedding", ["none", "learned"], task)
    learned = ForbiddenEqualsClause(full["embedding"], "learned")
    mixing = [value for value in full["preprocessor"].choices if value != "none"]
    full.add(ForbiddenAndConjunction(learned, ForbiddenEqualsClause(full["encoder"], "ordinal")))
    full.add(ForbiddenAndConjunction(learned, ForbiddenInClause(full["preprocessor"], mixing)))


def _add_classes(full: ConfigurationSpace, task: TaskInfo) -> None:
    full.add(
        Categorical("loss", ["cross_entropy_weighted", "cross_entropy"]),
        Categorical("under_sampling", ["none", "random"]),
        Categorical("target_size", ["none", "upsample", "downsample", "average", "median"]),
    )
    add_choice(full, "over_sampling", ["none", "random", "smote"], task)
    if "embedding" in full:  # between two codes there is nothing to interpolate
        smote = ForbiddenEqualsClause(full["over_sampling"], "smote")
        full.add(ForbiddenAndConjunction(ForbiddenEqualsClause(full["embedding"], "learned"), smote))
