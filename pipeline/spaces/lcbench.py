"""The LCBench space, "search space 1" of the paper: seven hyperparameters of a funnel-shaped network; all else is fixed."""

from __future__ import annotations

from lcbench.space import lcbench_space
from lcbench.task import TaskInfo
from pipeline.spaces.search_space import SearchSpace

NAMES = {
    "learning_rate": "sgd.learning_rate",
    "momentum": "sgd.momentum",
    "weight_decay": "sgd.weight_decay",
    "num_layers": "shaped_mlp.num_layers",
    "max_units": "shaped_mlp.max_units",
    "max_dropout": "shaped_mlp.max_dropout",
}
"""The seven are published without the names of their components."""


def space(task: TaskInfo) -> SearchSpace:
    """What LCBench searched, and the pipeline it fixed: codes of categories count as numbers, SGD, cosine annealing, weighted loss."""
    fixed = {
        "encoder": "ordinal",
        "optimizer": "sgd",
        "schedule": "cosine_annealing",
        "cosine_annealing.t_max": None,
        "shaped_mlp.shape": "funnel",
        "shaped_mlp.activation": "relu",
        "shaped_mlp.use_dropout": True,
        "shaped_mlp.batch_norm": False,
    }
    return SearchSpace(lcbench_space(), task, fixed, NAMES)
