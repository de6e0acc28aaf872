"""The joint space of the paper's AutoML experiments, "search space 2" (Auto-PyTorch, branch TPAMI.2021.3067763, full_cs narrowed)."""

from __future__ import annotations

from ConfigSpace import Categorical, ConfigurationSpace, EqualsCondition, Float, ForbiddenAndConjunction, ForbiddenEqualsClause, Integer
from ConfigSpace.hyperparameters import CategoricalHyperparameter, Hyperparameter

from lcbench.task import TaskInfo
from pipeline.spaces.search_space import SearchSpace

FIXED = {
    "shaped_mlp.shape": "funnel",
    "shaped_mlp.activation": "relu",
    "shaped_mlp.batch_norm": False,
    "shaped_resnet.shape": "funnel",
    "shaped_resnet.activation": "relu",
    "shaped_resnet.use_skip_connections": True,
    "adam.beta1": 0.9,
    "adam.beta2": 0.999,
    "schedule": "cosine_annealing",
    "cosine_annealing.t_max": None,  # to full training: the paper's 50 epochs were its largest budget
}
"""What the paper's experiments held constant, beside the defaults."""


def space(task: TaskInfo) -> SearchSpace:
    """Preprocessing, one of two networks, its training and its regularisation: 24 hyperparameters, 27 with categorical columns.

    Ranges and scales are those of the paper's experiment driver. One number stands for its one dimension reduction per categorical
    column, so that the space is the same for every task with categories (docs/decisions/0011).
    """
    joint = ConfigurationSpace(name="apt2021")
    joint.add(Integer("batch_size", (16, 512), log=True))
    preprocessor = _choice(joint, "preprocessor", ["none", "truncated_svd"])
    _under(joint, preprocessor, "truncated_svd", Integer("truncated_svd.target_dim", (10, 256)))
    if task.n_categorical != 0:
        _add_embedding(joint, preprocessor)
    network = _choice(joint, "network", ["shaped_mlp", "shaped_resnet"])
    _under(joint, network, "shaped_mlp", *_sizes("shaped_mlp", num_layers=(1, 6)), Integer("shaped_mlp.max_units", (64, 1024), log=True))
    _under(joint, network, "shaped_resnet", *_sizes("shaped_resnet", num_groups=(1, 5), blocks_per_group=(1, 3)))
    _under(joint, network, "shaped_resnet", Integer("shaped_resnet.max_units", (32, 512), log=True))
    for name in ("shaped_mlp", "shaped_resnet"):
        _switch(joint, network, name, "use_dropout", "max_dropout")
    _under(joint, network, "shaped_resnet", Categorical("shaped_resnet.use_shake_shake", [True, False], default=False))
    _switch(joint, network, "shaped_resnet", "use_shake_drop", "max_shake_drop_probability")
    _add_descent(joint)
    augmentation = _choice(joint, "augmentation", ["standard", "mixup"])
    _under(joint, augmentation, "mixup", Float("mixup.alpha", (0.0, 1.0)))
    return SearchSpace(joint, task, FIXED)


def _choice(joint: ConfigurationSpace, name: str, values: list[str]) -> CategoricalHyperparameter:
    choice = Categorical(name, values)
    joint.add(choice)
    return choice


def _under(joint: ConfigurationSpace, parent: CategoricalHyperparameter, value: object, *children: Hyperparameter) -> None:
    """Add hyperparameters that are active only where their parent has this value."""
    joint.add(*children, *(EqualsCondition(child, parent, value) for child in children))


def _sizes(network: str, **ranges: tuple[int, int]) -> list[Hyperparameter]:
    return [Integer(f"{network}.{name}", bounds) for name, bounds in ranges.items()]


def _switch(joint: ConfigurationSpace, network: CategoricalHyperparameter, name: str, switch: str, amount: str) -> None:
    """A regularisation that is on or off, and how much of it there is where it is on."""
    on = Categorical(f"{name}.{switch}", [True, False], default=False)
    _under(joint, network, name, on)
    _under(joint, on, True, Float(f"{name}.{amount}", (0.0, 1.0)))


def _add_embedding(joint: ConfigurationSpace, preprocessor: CategoricalHyperparameter) -> None:
    """Entity embeddings, which need columns that nothing has mixed yet."""
    embedding = _choice(joint, "embedding", ["none", "learned"])
    values = Integer("learned.min_unique_values", (3, 300), log=True)
    _under(joint, embedding, "learned", values, Float("learned.dimension_reduction", (0.0, 1.0)))
    learned, mixed = ForbiddenEqualsClause(embedding, "learned"), ForbiddenEqualsClause(preprocessor, "truncated_svd")
    joint.add(ForbiddenAndConjunction(learned, mixed))


def _add_descent(joint: ConfigurationSpace) -> None:
    optimizer = _choice(joint, "optimizer", ["sgd", "adam"])
    for name in ("sgd", "adam"):
        rate = Float(f"{name}.learning_rate", (1e-4, 1e-1), log=True)
        _under(joint, optimizer, name, rate, Float(f"{name}.weight_decay", (1e-5, 1e-1)))
    _under(joint, optimizer, "sgd", Float("sgd.momentum", (0.1, 0.999)))
