"""The laws of optimizers (optimizers/optimizer.py), for every YAML in conf/optimizer on two spaces.

Run as a script, it prints what every optimizer asks: the replay in a fresh process.
"""

import copy
import inspect
import json
import math
import os
import pickle
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf
from scipy.stats import wilcoxon

from lcbench.query import Origin, Query, Result, Status
from lcbench.space import key, lcbench_space, sample
from optimizers.adapters.errors import PeerMissingError, UnsupportedError
from optimizers.optimizer import Optimizer
from optimizers.rungs import ladder
from tests.fakes import FakeBenchmark, mixed_space

ROOT = Path(__file__).resolve().parents[2]
YAMLS = {path.stem: path for path in sorted((ROOT / "experiments" / "conf" / "optimizer").glob("*.yaml"))}
SPACES = {"lcbench": lcbench_space, "mixed": mixed_space}
LADDER = ladder(50, 6, 2)
FAILURES = (Status.CRASHED, Status.TIMEOUT, Status.MEMOUT, Status.DIVERGED)

every_optimizer = pytest.mark.parametrize("name", YAMLS)
every_space = pytest.mark.parametrize("space", SPACES)


def settings(name):
    return {setting: value for setting, value in OmegaConf.load(YAMLS[name]).items() if setting != "name"}


def build(name, space, seed=0, **more):
    """An optimizer; a peer that is not installed, or has no word for the space, skips the test with its reason."""
    try:
        return instantiate(settings(name), **more)(SPACES[space](), LADDER, np.random.default_rng(seed))
    except (PeerMissingError, UnsupportedError) as error:
        pytest.skip(str(error))


def few(optimizer, n):
    """As many asks, or a third of them where each takes a model milliseconds."""
    return n // 3 if getattr(optimizer, "costly", False) else n


def drive(optimizer, benchmark, n_asks, *, n_open=1, shuffle=None, fails=0.0, distort=lambda loss: loss):
    """Ask `n_asks` times with up to `n_open` open asks; answers come in order, or at random and partly failed by `shuffle`."""
    asked, waiting, results = [], [], []
    while len(asked) < n_asks:
        asked.append(optimizer.ask())
        waiting.append(asked[-1])
        if len(waiting) == n_open:
            query = waiting.pop(int(shuffle.integers(n_open)) if shuffle else 0)
            result = benchmark.evaluate(query)
            result = replace(result, loss=distort(result.loss))
            if shuffle and shuffle.random() < fails:
                result = Result.failure(query, FAILURES[shuffle.integers(len(FAILURES))], "told to fail")
            optimizer.tell(result)
            results.append(result)
    return asked, results


def said(queries):
    """All that a query says, as plain values."""
    return [[key(q.configuration), q.epoch, q.trial, q.seed, str(q.origin), q.bracket, q.rung] for q in queries]


def replay(name, space):
    """The asks of one optimizer with five at a time, answered out of order, some of them failed."""
    optimizer = build(name, space)
    asked, _ = drive(optimizer, FakeBenchmark(SPACES[space]()), few(optimizer, 90), n_open=5, shuffle=np.random.default_rng(7), fails=0.2)
    return said(asked)


