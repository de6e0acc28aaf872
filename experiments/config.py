"""The typed root of the configuration: a misspelt key or a value of the wrong type is refused before anything runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lcbench.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
"""The folder that holds run.py; outputs are anchored here and not where the shell happens to stand."""
DEFAULT_SECONDS = 60.0
"""Length of a run when no budget is given."""


@dataclass
class BudgetConfig:
    """When a run ends; see conf/run.yaml."""

    seconds: float | None = None
    trials: int | None = None
    epochs: int | None = None


@dataclass
class TrialConfig:
    """Limits of one evaluation; see conf/run.yaml."""

    seconds: float | None = None
    memory_mb: int | None = None


@dataclass
class EnsembleConfig:
    """How trained models become one; see conf/run.yaml."""

    size: int = 50
    n_best: int = 20
    max_latency: float | None = None


@dataclass
class OpenMLConfig:
    """Where the OpenML client keeps its files; see conf/run.yaml."""

    cache_dir: str | None = None


@dataclass
class RunConfig:
    """Every key of conf/run.yaml; the groups are checked by the signature of what they build."""

    task: Any = None
    space: Any = None
    optimizer: Any = None
    fidelity: Any = None
    benchmark: Any = None
    executor: Any = None
    cluster: Any = None
    portfolio: Any = None
    prior: Any = None
    debug: Any = None
    seed: int = 0
    metric: str | None = None
    cross_validation: Any = "auto"
    incumbent: str = "highest_seen"
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    trial: TrialConfig = field(default_factory=TrialConfig)
    traditional: Any = "all"
    ensemble: EnsembleConfig = field(default_factory=EnsembleConfig)
    refit: str | None = None
    openml: OpenMLConfig = field(default_factory=OpenMLConfig)
    runs: str = ""
    plan: bool = False
    info: str | None = None
    extend: bool = False


@dataclass
class CompareConfig:
    """Every key of conf/compare.yaml; the groups are checked by the signature of what they build."""

    space: Any = None
    fidelity: Any = None
    benchmark: Any = None
    executor: Any = None
    name: str = "default"
    tasks: Any = "all"
    optimizers: Any = None
    seeds: Any = "0..29"
    metric: str | None = None
    incumbent: str = "every_epoch"
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    processes: int | None = None
    studies: str = ""


@dataclass
class CollectConfig:
    """Every key of conf/collect.yaml; the groups are checked by the signature of what they build."""

    space: Any = None
    executor: Any = None
    cluster: Any = None
    name: str = "default"
    tasks: Any = None
    configs: Any = 200
    seeds: Any = 1
    epochs: int = 50
    draw: int = 0
    metric: str | None = None
    seconds: float | None = None
    retry: bool = False
    device: str = "cpu"
    trial: TrialConfig = field(default_factory=TrialConfig)
    openml: OpenMLConfig = field(default_factory=OpenMLConfig)
    plan: bool = False
    status: bool = False
    collections: str = ""


def register() -> None:
    """Make the schemas and the ``${root:}`` resolver known to Hydra; called before anything is composed."""
    from hydra.core.config_store import ConfigStore
    from omegaconf import OmegaConf

    OmegaConf.register_new_resolver("root", lambda: str(ROOT), replace=True)
    ConfigStore.instance().store(name="run_schema", node=RunConfig)
    ConfigStore.instance().store(name="compare_schema", node=CompareConfig)
    ConfigStore.instance().store(name="collect_schema", node=CollectConfig)


def check_seed(seed: int) -> int:
    """Return the seed.

    Raises:
        UserError: if it is negative, or larger than what scikit-learn takes.
    """
    if not 0 <= seed < 2**32:
        raise UserError(f"`seed` is {seed}, but must be 0 or larger, and below {2**32}")
    return seed


def check_folds(folds: Any) -> Any:
    """Return what `cross_validation` is; whether a task has so many rows is seen when it is there.

    Raises:
        UserError: if it is no number, ``auto`` or None.
    """
    if folds not in ("auto", None) and (isinstance(folds, bool) or not isinstance(folds, int)):
        raise UserError(f"`cross_validation` is {folds!r}, but must be auto, a number of folds, or null to hold out 33 % for validation")
    return folds


@dataclass(frozen=True)
class Budget:
    """When a run ends: at the first of these that is reached.

    Raises:
        UserError: if a part is not positive.
    """

    seconds: float | None = None
    """Seconds of the whole run by its clock (wall or simulated), None for no limit."""
    trials: int | None = None
    """Number of configurations that are started. Promotions still run, but not those of a rung that the budget leaves unfilled."""
    epochs: int | None = None
    """Number of epochs that are trained."""

    def __post_init__(self) -> None:
        for name in ("seconds", "trials", "epochs"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise UserError(f"`budget.{name}` is {value}, but must be positive and finite, or null for no limit of this kind")

    @classmethod
    def of(cls, config: BudgetConfig, default: Budget | None = None) -> Budget:
        """The configured budget; if nothing is configured, the default one (a minute)."""
        if config.seconds is None and config.trials is None and config.epochs is None:
            return default or cls(seconds=DEFAULT_SECONDS)
        return cls(config.seconds, config.trials, config.epochs)

    @property
    def by_clock(self) -> bool:
        """True if the clock decides when the run ends, so that two runs may differ."""
        return self.seconds is not None
