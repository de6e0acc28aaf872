"""Optuna behind our protocol asks what Optuna itself asks, and its pruner decides who goes on."""

from collections import Counter

import numpy as np
import pytest
from ConfigSpace import UniformIntegerHyperparameter

from lcbench.query import Origin, Query, Result, Status
from lcbench.space import lcbench_space
from optimizers.adapters.optuna import OptunaHyperband, OptunaTPE
from optimizers.rungs import ladder
from tests.fakes import FakeBenchmark, mixed_space

optuna = pytest.importorskip("optuna", reason="optuna is not installed: python -m optimizers.adapters install optuna")
LADDER = ladder(50, 6, 2)


def drive(optimizer, n, space=None):
    benchmark, results = FakeBenchmark(space) if space else FakeBenchmark(), []
    for _ in range(n):
        results.append(benchmark.evaluate(optimizer.ask()))
        optimizer.tell(results[-1])
    return results


def alone(trials, pruner, seed):
    """Optuna without us: one trial after the other, told the losses of `trials`, reporting at every rung until it is pruned."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    seed = int(np.random.default_rng(seed).integers(2**31))  # what the adapter draws
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed), pruner=pruner, study_name=f"seed {seed}")
    benchmark, space = FakeBenchmark(), lcbench_space()
    for configuration in trials:
        trial, losses, pruned = study.ask(), {}, False
        for name, hyperparameter in space.items():
            suggest = trial.suggest_int if isinstance(hyperparameter, UniformIntegerHyperparameter) else trial.suggest_float
            suggest(name, hyperparameter.lower, hyperparameter.upper, log=hyperparameter.log)
        for epoch in LADDER.epochs:
            losses[epoch] = benchmark.evaluate(Query(configuration, epoch, 0)).loss
            trial.report(losses[epoch], epoch)
            if pruned := epoch < LADDER.max and trial.should_prune():
                break
        study.tell(trial, None if pruned else losses[epoch], state=optuna.trial.TrialState.PRUNED if pruned else None)
        yield trial.params, max(losses)


@pytest.mark.parametrize(
    ("client", "pruner"),
    [
        (OptunaTPE, optuna.pruners.NopPruner()),
        (OptunaHyperband, optuna.pruners.HyperbandPruner(min_resource=6, max_resource=50, reduction_factor=2)),
    ],
)
def test_the_same_as_optuna_alone(client, pruner):
    """Which rungs a bracket does not need to see changes nothing."""
    results = drive(client(lcbench_space(), LADDER, np.random.default_rng(4)), 60)
    trials = {result.query.trial: result.query for result in results}
    done = list(trials.values())[:-1]
    for query, (params, epoch) in zip(done, alone([query.configuration for query in done], pruner, 4), strict=True):
        assert dict(query.configuration) == pytest.approx(params, rel=1e-6)
        assert query.epoch == epoch


def test_the_first_trials_are_random():
    origins = [r.query.origin for r in drive(OptunaTPE(lcbench_space(), LADDER, np.random.default_rng(0), n_startup_trials=7), 12)]
    assert origins == [Origin.INITIAL] * 7 + [Origin.MODEL] * 5


def test_hyperband_continues_some_trials_and_prunes_others():
    results = drive(OptunaHyperband(lcbench_space(), LADDER, np.random.default_rng(0), n_startup_trials=1000), 200)
    reached = {}
    for result in results:
        reached[result.query.trial] = result.query.epoch
    ended = Counter(reached.values())
    assert set(ended) == set(LADDER.epochs)
    assert ended[50] < len(reached) / 2
    starts = [result.query for result in results if result.query.origin is not Origin.PROMOTION]
    assert all(query.epoch == LADDER.epochs[query.bracket] for query in starts)  # a bracket is never pruned below its rung


def test_a_failed_trial_is_not_continued():
    optimizer = OptunaHyperband(lcbench_space(), LADDER, np.random.default_rng(0))
    query = optimizer.ask()
    optimizer.tell(Result.failure(query, Status.CRASHED, "no"))
    assert query.trial not in {r.query.trial for r in drive(optimizer, 30)}


def test_ordinals_keep_their_order_and_conditions_hold():
    space = mixed_space()
    for result in drive(OptunaTPE(space, LADDER, np.random.default_rng(1)), 40, space):
        configuration = result.query.configuration
        configuration.check_valid_configuration()
        assert ("momentum" in configuration) == (configuration["optimizer"] == "sgd")


@pytest.mark.parametrize("setting", ["n_startup_trials", "n_candidates"])
def test_settings_out_of_range_are_refused(setting):
    with pytest.raises(ValueError, match=f"`{setting}` is 0, but must be at least 1"):
        OptunaTPE(lcbench_space(), LADDER, np.random.default_rng(0), **{setting: 0})