@cache
def replay_elsewhere():
    """Every replay, from one fresh process in which strings hash differently."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "12345"}
    answer = subprocess.run([sys.executable, __file__], env=environment, capture_output=True, text=True, check=True)
    return json.loads(answer.stdout)


def test_there_is_something_to_test():
    assert {"random", "sh", "hyperband", "bohb"} <= set(YAMLS)


@every_optimizer
def test_the_yaml_says_what_python_says(name):
    given = {setting: value for setting, value in settings(name).items() if not setting.startswith("_")}
    parameters = inspect.signature(get_class(settings(name)["_target_"])).parameters
    assert given == {setting: parameters[setting].default for setting in given}
    lacks = set(parameters) - set(given) - {"space", "ladder", "rng", "trial_seed"}
    assert not lacks, f"{YAMLS[name]} lacks {', '.join(sorted(lacks))}: a line for every hyperparameter"
    assert "trial_seed" in parameters


@every_optimizer
def test_the_yaml_opens_with_its_command(name):
    first, *rest = YAMLS[name].read_text().splitlines()
    assert first.startswith("# ")
    assert first.endswith(f"python run.py optimizer={name}")
    assert rest[0] == f"name: {name}"  # runs lie in a folder of this name
    assert all("#" in line for line in rest if not line.startswith(("name:", "_target_:", "_partial_:")))


@every_optimizer
@every_space
def test_keeps_the_protocol(name, space):
    assert isinstance(build(name, space), Optimizer)


@every_optimizer
@every_space
@pytest.mark.parametrize("fails", [0.0, 0.3, 1.0])
def test_asks_are_legal_and_on_the_ladder(name, space, fails):
    benchmark = FakeBenchmark(SPACES[space]())
    optimizer = build(name, space)
    asked, _ = drive(optimizer, benchmark, few(optimizer, 120), n_open=7, shuffle=np.random.default_rng(1), fails=fails)
    single_epochs = getattr(optimizer, "single_epochs", False)
    latest: dict[int, Query] = {}
    for query in asked:
        query.configuration.check_valid_configuration()
        assert query.configuration.config_space == benchmark.space
        assert query.epoch in (range(1, LADDER.max + 1) if single_epochs else LADDER.epochs)
        if query.trial in latest:
            assert query.origin is Origin.PROMOTION
            assert query.epoch > latest[query.trial].epoch
            assert query.configuration == latest[query.trial].configuration
        else:
            assert query.origin is not Origin.PROMOTION
            assert query.trial == len(latest)
        latest[query.trial] = query


@every_optimizer
@every_space
def test_a_seed_decides_every_ask(name, space):
    benchmark = FakeBenchmark(SPACES[space]())
    n = few(build(name, space), 60)
    first, again, other = (said(drive(build(name, space, seed), benchmark, n)[0]) for seed in (3, 3, 4))
    assert first == again
    assert first != other


@every_optimizer
@every_space
def test_a_fresh_process_asks_the_same(name, space):
    assert replay(name, space) == replay_elsewhere()[f"{name} {space}"]


@every_optimizer
@every_space
def test_the_global_generator_is_not_touched(name, space):
    before = pickle.dumps(np.random.get_state())  # noqa: NPY002
    optimizer = build(name, space)
    drive(optimizer, FakeBenchmark(SPACES[space]()), few(optimizer, 60))
    assert pickle.dumps(np.random.get_state()) == before  # noqa: NPY002


@every_optimizer
@every_space
def test_the_training_seed_is_passed_on(name, space):
    optimizer = build(name, space, trial_seed=11)
    assert {query.seed for query in drive(optimizer, FakeBenchmark(SPACES[space]()), 30)[0]} == {11}


@every_optimizer
@every_space
def test_tell_changes_nothing_in_its_argument(name, space):
    optimizer, benchmark = build(name, space), FakeBenchmark(SPACES[space]())
    for _ in range(40):
        result = benchmark.evaluate(optimizer.ask())
        before, vector = copy.deepcopy(result), result.query.configuration.get_array().copy()
        optimizer.tell(result)
        assert result == before
        assert np.array_equal(result.query.configuration.get_array(), vector, equal_nan=True)


@every_optimizer
@every_space
def test_only_open_asks_are_answered_and_only_once(name, space):
    optimizer, benchmark = build(name, space), FakeBenchmark(SPACES[space]())
    result = benchmark.evaluate(optimizer.ask())
    with pytest.raises(KeyError, match="17"):
        optimizer.tell(replace(result, query=replace(result.query, trial=17)))
    optimizer.tell(result)
    with pytest.raises(KeyError, match="0"):
        optimizer.tell(result)


@every_optimizer
@every_space
def test_learns_from_the_configuration_that_was_evaluated(name, space):
    """A portfolio or a prior may put another configuration into the place of a proposed one."""
    benchmark, rng = FakeBenchmark(SPACES[space]()), np.random.default_rng(5)
    optimizer, evaluated = build(name, space), {}
    for _ in range(few(optimizer, 90)):
        query = optimizer.ask()
        if query.trial not in evaluated:
            evaluated[query.trial] = sample(benchmark.space, rng)
            query = replace(query, configuration=evaluated[query.trial], origin=Origin.PORTFOLIO)
        assert query.configuration == evaluated[query.trial]
        try:
            optimizer.tell(benchmark.evaluate(query))
        except UnsupportedError as error:  # a peer that says so, in one sentence
            pytest.skip(str(error))


@every_optimizer
@every_space
def test_ranks_are_all_that_counts(name, space):
    optimizer, stretched = build(name, space), build(name, space)
    if not getattr(optimizer, "rank_based", True):
        pytest.skip(f"{type(optimizer).__name__} says that it reads losses, not ranks")
    benchmark = FakeBenchmark(SPACES[space]())
    n = few(optimizer, 150)
    distorted, _ = drive(stretched, benchmark, n, distort=lambda loss: math.exp(5 * loss) - 7)
    assert said(drive(optimizer, benchmark, n)[0]) == said(distorted)


@every_optimizer
@every_space
def test_a_pickle_has_the_same_future(name, space):
    optimizer, benchmark = build(name, space), FakeBenchmark(SPACES[space]())
    drive(optimizer, benchmark, few(optimizer, 70))
    still_open = [optimizer.ask() for _ in range(3)]
    twin = pickle.loads(pickle.dumps(optimizer))
    for query in still_open:
        optimizer.tell(benchmark.evaluate(query))
        twin.tell(benchmark.evaluate(query))
    n = few(optimizer, 50)
    assert said(drive(optimizer, benchmark, n)[0]) == said(drive(twin, benchmark, n)[0])


def incumbent(results):
    """Loss of the best trial among those at the highest epoch."""
    highest = max(result.query.epoch for result in results)
    return min(result.loss for result in results if result.query.epoch == highest)


@every_optimizer
@every_space
def test_finds_the_optimum_region(name, space):
    benchmark, rng = FakeBenchmark(SPACES[space]()), np.random.default_rng(0)
    draws = [benchmark.evaluate(Query(sample(benchmark.space, rng), benchmark.epochs, 0)).loss for _ in range(1000)]
    optimizer = build(name, space)
    single_epochs = getattr(optimizer, "single_epochs", False)  # an ask is one epoch: 12 trainings, where the others have 66 and more
    _, results = drive(optimizer, benchmark, 12 * LADDER.max if single_epochs else few(optimizer, 360))
    assert incumbent(results) < np.quantile(draws, 0.05)


@every_optimizer
@every_space
def test_is_not_worse_than_random_search(name, space):
    """After the epochs of 30 full trainings (10 if costly), every rung from scratch; 12 seeds, one-sided signed-rank test at 1 %."""
    n_epochs = few(build(name, space), 30) * 50
    gains = np.array(
        [after_epochs("random", space, seed, n_epochs) - after_epochs(name, space, seed + 100, n_epochs) for seed in range(12)]
    )
    assert wilcoxon(gains, alternative="less").pvalue > 0.01


@cache
def after_epochs(name, space, seed, n_epochs):
    """The incumbent's loss once `n_epochs` are spent."""
    optimizer, benchmark, results = build(name, space, seed), FakeBenchmark(SPACES[space]()), []
    while sum(result.query.epoch for result in results) < n_epochs:
        results += drive(optimizer, benchmark, 1)[1]
    return incumbent(results)


if __name__ == "__main__":
    replays = {}
    for name in YAMLS:
        for space in SPACES:
            with suppress(pytest.skip.Exception):
                replays[f"{name} {space}"] = replay(name, space)
    print(json.dumps(replays))
