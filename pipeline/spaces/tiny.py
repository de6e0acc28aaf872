"""A space of a handful of hyperparameters around one good network, for small budgets and for first steps."""

from __future__ import annotations

from ConfigSpace import Categorical, ConfigurationSpace, Float, Integer

from lcbench.task import TaskInfo
from pipeline.spaces.search_space import SearchSpace

FIXED = {
    "scaler": "quantile",
    "network": "shaped_resnet",
    "optimizer": "adamw",
    "schedule": "cosine_annealing",
    "cosine_annealing.t_max": None,
    "shaped_resnet.shape": "brick",
    "shaped_resnet.activation": "relu",
    "shaped_resnet.use_dropout": True,
    "shaped_resnet.use_shake_shake": False,
    "shaped_resnet.use_shake_drop": False,
    "shaped_resnet.use_skip_connections": True,
}
"""What is not searched; the names of the presets of Auto-PyTorch's ``tiny_cs`` with today's optimizer and scaler."""


def space(task: TaskInfo) -> SearchSpace:
    """Eight hyperparameters: the sizes of a shaped ResNet, its dropout, the loss, and how it is trained."""
    losses = ["cross_entropy", "cross_entropy_weighted"] if task.kind == "classification" else ["squared", "absolute"]
    small = ConfigurationSpace(name="tiny")
    small.add(
        Integer("batch_size", (32, 512), log=True, default=128),
        Categorical("loss", losses),
        Float("adamw.learning_rate", (1e-4, 3e-2), log=True, default=2e-3),
        Float("adamw.weight_decay", (1e-5, 1e-1), log=True, default=1e-3),
        Integer("shaped_resnet.num_groups", (1, 3), default=1),
        Integer("shaped_resnet.blocks_per_group", (1, 3), default=2),
        Integer("shaped_resnet.max_units", (32, 512), log=True, default=128),
        Float("shaped_resnet.max_dropout", (0.0, 0.6), default=0.2),
    )
    return SearchSpace(small, task, FIXED)
