"""DEHB: Hyperband in its first round, differential evolution afterwards, and selection against a fold over the results."""

import math
import time
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from ConfigSpace import ConfigurationSpace, UniformFloatHyperparameter
from hypothesis import given, settings
from hypothesis import strategies as st

from lcbench.cube import cube
from lcbench.query import Origin, Result, Status
from lcbench.space import encode, lcbench_space, sample
from optimizers.dehb import DEHB
from optimizers.hyperband import Hyperband
from optimizers.rungs import hyperband_bracket, ladder
from tests.fakes import FakeBenchmark, mixed_space
from tests.laws.test_optimizers import drive, said

LADDER = ladder(50, 6, 2)
FLOATS = ConfigurationSpace(space=[UniformFloatHyperparameter(name, 0.0, 1.0) for name in "abcdef"])
FIRST_ROUND = sum(sum(hyperband_bracket(i, LADDER).sizes) for i in range(4))


def make(space=None, seed=0, **settings_):
    return DEHB(space or lcbench_space(), LADDER, np.random.default_rng(seed), **settings_)


def genes(population):
    return np.array([member.genes for member in population.members])


def grown(seed=0, **settings_):
    """On a space of floats with the first round behind it, where genes and configurations are equal up to the last digit kept."""
    optimizer = make(FLOATS, seed, **settings_)
    drive(optimizer, FakeBenchmark(FLOATS), FIRST_ROUND)
    return optimizer


def test_the_first_bracket_is_hyperband():
    """The same trials go on to the same epochs; here the best first, there the earliest."""
    hyperband, n = Hyperband(lcbench_space(), LADDER, np.random.default_rng(0)), sum(hyperband_bracket(0, LADDER).sizes)
    ours, theirs = (drive(optimizer, FakeBenchmark(), n)[0] for optimizer in (make(), hyperband))
    theirs = [replace(query, origin=Origin.INITIAL) if query.origin is Origin.RANDOM else query for query in theirs]
    assert sorted(said(ours)) == sorted(said(theirs))


def test_in_the_rest_of_the_first_round_children_begin_and_the_best_go_on():
    asked, _ = drive(make(), FakeBenchmark(), FIRST_ROUND)
    rest = [query for query in asked if query.bracket > 0]
    assert {query.origin for query in rest if query.rung == 0} == {Origin.MODEL}
    assert {query.origin for query in rest if query.rung > 0} == {Origin.PROMOTION}


def test_later_every_slot_of_every_bracket_is_a_child():
    asked, _ = drive(make(), FakeBenchmark(), 3 * FIRST_ROUND)
    later = asked[FIRST_ROUND:]
    assert {query.origin for query in later} == {Origin.MODEL}
    for number in range(4, 8):
        plan = hyperband_bracket(number, LADDER)
        slots = [(rung, plan.epochs[rung]) for rung, size in enumerate(plan.sizes) for _ in range(size)]
        assert [(query.rung, query.epoch) for query in later if query.bracket == number] == slots


@pytest.mark.parametrize("epoch", LADDER.epochs)
def test_a_child_is_its_target_crossed_with_a_mutant_of_the_lower_epoch(epoch):
    """DE rand/1/bin: every gene is the target's, that of one a + F (b - c), or a new draw where this leaves the cube."""
    optimizer = grown(mutation=0.4)
    below = genes(optimizer._populations[LADDER.epochs[max(LADDER.epochs.index(epoch) - 1, 0)]])
    population = optimizer._populations[epoch]
    mutants = np.array([a + 0.4 * (b - c) for a, b, c in permutations(below, 3)])
    outside = (mutants < 0) | (mutants > 1)
    for _ in range(20):
        proposed = optimizer._child(epoch)
        child = proposed.genes
        assert child.min() >= 0
        assert child.max() <= 1
        from_target = child == genes(population)[proposed.place]
        from_mutant = np.isclose(child, mutants) | outside
        assert (from_target | from_mutant).all(axis=1).any()
        assert not from_target.all()


def test_crossover_is_the_share_of_genes_that_the_mutant_gives():
    """Binomial with one gene for certain: of d genes, 1 + (d - 1) Cr on average."""
    optimizer, rng = grown(crossover=0.25), np.random.default_rng(1)
    for member in (member for population in optimizer._populations.values() for member in population.members):
        member.genes = rng.random(6)  # children share genes with their parents, and a mutant of equal ones changes nothing
    population = optimizer._populations[50]
    children = [optimizer._child(50) for _ in range(2000)]
    changed = [np.sum(child.genes != genes(population)[child.place]) for child in children]
    assert min(changed) == 1
    assert np.mean(changed) == pytest.approx(1 + 5 * 0.25, abs=0.1)


def test_parents_are_the_best_of_the_lower_epoch():
    optimizer = grown()
    below, own = optimizer._populations[12], optimizer._populations[25]
    ranked = sorted(below.members, key=lambda member: member.loss)
    for place, member in enumerate(ranked):
        member.genes = np.full(6, 0.2 if place < own.size else 0.8)  # equal good parents: the mutant is what they are
    for _ in range(50):
        child = optimizer._child(25)
        assert np.all((child.genes == 0.2) | (child.genes == own.members[child.place].genes))


def test_everything_is_learned_from_what_was_evaluated():
    """If one configuration takes the place of every new one, every child is this one: a + F (a - a) crossed with a."""
    optimizer, benchmark = make(FLOATS), FakeBenchmark(FLOATS)
    only = sample(FLOATS, np.random.default_rng(1))
    for n in range(FIRST_ROUND + 60):
        query = optimizer.ask()
        if n >= FIRST_ROUND:
            assert encode([query.configuration], FLOATS) == pytest.approx(encode([only], FLOATS))
        optimizer.tell(benchmark.evaluate(replace(query, configuration=only)))


@given(
    seed=st.integers(0, 2**16),
    n_open=st.integers(1, 20),
    losses=st.lists(st.sampled_from([0.1, 0.2, 0.2, 0.3, 0.4, 0.5, math.inf]), min_size=80, max_size=250),
)
@settings(max_examples=30)
def test_selection_is_a_fold_over_the_results_of_an_epoch(seed, n_open, losses):
    """Fill the population, then take the place of the member that the child was crossed with, or of the next in turn, if not worse."""
    optimizer, shuffle, waiting = make(FLOATS, seed), np.random.default_rng(seed), []
    expected, pointer, rivals = {epoch: [] for epoch in LADDER.epochs}, dict.fromkeys(LADDER.epochs, 0), {}
    sizes = {epoch: max(b.sizes[b.epochs.index(epoch)] for b in map(plan_of, range(4)) if epoch in b.epochs) for epoch in LADDER.epochs}

    def in_turn(epoch, n):
        place = pointer[epoch] % n
        pointer[epoch] = place + 1
        return place

    for loss in losses:
        query = optimizer.ask()
        if query.origin is Origin.MODEL:
            rivals[query.trial, query.epoch] = in_turn(query.epoch, len(expected[query.epoch]))
        waiting.append(query)
        if len(waiting) == n_open:
            query = waiting.pop(int(shuffle.integers(n_open)))
            failed = Result.failure(query, Status.CRASHED, "told to fail")
            optimizer.tell(failed if loss == math.inf else replace(FakeBenchmark(FLOATS).evaluate(query), loss=loss))
            members, newcomer = expected[query.epoch], (loss, query.trial)
            if len(members) < sizes[query.epoch]:
                members.append(newcomer)
                continue
            place = rivals[query.trial, query.epoch] if query.origin is Origin.MODEL else in_turn(query.epoch, len(members))
            members[place] = newcomer if loss <= members[place][0] else members[place]
    for epoch, members in expected.items():
        assert [(member.loss, member.trial) for member in optimizer._populations[epoch].members] == members


def plan_of(iteration):
    return hyperband_bracket(iteration, LADDER)


def test_genes_of_inactive_hyperparameters_are_numbers_too():
    optimizer = make(mixed_space())
    drive(optimizer, FakeBenchmark(mixed_space()), 150, n_open=5, shuffle=np.random.default_rng(0), fails=0.2)
    for population in optimizer._populations.values():
        assert genes(population).min() >= 0
        assert genes(population).max() <= 1


def test_genes_stay_as_they_were_drawn():
    """Where a whole number is rounded and where a hyperparameter is inactive; that of a category stays in the cell of its choice."""
    space = mixed_space()
    optimizer, benchmark, levels, n_children = make(space), FakeBenchmark(space), cube(space).levels, 0
    for _ in range(300):
        query = optimizer.ask()
        drawn = optimizer._genes.get(query.trial)
        optimizer.tell(benchmark.evaluate(query))
        if drawn is not None:
            n_children += 1
            kept, cells = optimizer._genes[query.trial], (levels > 0) & ~np.isnan(encode([query.configuration], space)[0])
            assert np.array_equal(kept[~cells], drawn[~cells])
            assert np.array_equal(np.floor(kept * levels)[cells], np.floor(drawn * levels)[cells])
    assert n_children > 100


def test_no_choice_is_favoured_where_choices_do_not_matter():
    space = ConfigurationSpace(space={"a": ["x", "y"], "b": (0.0, 1.0)})
    rng, shares = np.random.default_rng(0), []
    for seed in range(20):
        optimizer, chosen = make(space, seed), []
        for _ in range(300):
            query = optimizer.ask()
            chosen += [query.configuration["a"] == "y"] if query.origin is Origin.MODEL else []
            optimizer.tell(replace(FakeBenchmark(space).evaluate(query), loss=float(rng.random())))
        shares.append(np.mean(chosen))
    assert abs(np.mean(shares) - 0.5) < 4 * np.std(shares) / math.sqrt(20)


def test_a_ladder_of_one_rung_is_differential_evolution():
    optimizer = DEHB(FLOATS, ladder(50, 50, 2), np.random.default_rng(0))
    asked, _ = drive(optimizer, FakeBenchmark(FLOATS), 40)
    assert {query.origin for query in asked[10:]} == {Origin.MODEL}


def test_evolution_finds_what_draws_do_not():
    late, early = [], []
    for seed in range(5):
        _, results = drive(make(seed=seed), FakeBenchmark(), 400)
        full = [result.loss for result in results if result.query.epoch == 50]
        early.append(np.median(full[:10]))
        late.append(np.median(full[-10:]))
    assert max(late) < min(early)


def test_ten_thousand_epochs_take_a_moment():
    optimizer, benchmark, spent, n_epochs = make(), FakeBenchmark(), 0.0, 0
    while n_epochs < 10_000:
        began = time.process_time()
        query = optimizer.ask()
        asked = time.process_time()
        result = benchmark.evaluate(query)
        answered = time.process_time()
        optimizer.tell(result)
        spent += asked - began + time.process_time() - answered
        n_epochs += query.epoch
    assert spent < 3  # 0.2 when nothing else runs; what grows with the square of the asks would take a minute


@pytest.mark.parametrize(
    ("given_", "sentence"),
    [
        ({"mutation": 0.0}, "`mutation` is 0.0, but must be above 0 and at most 2"),
        ({"crossover": 1.5}, "`crossover` is 1.5, but must be above 0 and at most 1"),
        ({"table": "li2017"}, "`table` is 'li2017'"),
    ],
)
def test_bad_settings_are_refused(given_, sentence):
    with pytest.raises(ValueError, match=sentence):
        make(**given_)
